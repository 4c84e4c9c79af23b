# SPDX-License-Identifier: GPL-3.0-or-later
"""When a gate or a hook is asked, and what still holds a machine.

Level-triggered: a gate that has not passed is asked again, a hook annotation is waited for as a fact of its node. Nothing
here counts as failed; how long a run may wait is its `progress_deadline`, and a drain's its timeout.
Sources: semantics section 3; the annotations' meaning is Cluster API's (proposal "Machine Deletion Phase Hooks").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import BEFORE_DELETE, BEFORE_DRAIN, Gate, GateLook
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node

ASK_AGAIN = timedelta(seconds=10)  # after the first no; doubling
ASK_AGAIN_MAX = timedelta(seconds=60)

_ANNOTATIONS = {BEFORE_DRAIN: marks.PRE_DRAIN_HOOK, BEFORE_DELETE: marks.PRE_TERMINATE_HOOK}


@dataclass(frozen=True, slots=True)
class Passage:
    """`is_free`: go on. Else `what` it waits for; `ask` the gate now, or wake at `ask_at` (None: a fact will wake us)."""

    is_free: bool
    ask: bool = False
    ask_at: datetime | None = None
    what: str = ""


FREE = Passage(is_free=True)


def passage(gate: Gate | None, look: GateLook | None, now: datetime) -> Passage:
    """Whether `gate` lets the run go on; `look` is its last answer to this question, None before the first."""
    if gate is None or (look is not None and look.passed):
        return FREE
    if look is None:
        return Passage(is_free=False, ask=True, what="not asked yet")
    again = look.at + _patience(look.tries)
    if now >= again:
        return Passage(is_free=False, ask=True, what=look.what)
    return Passage(is_free=False, ask_at=again, what=look.what)


def passage_of_machine(node: Node | None, step: str, gate: Gate | None, look: GateLook | None, now: datetime) -> Passage:
    """The same for one machine before `step`: its gate has to pass, and the hook annotations on its node have to be gone.

    Both are waited for at once: who put the annotation there need not be done before the gate begins.
    """
    asked = passage(gate, look, now)
    left = hooks_on(node, step)
    if not left:
        return asked
    what = f"{', '.join(left)} still on the node"
    return Passage(is_free=False, ask=asked.ask, ask_at=asked.ask_at, what=what if asked.is_free else f"{what}; {asked.what}")


def hooks_on(node: Node | None, step: str) -> list[str]:
    """Cluster API's hook annotations on `node` that hold it back before `step`, each with who owns it."""
    if node is None:
        return []
    found = sorted((key, owner) for key, owner in node.annotations.items() if key.startswith(_ANNOTATIONS[step]))
    return [f"{key} ({owner})" if owner else key for key, owner in found]


def look_after(previous: GateLook | None, answer: tuple[bool, str], now: datetime) -> GateLook:
    """What to remember after an answer `(passed, what)`."""
    passed, what = answer
    if previous is None:
        return GateLook(at=now, passed=passed, what=what, since=now)
    return GateLook(at=now, passed=passed, what=what, since=previous.since, tries=previous.tries + 1)


def _patience(tries: int) -> timedelta:
    doublings = min(tries - 1, 8)  # far beyond the maximum
    return min(ASK_AGAIN * (1 << doublings), ASK_AGAIN_MAX)
