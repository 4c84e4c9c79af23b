# SPDX-License-Identifier: GPL-3.0-or-later
"""A world as users describe it: a dictionary, checked here once, with refusals that name the option.

    {"failure_domains": ["az1", {"name": "az2", "machines_max": 3}],
     "images": {"golden-v1": {}, "bad": {"joins": false}, "broken": {"fault": "kernel panic"}},
     "quotas": {"machines": 10, "ports": 20},
     "nodes": ["worker-1"],
     "workloads": [{"name": "cart", "namespace": "shop", "replicas": 3, "budget": {"max_unavailable": 1}, "stop": "20s"}],
     "backends": [{"name": "web", "sessions": 20, "members": ["legacy-1"]}],
     "durations": {"create": "25s", "ready": {"median": "60s", "sigma": 0.4}, "delete": {"min": 5, "max": 15}},
     "faults": [{"kind": "vm_lost", "target": "web-3-*", "after": "10m"}]}

docs/simulated.md explains each option.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation import mishaps
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, Spread
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.faults import (
    CLOUD,
    CLUSTER,
    ERRORS,
    FAIL,
    STALE,
    UNREACHABLE,
    VERBS,
)
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.options import Options
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import (
    BARE,
    DEPLOYMENT,
    PER_NODE,
    STATEFUL_SET,
    Backend,
    Domain,
    Fault,
    Image,
    Workload,
)

NEVER = "never"
HAND_MADE = "192.0.2."  # addresses of members that no simulated machine stands behind (TEST-NET-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetWish:
    """A PDB as described; one of the two is set."""

    name: str
    min_available: str = ""
    max_unavailable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendWish:
    """A balancer's backend as described, with the members that somebody put there by hand: name, address."""

    backend: Backend
    members: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A checked description. None: not said, so a world that exists keeps what it has."""

    seed: int | None = None
    images: tuple[Image, ...] = ()
    domains: tuple[Domain, ...] = ()
    machines_max: int | None = None
    ports_max: int | None = None
    pods_per_node_max: int | None = None
    has_cluster: bool | None = None
    pushes: bool | None = None
    labels_nodes: bool | None = None
    deletes_nodes: bool | None = None
    nodes: tuple[tuple[str, str], ...] = ()  # name, failure domain
    workloads: tuple[Workload, ...] = ()
    budgets: tuple[BudgetWish, ...] = ()
    backends: tuple[BackendWish, ...] = ()
    durations: Mapping[str, Spread] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


def describe(raw: Mapping[str, Any]) -> Description:
    """Check a description. Raises `Invalid`; `where` is the option's path ("workloads[0].budget.min_available")."""
    options = Options(raw)
    quotas = options.inner("quotas")
    workloads = [_workload(inner) for inner in options.inners("workloads")]
    names = [workload.key for workload, _budgets in workloads]
    _refuse_twice(names, "workloads")
    description = Description(
        seed=options.number("seed"),
        images=tuple(_image(name, inner) for name, inner in options.named("images")),
        domains=tuple(_domain(inner) for inner in options.inners("failure_domains", text_is="name")),
        machines_max=quotas.number("machines", least=-1),
        ports_max=quotas.number("ports", least=-1),
        pods_per_node_max=options.number("pods_per_node_max", least=1),
        has_cluster=options.flag("cluster"),
        pushes=options.flag("pushes"),
        labels_nodes=options.flag("labels_nodes"),
        deletes_nodes=options.flag("deletes_nodes"),
        nodes=tuple(_node(inner) for inner in options.inners("nodes", text_is="name")),
        workloads=tuple(workload for workload, _budgets in workloads),
        budgets=tuple(budget for _workload, budgets in workloads for budget in budgets),
        backends=tuple(_backend(inner) for inner in options.inners("backends", text_is="name")),
        durations=_durations(options.inner("durations")),
        faults=tuple(_fault(inner) for inner in options.inners("faults")),
    )
    quotas.refuse_others()
    options.refuse_others()
    _refuse_twice([wish.backend.name for wish in description.backends], "backends")
    return description


def fault_of(raw: Mapping[str, Any], where: str = "fault") -> Fault:
    """Check one fault. Raises `Invalid`."""
    return _fault(Options(raw, where))


def _image(name: str, options: Options) -> Image:
    digest = options.text("digest") or "sha512:" + hashlib.sha512(name.encode()).hexdigest()
    joins = options.flag("joins")
    image = Image(name, digest, joins=joins is not False, fault=options.text("fault"))
    options.refuse_others()
    return image


def _domain(options: Options) -> Domain:
    least = options.number("machines_max", least=-1)
    domain = Domain(options.text("name", required=True), -1 if least is None else least)
    options.refuse_others()
    return domain


def _node(options: Options) -> tuple[str, str]:
    node = options.text("name", required=True), options.text("failure_domain")
    options.refuse_others()
    return node


def _workload(options: Options) -> tuple[Workload, list[BudgetWish]]:
    namespace, name = options.text("namespace") or "default", options.text("name", required=True)
    kind = options.text("kind", one_of=(DEPLOYMENT, STATEFUL_SET, BARE, PER_NODE)) or DEPLOYMENT
    stop = None if options.is_text("stop", NEVER) else options.spread("stop")
    budgets = [
        _budget(inner, f"{namespace}/{name}" + (f"-{index + 1}" if index else "")) for index, inner in enumerate(options.inners("budget"))
    ]
    workload = Workload(
        namespace=namespace,
        name=name,
        kind=kind,
        wanted=options.number("replicas", least=0) or 0,
        after_nodes=options.number("after_nodes", least=0) or 0,
        per_node=options.number("per_node", least=0) or (1 if kind == PER_NODE else 0),
        start=options.spread("start"),
        stop=stop,
        grace=options.duration("grace") or timedelta(seconds=30),
        budgets=tuple(budget.name for budget in budgets),
        blocked_share=options.share("blocked_share"),
        stuck_share=1.0 if options.is_text("stop", NEVER) else options.share("stuck_share"),
        has_volume=options.flag("volume") is True,
        has_empty_dir=options.flag("empty_dir") is True,
        order=options.number("order") or 0,
    )
    if not workload.wanted and not workload.per_node:
        raise Invalid(what="no pods; expected replicas, or per_node", where=options.path("replicas"))
    if workload.blocked_share and kind != PER_NODE:
        raise Invalid(what=f"is for kind {PER_NODE}; expected a budget instead", where=options.path("blocked_share"))
    options.refuse_others()
    return workload, budgets


def _backend(options: Options) -> BackendWish:
    port, sessions = options.number("port", least=1), options.number("sessions", least=0)
    backend = Backend(
        name=options.text("name", required=True),
        port=80 if port is None else port,
        sessions=sessions or 0,
        counts_sessions=options.flag("counts_sessions") is not False,
        checks=options.flag("checks") is not False,
    )
    members = [
        (inner.text("name", required=True), inner.text("address") or f"{HAND_MADE}{index}")
        for index, inner in enumerate(options.inners("members", text_is="name"), 1)
    ]
    options.refuse_others()
    return BackendWish(backend=backend, members=tuple(members))


def _budget(options: Options, name: str) -> BudgetWish:
    wish = BudgetWish(
        name=name,
        min_available=options.text("min_available"),
        max_unavailable=options.text("max_unavailable"),
    )
    if bool(wish.min_available) == bool(wish.max_unavailable):
        raise Invalid(what="expected exactly one of min_available, max_unavailable", where=options.where)
    for option, value in (("min_available", wish.min_available), ("max_unavailable", wish.max_unavailable)):
        if value:
            count_of(value, 100, round_up=True, option=options.path(option))
    options.refuse_others()
    return wish


def _durations(options: Options) -> dict[str, Spread]:
    spreads = {each.name: options.spread(each.name) for each in fields(Profile)}
    options.refuse_others()
    return {name: spread for name, spread in spreads.items() if spread is not None}


def _fault(options: Options) -> Fault:
    kind = options.text("kind", required=True, one_of=mishaps.KINDS)
    count = options.number("count", least=-1)
    proofs = options.number("proofs", least=0)
    fault = Fault(
        kind=kind,
        target=options.text("target"),
        count=1 if count is None else count,
        error=options.text("error", one_of=tuple(ERRORS)) or "Transient",
        text=options.text("text"),
        after_effect=options.flag("after_effect") is True,
        proofs=2 if proofs is None else proofs,
        delay=options.duration("after") or timedelta(0),
        lasts=options.duration("lasts"),
        age=options.duration("age") or timedelta(0),
    )
    options.refuse_others()
    _check_fault(fault, options)
    return fault


def _check_fault(fault: Fault, options: Options) -> None:
    verbs = [verb for api in VERBS.values() for verb in api]
    if fault.kind == FAIL and fault.target not in ("", *verbs):
        raise Invalid(what=f"{fault.target!r} is no call; expected one of {', '.join(verbs)}", where=options.path("target"))
    if fault.kind == UNREACHABLE and fault.target not in VERBS:
        raise Invalid(what=f"{fault.target!r} cannot be cut off; expected one of {', '.join(VERBS)}", where=options.path("target"))
    if fault.kind == STALE and fault.target not in (CLOUD, CLUSTER):
        raise Invalid(what=f"{fault.target!r} cannot be stale; expected {CLOUD} or {CLUSTER}", where=options.path("target"))
    if fault.kind == STALE and not (fault.age and fault.lasts):
        raise Invalid(what="a stale view needs both age and lasts", where=options.path("age"))


def _refuse_twice(names: Sequence[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise Invalid(what=f"{name} is described twice; expected each once", where=where)
