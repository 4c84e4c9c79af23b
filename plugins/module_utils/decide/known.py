# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a wish is about a pool and a machine that are there: a name that is wrong would be a wish that nobody ever reads.

No state makes sense for a pool that no run has made yet: a pause holds back replacements, and there is nothing to replace.
Machines are known as nodes, since nothing of the cloud is asked. One that has not joined yet can be told from a mistyped one
only by a run that makes it: so it is taken on trust while a run is at work, and refused otherwise.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from ansible_collections.immutable.fleet.plugins.module_utils.decide.control import Wish
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact

NAMES_SHOWN = 5
ALIKE = 0.9  # a letter or two are wrong; two machines of one slot are alike by 0.6, since their suffixes are chance


def doubt(seen: LockFact, wish: Wish, nodes: Mapping[str, str]) -> str:
    """What cannot be known for sure about the wish, "" for nothing. Raises `Invalid` where it is about nothing that is there.

    `nodes` is `{node: pool}` of all pools in the cluster; `seen` the lock of the wish's pool.
    """
    is_there = bool(seen.version) or seen.token > 0  # a version may be that of the wishes alone, and none was written yet
    if not is_there and wish.pool not in nodes.values():
        raise Invalid(what=f"there is no pool {wish.pool} here: no lock, no machine; expected {_one_of(nodes.values())}", where="name")
    if not wish.machine or wish.machine in nodes or _is_steered(seen, wish.machine):
        return ""
    own = [node for node, pool in nodes.items() if pool == wish.pool]
    alike = difflib.get_close_matches(wish.machine, own, n=1, cutoff=ALIKE)
    if alike:
        raise Invalid(what=f"pool {wish.pool} has no machine {wish.machine}; did you mean {alike[0]}?", where="machine")
    if any(marks.slot_of(wish.pool, node) is None for node in own):
        return f"nodes of pool {wish.pool} are not called after their machines: whether it has a machine {wish.machine} is not known here"
    if seen.holder and wish.state != "released":
        return f"pool {wish.pool} has no node {wish.machine} now: this holds if it is a machine that has not joined yet"
    raise Invalid(what=f"pool {wish.pool} has no machine {wish.machine}; expected {_one_of(own)}", where="machine")


def _is_steered(seen: LockFact, machine: str) -> bool:
    """Asked for before: it can be taken back, whether the machine is still there or not."""
    return any(machine in wishes for wishes in (seen.steering.replace, seen.steering.release, seen.steering.protect))


def _one_of(names: Iterable[str]) -> str:
    known = sorted(set(names))
    if not known:
        return "one that a run has made, and there is none"
    more = f" and {len(known) - NAMES_SHOWN} more" if len(known) > NAMES_SHOWN else ""
    return f"one of {', '.join(known[:NAMES_SHOWN])}{more}"
