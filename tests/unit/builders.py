# SPDX-License-Identifier: GPL-3.0-or-later
"""Values for tests, with everything that a row does not care about filled in: `machine("m1", OLD, BOOTING)`.

It is always NOW. A machine is of the wanted revision, available for long, and carries what its node should, unless told
otherwise. Nothing here decides anything.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import (
    AVAILABLE,
    BOOTING,
    FAILED,
    GOING,
    NOT_READY,
    QUARANTINED,
)
from ansible_collections.immutable.fleet.plugins.module_utils.decide.dress import OUTDATED
from ansible_collections.immutable.fleet.plugins.module_utils.engine.telling import verb_of
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Action, Create, Decision, key_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, EvictionTry, Look, Node, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy, Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Creating, Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm

NOW = datetime(2026, 11, 21, 4, 10, 7, tzinfo=UTC)
OLD, NEW = "old", "new"
POOL = "web"

# Kinds of machines beside the six classes, for `machine`.
JOINED = "joined"  # booting, with a node that was never ready
YOUNG = "young"  # booting: ready for less than min_ready
HELD = "held"  # a person cordoned it


def ago(seconds: float) -> datetime:
    """So long before NOW."""
    return NOW - timedelta(seconds=seconds)


def later(seconds: float) -> datetime:
    """So long after NOW."""
    return NOW + timedelta(seconds=seconds)


def pod(name: str, *budgets: str, **more: Any) -> Pod:
    """A pod of a Deployment, of 30 s grace, under these PDBs."""
    return Pod(**{"uid": f"uid-{name}", "namespace": "shop", "name": name, "budgets": budgets, **more})


def budget(name: str = "shop/cart", allowed: int = 1, *, desired: int = 2, expected: int = 3) -> Budget:
    """A PDB that leaves room, unless told otherwise."""
    return Budget(name=name, allowed=allowed, healthy=desired + allowed, desired=desired, expected=expected)


def tried(seconds_ago: float, retry_at: datetime | None = None) -> EvictionTry:
    """An eviction sent so long ago; accepted, unless there is a time to try again."""
    return EvictionTry(sent_at=ago(seconds_ago), retry_at=retry_at)


def look(seconds_ago: float, pods: tuple[str, ...] = (), attachments: tuple[str, ...] = ()) -> Look:
    """A direct read begun so long ago."""
    return Look(begun_at=ago(seconds_ago), pods=pods, attachments=attachments)


def vm(name: str = "m1", revision: str = NEW, **more: Any) -> Vm:
    """A VM of the pool that runs since an hour."""
    return Vm(**{"id": f"id-{name}", "name": name, "status": vm_states.RUNNING, "created_at": ago(3600), "revision": revision, **more})


def node(name: str = "m1", revision: str = NEW, **more: Any) -> Node:
    """A node of the pool that is ready since almost an hour and carries what it should."""
    labels = {marks.NODE_POOL: POOL, marks.NODE_REVISION: revision}
    facts = {
        "uid": f"node-{name}",
        "version": "1",
        "created_at": ago(3590),
        "ready": True,
        "ready_since": ago(3580),
        "was_ready": True,
        "pool": POOL,
        "revision": revision,
        "labels": labels,
        "taints": () if revision == NEW else (OUTDATED,),
    }
    return Node(**{"name": name, **facts, **more})


def machine(name: str = "m1", revision: str = NEW, kind: str = AVAILABLE, **more: Any) -> Machine:
    """A machine of this kind (a class, or JOINED, YOUNG, HELD). `more` is for its VM or node, whoever has such a field."""
    of_vm, of_node = dict(KINDS[kind][0]), dict(KINDS[kind][1]) if KINDS[kind][1] is not None else None
    overlay = {key: more.pop(key) for key in ("choosing", "deleting", "setting_aside", "emptied_at", "health") if key in more}
    for key, value in more.items():
        if key in Vm.__dataclass_fields__:
            of_vm[key] = value
        elif of_node is not None:
            of_node[key] = value
    its_node = None if of_node is None else node(name, revision, **of_node)
    return Machine(name=name, vm=vm(name, revision, **of_vm), node=its_node, **overlay)


NEVER_READY = {"ready": False, "ready_since": ago(60), "created_at": ago(60), "was_ready": False}
CHOSEN = {"schedulable": False, "chosen": Note(ago(60), "outdated")}

# kind -> what differs on the VM, what differs on the node (None: it has none)
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    AVAILABLE: ({}, {}),
    BOOTING: ({"created_at": ago(60)}, None),
    JOINED: ({"created_at": ago(90)}, NEVER_READY),
    YOUNG: ({"created_at": ago(90)}, {"ready_since": ago(10), "created_at": ago(12)}),
    NOT_READY: ({}, {"ready": None, "ready_since": ago(60)}),
    HELD: ({}, {"schedulable": False}),
    FAILED: ({"status": vm_states.ERROR, "fault": "No valid host was found."}, None),
    GOING: ({}, {**CHOSEN, "pods": (pod("stays", wait_completed=True),)}),
    QUARANTINED: ({}, {**CHOSEN, "quarantined": Note(ago(30), "1 pod left"), "pods": (pod("stays", wait_completed=True),)}),
}


def pool(replicas: int = 3, surge: int | str = 1, unavailable: int | str = 0, **more: Any) -> Pool:
    """The pool `web` of revision NEW. `drain` options by name; everything else is the strategy's or the pool's."""
    of_drain = {key: more.pop(key) for key in list(more) if key in DrainPolicy.__dataclass_fields__}
    of_strategy = {key: more.pop(key) for key in list(more) if key in Strategy.__dataclass_fields__}
    return Pool(
        name=POOL,
        replicas=replicas,
        revision=Revision({"image": "sha512:new"}, NEW),
        strategy=Strategy(max_surge=surge, max_unavailable=unavailable, **of_strategy),
        drain=DrainPolicy(**of_drain),
        **more,
    )


def creating(name: str = "web-0-aaaaa", slot: int = 0, domain: str = "") -> Creating:
    """A create in flight."""
    return Creating(name=name, slot=slot, failure_domain=domain, sent_at=ago(1))


def snapshot(*machines: Machine, **more: Any) -> Snapshot:
    """These machines, seen NOW by a run that began a minute ago and came nearer to its end just now."""
    facts = {"at": NOW, "began_at": ago(60), "progressed_at": NOW, "machines": {each.name: each for each in machines}}
    return Snapshot(**{**facts, **more})


def say(action: Action) -> str:
    """An action as a line: `choose m1: outdated; 4 available > floor 3`."""
    subject = f"slot {action.slot}" if isinstance(action, Create) else key_of(action).split()[-1]
    return f"{verb_of(action)} {subject}: {action.reason}"


def said(decision: Decision) -> list[str]:
    """All actions of a decision, each as a line."""
    return [say(action) for action in decision.actions]


def blocked(decision: Decision) -> list[str]:
    """All blockers of a decision, each as "code where: what"."""
    return [f"{blocker.code} {blocker.where}: {blocker.what}" for blocker in decision.blockers]
