# SPDX-License-Identifier: GPL-3.0-or-later
"""A forecast as a task returns it, and as sentences that fit a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.entry.forecast import P95_FROM, Eviction, Forecast
from ansible_collections.immutable.fleet.plugins.module_utils.entry.learning import BOOT, CREATE, DELETE, EMPTY, READY
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_count, say_duration, say_instant

OWNERS_MAX = 20  # in a result; the others are in the total
DOMAINS_MAX = 6  # in a sentence

# What a duration is called, and what is assumed where nothing taught it.
KINDS = {
    CREATE: "created to running",
    BOOT: "running to node",
    READY: "node to ready",
    EMPTY: "last eviction to empty",
    DELETE: "delete to gone",
}


def facts_of(foreseen: Forecast) -> dict[str, Any]:
    """`{begins_at, p50, p95, replays, failures, durations, capacity, evictions, quota, window?}`, small however large the pool is."""
    answer: dict[str, Any] = {
        "begins_at": say_instant(foreseen.begins_at),
        "p50": say_duration(foreseen.p50),
        "p50_seconds": round(foreseen.p50.total_seconds()),
        "p95": _say(foreseen.p95),
        "p95_seconds": round(foreseen.p95.total_seconds()) if foreseen.p95 is not None else None,
        "replays": foreseen.replays,
        "failures": foreseen.failures,
        "unfinished": foreseen.unfinished,
        "durations": {kind: _source(source) for kind, source in foreseen.learned.sources().items()},
        "capacity": {domain: {"now": dip.now, "fewest": dip.fewest} for domain, dip in foreseen.capacity.items()},
        "evictions": _evictions(foreseen.evictions),
        "quota": [{"what": each.what, "where": each.where, "forward": each.forward} for each in foreseen.shortfall],
    }
    if foreseen.window is not None:
        begin, end = foreseen.window
        fits = {"p50_fits": foreseen.fits(foreseen.p50, 0.5), "p95_fits": foreseen.fits(foreseen.p95, 0.95)}
        answer["window"] = {"begin": say_instant(begin), "end": say_instant(end), **fits}
    return answer


def sentences_of(foreseen: Forecast) -> list[str]:
    """What a person wants to know of it, a line each; none where nothing would be done."""
    if not foreseen.roll.changed:
        return []
    opening = [] if foreseen.roll is foreseen.result else [f"begins {say_instant(foreseen.begins_at)}, when the window opens"]
    lines = [*opening, _length(foreseen), *_fallen_short(foreseen), *_durations(foreseen)]
    if foreseen.capacity:
        lines.append(_capacity(foreseen))
    if foreseen.evictions:
        found = _evictions(foreseen.evictions)
        lines.append(f"{say_count(found['total'], 'eviction')}, owners of pods: {found['owners']}, evictions a pod: {found['per_pod']:g}")
        worst = foreseen.evictions[0]
        if worst.evictions > worst.pods:
            lines.append(f"moved most often: {worst.owner}, {say_count(worst.evictions, 'eviction')} of {say_count(worst.pods, 'pod')}")
    if foreseen.window is not None:
        lines.append(_window(foreseen))
    return lines


def _length(foreseen: Forecast) -> str:
    runs = "1 replay" if foreseen.replays == 1 else f"{foreseen.replays} replays"
    tail = f"p95 {say_duration(foreseen.p95)}" if foreseen.p95 is not None else f"no p95 from fewer than {P95_FROM}"
    return f"takes {say_duration(foreseen.p50)} (p50; {tail}) by {runs}"


def _fallen_short(foreseen: Forecast) -> list[str]:
    return [f"does not reach its end in {foreseen.failures} of {foreseen.replays} replays"] if foreseen.failures else []


def _durations(foreseen: Forecast) -> list[str]:
    """From how many machines, and what is only assumed."""
    sources = {kind: _source(source) for kind, source in foreseen.learned.sources().items()}
    known = [f"{kind} {source['median']}" for kind, source in sources.items() if source["machines"]]
    assumed = [f"{kind} {source['median']}" for kind, source in sources.items() if not source["machines"] and source["median"] != "0s"]
    count = max(source["machines"] for source in sources.values())
    lines = [f"learned from {count}: " + ", ".join(known)] if known else []
    return [*lines, "assumed: " + ", ".join(assumed)] if assumed else lines


def _capacity(foreseen: Forecast) -> str:
    dips = list(foreseen.capacity.items())
    shown = [f"{domain + ' ' if domain else ''}{dip.fewest} of {dip.now}" for domain, dip in dips[:DOMAINS_MAX]]
    more = f" and {len(dips) - DOMAINS_MAX} more" if len(dips) > DOMAINS_MAX else ""
    return "fewest available: " + ", ".join(shown) + more


def _window(foreseen: Forecast) -> str:
    end = say_instant(foreseen.window[1]) if foreseen.window is not None else ""
    if foreseen.fits(foreseen.p95, 0.95):
        return f"fits the window that ends {end}"
    if foreseen.fits(foreseen.p50, 0.5):
        return f"fits the window that ends {end} at p50, " + ("not at p95" if foreseen.p95 is not None else "p95 not known")
    return f"does not fit the window that ends {end}"


def _evictions(found: tuple[Eviction, ...]) -> dict[str, Any]:
    total, pods = sum(each.evictions for each in found), sum(each.pods for each in found)
    most = [{"owner": each.owner, "pods": each.pods, "evictions": each.evictions} for each in found[:OWNERS_MAX]]
    return {"total": total, "owners": len(found), "per_pod": round(total / pods, 2) if pods else 0.0, "most": most}


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    median = source["median"]
    said = say_duration(timedelta(seconds=median)) if median is not None else "grace period"
    return {"machines": source["machines"], "median": said}


def _say(span: timedelta | None) -> str:
    return say_duration(span) if span is not None else ""
