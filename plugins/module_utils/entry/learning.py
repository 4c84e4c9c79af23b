# SPDX-License-Identifier: GPL-3.0-or-later
"""How long machines of this estate take, learned from those that are there and from what earlier runs noted. Pure.

Promises: only what a fact or a note tells; the rest is the default profile's, and `Learned.sources` says which is which.
Why not the mean: a machine whose node was repaired for three days would teach a join of three days. What took longer than
`startup_timeout` never became a machine of ours in the ordinary way, and what lies far from the median of its kind is left out;
what remains is drawn from as it is, whatever its shape, since fast and slow hypervisors make two humps.
Known bias: machines that failed are gone, so their long waits teach nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.engine.matching import match
from ansible_collections.immutable.fleet.plugins.module_utils.engine.virtual import GATHER, ONE_WAY
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.durations import Past
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import (
    Chance,
    Profile,
    Spread,
    constant,
    empirical,
    lognormal,
)

CREATE, BOOT, READY, EMPTY, DELETE = "create", "boot", "ready", "empty", "delete"

NEWEST = 200  # machines to learn from: an estate changes, and so many tell its distribution well
FEW = 5  # below, the values themselves say too little of their spread
SPREAD_OF_FEW = 0.25  # sigma of the logarithm, then
FAR = 3.5  # robust standard deviations from the median of the logarithms (Iglewicz and Hoaglin's limit for outliers)
MAD_TO_SIGMA = 1.4826  # for a normal distribution
SIGMA_LEAST = 0.4  # else machines that are all alike would make outliers of a slow rack: less than 4 times the median stays
SHORTEST_SECONDS = 0.5  # stamps are whole seconds: 0 may be anything up to a second, and has no logarithm
CLOCKS_DIFFER = timedelta(minutes=1)  # at most, between the controller that wrote a mark and this one
# From a call that is sent to the next one that its effect allows a replay takes this longer than the effect itself: the way to the
# server, the gathering of changes, and a look or a list. What was noted of real runs has such time in it already.
OF_ITS_OWN = (ONE_WAY + GATHER + 2 * ONE_WAY).total_seconds()
AS_LONG_AS_GRACE = timedelta(days=1).total_seconds()  # a pod ends with its grace period if not sooner


@dataclass(frozen=True, slots=True)
class Learned:
    """Durations in seconds by kind, outliers left out. `boots` are running to first ready, of one machine each."""

    samples: Mapping[str, tuple[float, ...]]
    boots: tuple[float, ...] = ()

    def profile(self, chance: Chance | None = None) -> Profile:
        """What a replay draws from.

        With `chance` the samples are first drawn anew from themselves (a bootstrap): so replays differ by what so few machines
        leave open, too.
        """
        default = Profile()
        has_join = bool(self.boots)
        # A cloud that does not tell when building ended: then its part is in the boot, and none of it is counted twice.
        create = default.create if not has_join else constant(0)
        emptied, deleted = _without_calls(self.samples[EMPTY]), _without_calls(self.samples[DELETE])
        return Profile(
            create=_spread(self.samples[CREATE], create, chance),
            ready=_spread(self.boots, default.ready, chance),
            delete=_spread(deleted, default.delete, chance),
            pod_stop=_spread(emptied, constant(AS_LONG_AS_GRACE), chance),
            detach=constant(0) if emptied else default.detach,  # it is part of what was learned
        )

    def sources(self) -> dict[str, dict[str, object]]:
        """`{kind: {"machines", "median"}}`: 0 machines where nothing could be learned, with what is assumed instead."""
        default = Profile()
        assumed = {CREATE: default.create.a, BOOT: default.ready.a, READY: 0.0, EMPTY: None, DELETE: default.delete.a}
        return {
            kind: {"machines": len(values), "median": statistics.median(values) if values else assumed[kind]}
            for kind, values in self.samples.items()
        }


def learn(vms: Iterable[Vm], nodes: Mapping[str, Node], past: Past, startup_timeout: timedelta) -> Learned:
    """From machines that are ours, the newest first. O(machines)."""
    ours = sorted((vm for vm in vms if vm.is_ours), key=lambda vm: vm.created_at, reverse=True)[:NEWEST]
    node_of = match(ours, nodes)
    found: dict[str, list[float]] = {CREATE: [], BOOT: [], READY: []}
    boots = []
    for vm in ours:
        runs_from = vm.running_since or vm.created_at
        if vm.running_since is not None:
            found[CREATE].append(_seconds(vm.running_since - vm.created_at))
        node = nodes.get(node_of.get(vm.id, ""))
        ready_at = first_ready(node) if node is not None else None
        if node is None or ready_at is None:
            continue
        found[BOOT].append(_seconds(node.created_at - runs_from))
        found[READY].append(_seconds(ready_at - node.created_at))
        boots.append(_seconds(ready_at - runs_from))
    limit = startup_timeout.total_seconds()
    samples = {kind: typical(values, limit) for kind, values in found.items()}
    samples[EMPTY], samples[DELETE] = typical(past.empty), typical(past.delete)
    return Learned(samples, typical(boots, limit))


def first_ready(node: Node) -> datetime | None:
    """When the node became ready for the first time; None where nothing tells.

    The mark was written by some controller's clock, the condition is corrected to ours: where they agree but for a difference
    of clocks the condition is better; where it is later the node was not ready in between, and only the mark knows.
    """
    if not node.was_ready:
        return None
    since = node.ready_since if node.ready else None
    try:
        marked = parse_instant(node.annotations.get(marks.NODE_READY_AT, ""))
    except ValueError:
        return None
    return since if since is not None and abs(since - marked) <= CLOCKS_DIFFER else marked


def typical(values: Sequence[float], limit: float = math.inf) -> tuple[float, ...]:
    """`values` without those that are impossible, beyond `limit`, or far from the others; in the order given."""
    possible = [max(value, SHORTEST_SECONDS) for value in values if -SHORTEST_SECONDS * 2 <= value <= limit]
    if not possible:
        return ()
    logs = [math.log(value) for value in possible]
    middle = statistics.median(logs)
    sigma = max(SIGMA_LEAST, MAD_TO_SIGMA * statistics.median(abs(each - middle) for each in logs))
    return tuple(value for value, each in zip(possible, logs, strict=True) if abs(each - middle) <= FAR * sigma)


def _without_calls(noted: Sequence[float]) -> list[float]:
    """The durations of the effects alone: a replay adds its own calls to them."""
    return [max(0.0, value - OF_ITS_OWN) for value in noted]


def _spread(values: Sequence[float], default: Spread, chance: Chance | None) -> Spread:
    if not values:
        return default
    if chance is not None:
        values = [values[int(chance.unit() * len(values))] for _value in values]
    return empirical(values) if len(values) >= FEW else lognormal(statistics.median(values), SPREAD_OF_FEW)


def _seconds(span: timedelta) -> float:
    return span.total_seconds()
