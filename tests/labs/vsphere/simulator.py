# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator's control side, for tests: faults, call counts, times, the truth about VMs. Needs no SDK."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from ..processes import LabError
from .site import Site

Json = dict[str, Any]
Kind = Literal["fault", "task-fault", "task-fault-after", "missing", "drop", "reset", "hang", "delay", "http"]
TIMEOUT_SECONDS = 300  # `reset` destroys the VMs of a test, `make` makes thousands
TEMPLATE = "golden-base-v2"


class Simulator:
    """What a test does to the lab's vCenter behind its clients' backs. Thread-safe: it keeps nothing.

    LabError with the simulator's reason where it refuses; URLError where the lab is not up.
    """

    def __init__(self, url: str = "") -> None:
        self.url = url or Site.from_environment().control

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One call of the control side."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            raise LabError(f"{method} {path}: {error.read().decode().strip()}") from error

    def reset(self) -> None:
        """As right after the start, for use between tests.

        Rules, denials, settings and counts, hosts, datastores, DRS rules and groups, templates; no VM but the seed's.
        Sessions, folders, custom attributes, tags and libraries stay.
        """
        self.call("POST", "/reset", {})

    # --- times ---

    def settings(self) -> Json:
        """All of them; NOTES.md has their table."""
        return dict(self.call("GET", "/config"))

    def set(self, **settings: object) -> Json:
        """Changes the named ones, as in task_ms={"CloneVM_Task": 2000}; those are merged."""
        return dict(self.call("POST", "/config", settings))

    # --- faults ---

    def rule(
        self,
        kind: Kind,
        method: str = "*",
        *,
        contains: str = "",
        count: int = 0,
        skip: int = 0,
        probability: float = 0,
        **more: object,
    ) -> int:
        """Calls of the method that contain the text go wrong from now on; the rule's id.

        kind: fault (refused), task-fault (the task fails, nothing done), task-fault-after (all done, the task says failed),
        missing (a read answers, with the fault in missingSet), drop (executed, the answer is lost), reset (the connection,
        before), hang, delay, http. count: so many times, 0 for ever; skip: not the first ones; probability: 0 is always.
        more: fault="NoDiskSpace", fields={"datastore": "ds-a"}, message, ms, status; path for missing.
        """
        matching = {"contains": contains, "count": count, "skip": skip, "probability": probability}
        return int(self.call("POST", "/rules", {"kind": kind, "method": method, **matching, **more})["id"])

    def hits(self, rule: int) -> int:
        """How often the rule has struck."""
        return next(int(known["hits"]) for known in self.call("GET", "/rules") if known["id"] == rule)

    def clear_rules(self) -> None:
        self.call("DELETE", "/rules")

    def deny(self, *privileges: str, on: str = "", user: str = "") -> None:
        """Takes privileges away on an object (name or moref; "" is everywhere) and all below it. Adds to what is denied."""
        more = [{"privilege": privilege, "object": on, "user": user} for privilege in privileges]
        self.call("POST", "/denials", [*self.call("GET", "/denials"), *more])

    def grant_all(self) -> None:
        self.call("POST", "/denials", [])

    def end_sessions(self) -> int:
        """Every session is over, SOAP and REST; how many there were."""
        return int(self.call("POST", "/sessions/terminate", {})["ended"])

    def sessions(self) -> list[Json]:
        """Those that are open: Key, UserName, LoginTime, CallCount, UserAgent..."""
        return list(self.call("GET", "/sessions"))

    def cut(self, seconds: float, mode: Literal["reset", "503"] = "reset") -> None:
        """The way to the vCenter is cut for so long; its sessions and tasks go on."""
        self.call("POST", "/outage", {"seconds": seconds, "mode": mode, "keep_sessions": True})

    def restart(self, seconds: float = 0.5, mode: Literal["reset", "503"] = "reset", *, lose_work: bool = False) -> None:
        """The vCenter is away and comes back with the same VMs, without sessions, and knows no task of before.

        What the hosts had begun they finish; lose_work: what waits or is in its delay is never done.
        """
        self.call("POST", "/outage", {"seconds": seconds, "mode": mode, "forget_tasks": True, "lose_work": lose_work})

    def host(self, name: str, *, maintenance: bool = False, connected: bool = True) -> None:
        """A host's state; its VMs stay where they are."""
        self.call("POST", f"/hosts/{name}", {"maintenance": maintenance, "connected": connected})

    def free(self, datastore: str, mib: int | None) -> None:
        """So much is free: full clones take their disks' capacity of it, then NoDiskSpace. None lifts the limit."""
        self.call("POST", f"/datastores/{datastore}", {"free_mib": mib})

    # --- what was called ---

    def calls(self, *, reset: bool = False) -> dict[str, int]:
        """Counts by SOAP method and by REST call since the start or the last reset; the lab's own are left out."""
        counted = self.call("GET", "/calls?reset" if reset else "/calls")
        return {**counted["soap"], **counted["rest"]}

    @contextmanager
    def counted(self) -> Iterator[dict[str, int]]:
        """The calls within the block, there at its end."""
        before, found = self.calls(), dict[str, int]()
        yield found
        found.update({name: more for name, count in self.calls().items() if (more := count - before.get(name, 0))})

    # --- the truth ---

    def vms(self, *, seeded: bool = False) -> dict[str, Json]:
        """The VMs by name, without those of the seed. NOTES.md tells the fields."""
        return {vm["name"]: vm for vm in self.call("GET", "/vms") if seeded or not vm["seed"]}

    def conflicts(self) -> list[Json]:
        """Addresses that a guest took while another running one had it: {"address", "vms"}."""
        return list(self.call("GET", "/addresses"))

    def change(self, vm: str, **properties: object) -> None:
        """For a name or a glob: power="off", or property paths: **{"guestHeartbeatStatus": "red"}."""
        self.call("POST", f"/vms/{vm}", properties)

    def destroy(self, vm: str) -> None:
        """Takes VMs away, by name or glob, running or not; a template too."""
        self.call("DELETE", f"/vms/{vm}")

    def make(self, machines: Iterable[Mapping[str, object]]) -> None:
        """VMs without delay, slot or rule: {"name"} and, with defaults, those of `machine`."""
        self.call("POST", "/vms", [machine(**one) for one in machines])


def machine(
    name: Any,
    source: Any = TEMPLATE,
    cluster: Any = "fd-a",
    folder: Any = "fleet",
    datastore: Any = "ds-shared",
    **more: Any,
) -> Json:
    """What `make` takes; more: annotation, instance_uuid, extra_config (key to value), off."""
    return {"name": name, "source": source, "cluster": cluster, "folder": folder, "datastore": datastore, **more}
