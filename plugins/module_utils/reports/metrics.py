# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of a run in Prometheus' text format, for node_exporter's textfile collector.

Pure: events in, a text out at any time; O(1) an event. What outlives a run is the time of the last success, which is read back from the
text that the run before left. Gauges rather than counters: each run begins at zero, and a gauge says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant

PREFIX = "immutable_fleet_"
LAST_SUCCESS = "last_success_timestamp_seconds"
ACTIONS = (
    "create",
    "join",
    "choose",
    "drain",
    "remove",
    "delete",
    "delete node",
    "quarantine",
    "cordon",
    "uncordon",
    "release",
    "remove pod",
    "label",
    "clear",
)
BEGINNINGS = {"create": "come", "choose": "leave", "drain": "leave"}  # kind -> the step that it begins
OF_THE_POOL = ("replicas", "floor", "ceiling")
OF_THE_SUMMARY = ("available", "up_to_date", "existing", "pods_left")
# name -> what HELP says
HELP = {
    "run_in_progress": "Whether a run works on the pool.",
    "run_start_timestamp_seconds": "When the run began that these numbers are of.",
    "run_duration_seconds": "How long it took, or takes so far.",
    "run_success": "Whether the last run that ended left all as asked for.",
    "run_pending": "Whether the last run that ended did so well, and left machines that are not as asked for.",
    "run_failure": "1 for the code that it failed with.",
    LAST_SUCCESS: "When a run last left all as asked for.",
    "pool_replicas": "Machines that the pool is to have.",
    "pool_floor": "Fewest available machines that an action may leave.",
    "pool_ceiling": "Most machines that a create may lead to.",
    "pool_available": "Machines that are available.",
    "pool_up_to_date": "Machines that are available and as asked for.",
    "pool_existing": "Machines that exist or are being made, without those set aside.",
    "pool_pods_left": "Pods on machines that are on their way out.",
    "machines": "Machines by phase.",
    "run_actions": "What the run started, by verb.",
    "run_evictions": "Evictions that were asked for.",
    "run_evictions_refused": "Evictions that were refused.",
    "run_pods_moved": "Pods that have left.",
    "run_refused_calls": "Calls that failed, without evictions, by verb and code.",
    "run_blocked": "What prevents something at this moment, by code.",
    "run_waiting": "What is waited for at this moment because it was asked for, such as a soak, by code.",
    "step_seconds": "How long machines took to become ready after their create, and to be gone after their drain began.",
}


class Metrics:
    """Takes the events of one run. `pool` is "" for nodes without one; `before` is the text that the run before left, or ""."""

    def __init__(self, pool: str = "", before: str = "") -> None:
        self._pool = pool
        self._success_at = _last_success(before)
        self._begin: Mapping[str, Any] = {}
        self._summary: Mapping[str, Any] = {}
        self._end: Mapping[str, Any] = {}
        self._began_at: datetime | None = None
        self._at: datetime | None = None
        self._phases: dict[str, str] = {}
        self._kinds: Counter[str] = Counter()
        self._refused: Counter[tuple[str, str]] = Counter()
        self._blocked: dict[tuple[str, str], str] = {}
        self._waiting: dict[tuple[str, str], str] = {}
        self._since: dict[tuple[str, str], datetime] = {}
        self._steps: dict[str, list[float]] = {"come": [0, 0.0], "leave": [0, 0.0]}

    def take(self, event: Mapping[str, Any]) -> None:
        """One more event."""
        kind, machine = str(event.get("kind", "")), str(event.get("machine", ""))
        at = self._at = parse_instant(str(event["at"]))
        self._began_at = self._began_at or at
        self._kinds[kind] += 1
        if kind in ("begin", "retarget", "scale"):
            self._begin = event
        elif kind == "summary":
            self._summary = event
        elif kind == "capacity":
            self._summary = {**self._summary, **{name: event[name] for name in OF_THE_SUMMARY if name in event}}
        elif kind == "refused":
            self._refused[str(event.get("verb", "")), str(event.get("code", ""))] += 1
        elif kind == "blocked":
            self._blocked[machine, str(event.get("text", ""))] = str(event.get("code", ""))
        elif kind == "waits":
            self._waiting[machine, str(event.get("text", ""))] = str(event.get("code", ""))
        elif kind == "waited":
            self._waiting.pop((machine, str(event.get("text", ""))), None)
        elif kind == "unblocked":
            self._blocked.pop((machine, str(event.get("text", ""))), None)
        elif kind == "end":
            self._end = event
            if _is_success(event):
                self._success_at = at.timestamp()
        else:
            self._machine(kind, machine, event, at)

    def text(self) -> str:
        """All of them, each with HELP and TYPE."""
        lines: list[str] = []
        for name, samples in self._samples().items():
            kind = "summary" if name == "step_seconds" else "gauge"
            lines += [f"# HELP {PREFIX}{name} {HELP[name]}", f"# TYPE {PREFIX}{name} {kind}"]
            lines += [f"{PREFIX}{name}{suffix}{self._labels(labels)} {value:.15g}" for suffix, labels, value in samples]
        return "\n".join(lines) + "\n"

    def _machine(self, kind: str, machine: str, event: Mapping[str, Any], at: datetime) -> None:
        if kind == "phase":
            phase = self._phases[machine] = str(event.get("text", ""))
            if phase == "ready":
                self._took("come", machine, at)
        elif kind == "gone":
            self._phases.pop(machine, None)
            self._took("leave", machine, at)
        elif kind in BEGINNINGS:
            self._since[BEGINNINGS[kind], machine] = at

    def _took(self, step: str, machine: str, at: datetime) -> None:
        since = self._since.pop((step, machine), None)
        if since is not None:
            self._steps[step][0] += 1
            self._steps[step][1] += (at - since).total_seconds()

    def _samples(self) -> dict[str, list[tuple[str, dict[str, str], float]]]:
        """`{name: [(suffix, labels, value), ...]}`."""
        began = self._began_at.timestamp() if self._began_at is not None else 0.0
        lasted = (self._at - self._began_at).total_seconds() if self._at is not None and self._began_at is not None else 0.0
        ended = bool(self._end)
        single: dict[str, float] = {"run_in_progress": not ended, "run_start_timestamp_seconds": began, "run_duration_seconds": lasted}
        if ended:
            single["run_success"] = _is_success(self._end)
            single["run_pending"] = bool(self._end.get("pending"))
        if self._success_at is not None:
            single[LAST_SUCCESS] = self._success_at
        if self._begin.get("pool"):
            single |= {f"pool_{name}": float(self._begin[name]) for name in OF_THE_POOL if name in self._begin}
            single |= {f"pool_{name}": float(self._summary[name]) for name in OF_THE_SUMMARY if name in self._summary}
        evictions_refused = sum(count for (verb, _code), count in self._refused.items() if verb == "evict")
        single |= {
            "run_evictions": self._kinds["evict"],
            "run_evictions_refused": evictions_refused,
            "run_pods_moved": self._kinds["pod gone"],
        }
        unlabelled: dict[str, str] = {}
        samples = {name: [("", unlabelled, float(value))] for name, value in single.items()}
        if ended and self._end.get("code") != "ok":
            samples["run_failure"] = [("", {"code": str(self._end.get("code", ""))}, 1.0)]
        samples["run_actions"] = [("", {"verb": verb}, float(self._kinds[verb])) for verb in ACTIONS]
        for name, label, counts in (
            ("machines", "phase", Counter(self._phases.values())),
            ("run_blocked", "code", Counter(self._blocked.values())),
            ("run_waiting", "code", Counter(self._waiting.values())),
        ):
            samples[name] = [("", {label: key}, float(count)) for key, count in sorted(counts.items())]
        samples["run_refused_calls"] = [
            ("", {"verb": verb, "code": code}, float(count)) for (verb, code), count in sorted(self._refused.items()) if verb != "evict"
        ]
        samples["step_seconds"] = [
            (suffix, {"step": step}, float(number))
            for step, (count, total) in self._steps.items()
            for suffix, number in (("_sum", total), ("_count", count))
        ]
        return {name: rows for name, rows in samples.items() if rows}

    def _labels(self, labels: Mapping[str, str]) -> str:
        every = ({"pool": self._pool} if self._pool else {}) | dict(labels)
        shown = ",".join(f'{name}="{_escaped(value)}"' for name, value in every.items())
        return f"{{{shown}}}" if shown else ""


def _is_success(end: Mapping[str, Any]) -> bool:
    return end.get("code") == "ok" and not end.get("pending")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _last_success(text: str) -> float | None:
    found = re.search(rf"^{PREFIX}{LAST_SUCCESS}(?:{{.*}})? ([0-9.e+]+)$", text, flags=re.MULTILINE)
    return float(found.group(1)) if found else None
