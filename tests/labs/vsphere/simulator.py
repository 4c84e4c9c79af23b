# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator's control side, for tests: faults, call counts, times, the truth about VMs. Needs no SDK."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from .site import Site

Json = dict[str, Any]
TIMEOUT_SECONDS = 120  # `reset` destroys the VMs of a test one by one


class Simulator:
    """What a test does to the lab's vCenter behind its clients' backs. Thread-safe: it keeps nothing."""

    def __init__(self, url: str = "") -> None:
        self.url = url or Site.from_environment().control

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One call of the control side; HTTPError with the reason as its body where it refuses."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    # --- between tests ---

    def reset(self) -> None:
        """Settings, rules and counts as at start; every VM that was not seeded is destroyed."""
        self.call("POST", "/reset", {})

    # --- times ---

    def settings(self) -> Json:
        return dict(self.call("GET", "/config"))

    def set(self, **settings: object) -> Json:
        """Changes the named ones, as in task_ms={"CloneVM_Task": 2000}; NOTES.md has their table."""
        return dict(self.call("POST", "/config", settings))

    # --- faults ---

    def rule(self, kind: str, method: str = "*", **more: object) -> int:
        """Calls that match go wrong from now on; the rule's id. NOTES.md has kinds and fields."""
        return int(self.call("POST", "/rules", {"kind": kind, "method": method, **more})["id"])

    def hits(self, rule: int) -> int:
        """How often the rule has struck."""
        return next(int(known["hits"]) for known in self.call("GET", "/rules") if known["id"] == rule)

    def clear_rules(self) -> None:
        self.call("DELETE", "/rules")

    def end_sessions(self) -> int:
        """Every session is over, SOAP and REST; how many there were."""
        return int(self.call("POST", "/sessions/terminate", {})["ended"])

    def sessions(self) -> list[Json]:
        """Those that are open."""
        return list(self.call("GET", "/sessions") or [])

    def outage(self, seconds: float, mode: str = "reset", *, keep_sessions: bool = False) -> None:
        """The vCenter is away for so long ("reset" or "503"), then back without its sessions."""
        self.call("POST", "/outage", {"seconds": seconds, "mode": mode, "keep_sessions": keep_sessions})

    # --- what was called ---

    def calls(self, *, reset: bool = False) -> dict[str, int]:
        """Counts by SOAP method and by REST path, since the start or the last reset; those of the lab itself are left out."""
        counted = self.call("GET", "/calls?reset" if reset else "/calls")
        return {**counted["soap"], **counted["rest"]}

    # --- the truth ---

    def vms(self, *, seeded: bool = False) -> dict[str, Json]:
        """The VMs by name, without those of the seed."""
        return {vm["name"]: vm for vm in self.call("GET", "/vms") or [] if seeded or not vm["seed"]}

    def change(self, vm: str, **properties: object) -> None:
        """Behind the client's back, for a name or a glob: power="off", or paths: **{"guest.ipAddress": ""}."""
        self.call("POST", f"/vms/{vm}", properties)

    def restart(self, seconds: float = 0.5) -> None:
        """The vCenter restarts."""
        self.outage(seconds)


def by_value(counts: Mapping[str, int]) -> str:
    """For a message: the most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1]))
