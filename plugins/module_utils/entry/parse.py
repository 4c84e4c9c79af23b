# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters to values. Dictionaries and texts end here; from here on there are frozen dataclasses.

Promises: everything that can be seen to be wrong without a call is refused here, as `Invalid` whose `where` is the option's
path and whose `what` says what was expected.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.entry.health import health_policy
from ansible_collections.immutable.fleet.plugins.module_utils.entry.reach import reach_of
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import RECREATE, DrainPolicy, Pool, Strategy, Taint, limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of, duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import revision_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.user_data import placeholders, refuse_unknown

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import ServiceProbe

Params = Mapping[str, Any]

POOL_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
POOL_NAME_LENGTH_MAX = 46  # a machine's name adds a slot and a suffix, and has to fit a DNS label (63)
LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
OF_THE_MACHINE = frozenset({"machine_name", "slot", "failure_domain"})  # what user data may ask for
OF_THE_CLUSTER = frozenset({"bootstrap_token", "api_server", "ca_hash"})
STEPS_OF = 100  # machines that a percentage is tried on
OF_THE_POOL = frozenset({"pool", "step", "revision"})  # what the URL of a gate may ask for; that of a hook also for the machine
TTL_PER_CALL = 2  # a holder has to be able to renew while its slowest call runs


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRequest:
    """A pool as asked for. Its revision is empty until the cloud has resolved the template."""

    pool: Pool
    is_absent: bool
    max_scale_down: int | str
    user_data: str
    settings: RunSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoRequest:
    """A pool to be looked at. `is_described`: its options say what machines should be made of."""

    pool: Pool
    is_described: bool
    user_data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainRequest:
    """Nodes as asked for; `state` is drained, cordoned or uncordoned."""

    nodes: tuple[str, ...]
    state: str
    policy: DrainPolicy
    settings: RunSettings


def pool_request(params: Params) -> PoolRequest:
    """The request of `node_pool`. Raises `Invalid`."""
    exactly_one(params, "openstack", "vsphere", "simulated")
    if params["balancer"] is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.entry import balancing  # few pools have one

        balancing.check(params)
    _needs_a_cluster(params)
    _rules_need_a_cluster(params)
    is_absent = params["state"] == "absent"
    pool = Pool(
        name=pool_name(params["name"]),
        replicas=0 if is_absent else _replicas(params),
        revision=revision_of({}),
        failure_domains=_distinct(params["failure_domains"], "failure_domains"),
        strategy=_strategy(params["strategy"]),
        drain=drain_policy(params["drain"]),
        health=health_policy(params["health"]),
        labels=_labels(params["labels"], "labels", check_value=True),
        taints=tuple(_taint(taint, f"taints[{index}]") for index, taint in enumerate(params["taints"])),
        annotations=_labels(params["annotations"], "annotations", check_value=False),
        placeholders=_placeholders(params["user_data"] or "", has_cluster=params["balancer"] is None),
        reach=reach_of(params),
        probes=_probes(params["health"]["probes"]),
    )
    limits = limits_of(pool)  # for its refusals, too
    if not is_absent and limits.surge and (params.get("vsphere") or {}).get("stable_addresses"):
        what = "a machine that is made beside the old one cannot have its address; expected max_surge 0, or type recreate"
        raise Invalid(what=what, where="vsphere.stable_addresses, strategy.max_surge")
    if limits.preserved and (pool.strategy.type == RECREATE or (params.get("vsphere") or {}).get("stable_addresses")):
        what = "a machine that is kept has the name or the address that its successor needs; expected 0"
        raise Invalid(what=what, where="health.preserve_on_fail")
    if not is_absent and params.get("simulated") and not params["simulated"]["image"] and not params.get("image"):
        raise Invalid(what="missing; expected the name of an image", where="simulated.image")
    max_scale_down = params["max_scale_down"]
    count_of(max_scale_down, 100, round_up=True, option="max_scale_down")
    return PoolRequest(
        pool=pool,
        is_absent=is_absent,
        max_scale_down=max_scale_down,
        user_data=params["user_data"] or "",
        settings=run_settings(params),
    )


def info_request(params: Params) -> InfoRequest:
    """The request of `node_pool_info`. Raises `Invalid`."""
    exactly_one(params, "openstack", "vsphere", "simulated")
    if params["balancer"] is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.entry import balancing

        balancing.check_balancer(params)
    provider = params.get("openstack") or params.get("vsphere") or params.get("simulated") or {}
    return InfoRequest(
        pool=Pool(name=pool_name(params["name"]), replicas=0, revision=revision_of({})),
        is_described=bool(params.get("image")) or any(provider.get(option) for option in ("image", "image_properties", "template")),
        user_data=params["user_data"] or "",
    )


def drain_request(params: Params) -> DrainRequest:
    """The request of `node_drain`. Raises `Invalid`."""
    exactly_one(params, "kubernetes", "simulated")
    _rules_need_a_cluster(params)
    nodes = _distinct(params["nodes"], "nodes")
    if not nodes:
        raise Invalid(what="the list is empty; expected the name of at least one node", where="nodes")
    return DrainRequest(
        nodes=nodes,
        state=params["state"],
        policy=drain_policy(params["drain"]),
        settings=run_settings(params),
    )


def pool_name(name: str) -> str:
    """`name`, when names of machines can begin with it."""
    if not POOL_NAME.fullmatch(name) or len(name) > POOL_NAME_LENGTH_MAX:
        raise Invalid(
            what=f"{name!r} is no name of a pool; expected up to {POOL_NAME_LENGTH_MAX} of a-z, 0-9 and -, beginning with a letter",
            where="name",
        )
    return name


def run_settings(params: Params) -> RunSettings:
    """How the run behaves."""
    ttl = _positive(params["lock_ttl"], "lock_ttl")
    call_timeout = _positive(params["call_timeout"], "call_timeout")
    if call_timeout * TTL_PER_CALL >= ttl:
        raise Invalid(
            what=f"{params['call_timeout']} is too long beside lock_ttl {params['lock_ttl']}; expected less than half of it",
            where="call_timeout",
        )
    return RunSettings(
        holder=holder(os.environ),
        lock_ttl=ttl,
        call_timeout=call_timeout,
        timeout=_positive(params["timeout"], "timeout") if params["timeout"] is not None else None,
        wait=params["wait"],
        own_pod=own_pod(os.environ),
    )


def own_pod(environment: Mapping[str, str]) -> str:
    """The pod we live in, as in an AWX container group: a pod's host name is its own. "" outside of a cluster."""
    return socket.gethostname() if "KUBERNETES_SERVICE_HOST" in environment else ""


def holder(environment: Mapping[str, str]) -> str:
    """Who holds the lock, for a person to read: "deploy@runner-2 pid 4711 (k3x9)", with the AWX job where there is one.

    The end is chance: in containers host name and process id come again, and a run must not take a dead namesake for itself.
    """
    return f"{_user()}@{socket.gethostname()} pid {os.getpid()} ({os.urandom(2).hex()}){_awx_job(environment)}"


def who(environment: Mapping[str, str]) -> str:
    """Who asks for something: "ops@bastion", with the AWX job where there is one."""
    return f"{_user()}@{socket.gethostname()}{_awx_job(environment)}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in passwd
        return f"uid {os.getuid()}"


def _awx_job(environment: Mapping[str, str]) -> str:
    return f", AWX job {environment['JOB_ID']}" if "AWX_HOST" in environment and "JOB_ID" in environment else ""


def _rules_need_a_cluster(params: Params) -> None:
    """A simulated workload has its order in its world; a rule that did nothing would promise what it does not hold."""
    if params["drain"]["rules"] and params.get("kubernetes") is None:
        raise Invalid(
            what="rules are for real clusters; expected none here: workloads of the world have their own order", where="drain.rules"
        )


def drain_policy(params: Params, path: str = "drain") -> DrainPolicy:
    """How nodes are emptied."""
    grace = params["grace_period"]
    if grace is not None and grace < 0:
        raise Invalid(what=f"{grace} is no grace period; expected 0 or more seconds", where=f"{path}.grace_period")
    return DrainPolicy(
        timeout=duration(params["timeout"], f"{path}.timeout"),
        on_timeout=params["on_timeout"],
        grace_period=grace,
        delete_emptydir_data=params["delete_emptydir_data"],
        force=params["force"],
        volume_detach_timeout=duration(params["volume_detach_timeout"], f"{path}.volume_detach_timeout"),
        delete_timeout=duration(params["delete_timeout"], f"{path}.delete_timeout"),
        include_cordoned=params["include_cordoned"],
    )


def _strategy(params: Params) -> Strategy:
    return Strategy(
        type=params["type"],
        max_surge=params["max_surge"],
        max_unavailable=params["max_unavailable"],
        max_blocked=params["max_blocked"],
        max_unhealthy_total=params["max_unhealthy_total"],
        min_ready=duration(params["min_ready"], "strategy.min_ready"),
        startup_timeout=_positive(params["startup_timeout"], "strategy.startup_timeout"),
        progress_deadline=_positive(params["progress_deadline"], "strategy.progress_deadline"),
        steps=_steps(params["steps"]),
        soak=duration(params["soak"], "strategy.soak"),
        max_failed_new=_lost_at_most(params["max_failed_new"]),
        on_breach=params["on_breach"],
        order=params["order"],
        **_calendar(params),
        **_gates(params),
    )


def _steps(given: list[str]) -> tuple[str, ...]:
    for index, step in enumerate(given):
        if count_of(step, STEPS_OF, round_up=True, option=f"strategy.steps[{index}]") == 0:
            raise Invalid(what="a step of 0 machines is none; expected 1 or more, or a percentage", where=f"strategy.steps[{index}]")
    return tuple(given)


def _lost_at_most(given: str | None) -> str | None:
    if given is not None and count_of(given, STEPS_OF, round_up=True, option="strategy.max_failed_new") == 0:
        raise Invalid(what="0 would refuse an image that lost no machine; expected 1 or more", where="strategy.max_failed_new")
    return given


def _calendar(params: Params) -> dict[str, Any]:
    """When machines may be replaced, how many, and how old they may get."""
    given: dict[str, Any] = {}
    if params["windows"] or params["budgets"]:
        from ansible_collections.immutable.fleet.plugins.module_utils.entry import schedules

        given["windows"] = tuple(schedules.window(each, f"strategy.windows[{i}]") for i, each in enumerate(params["windows"]))
        given["budgets"] = tuple(schedules.budget(each, f"strategy.budgets[{i}]") for i, each in enumerate(params["budgets"]))
    if params["max_age"] is not None:
        given["max_age"] = _positive(params["max_age"], "strategy.max_age")
        if given["max_age"] <= duration(params["startup_timeout"]):
            raise Invalid(
                what=f"{params['max_age']} is over before a machine has to be ready (startup_timeout {params['startup_timeout']}); "
                "expected more, such as 30d",
                where="strategy.max_age",
            )
    return given


def _gates(params: Params) -> dict[str, Any]:
    """Who is asked before the run goes on."""
    hooks = params["hooks"] or {}
    asked = {"gate": params["gate"], "before_drain": hooks.get("before_drain"), "before_delete": hooks.get("before_delete")}
    if not any(each is not None for each in asked.values()):
        return {}
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import gates

    between_steps = OF_THE_POOL
    of_a_machine = OF_THE_POOL | {"machine_name"}
    return {
        name: gates.gate(each, "strategy.gate", between_steps)
        if name == "gate"
        else gates.gate(each, f"strategy.hooks.{name}", of_a_machine)
        for name, each in asked.items()
        if each is not None
    }


def _probes(given: list[Params]) -> tuple[ServiceProbe, ...]:
    if not given:
        return ()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry.probes import probes_of

    return probes_of(given)


def _replicas(params: Params) -> int:
    replicas: int | None = params["replicas"]
    if replicas is None:
        raise Invalid(what="missing; expected the number of machines", where="replicas")
    if replicas < 0:
        raise Invalid(what=f"{replicas} is no number of machines; expected 0 or more", where="replicas")
    if replicas == 0 and not params["allow_scale_to_zero"]:
        raise Invalid(
            what="0 would delete every machine of the pool; expected 1 or more, or allow_scale_to_zero: true beside it",
            where="replicas",
        )
    return replicas


def _needs_a_cluster(params: Params) -> None:
    """Somebody has to say when a machine is ready, and to keep the lock without which two runs could both create.

    That is the cluster; or a balancer and the cloud.
    """
    if not params.get("simulated") and params.get("kubernetes") is None and params["balancer"] is None:
        raise Invalid(
            what="missing; expected the connection to the cluster, {} for the current context of the default kubeconfig; or a balancer",
            where="kubernetes",
        )


def _placeholders(user_data: str, *, has_cluster: bool) -> frozenset[str]:
    refuse_unknown(user_data, OF_THE_MACHINE | OF_THE_CLUSTER if has_cluster else OF_THE_MACHINE)
    return placeholders(user_data)


def _labels(given: Params, path: str, *, check_value: bool) -> dict[str, str]:
    for key, value in given.items():
        where = f"{path}.{key}"
        if not LABEL_KEY.fullmatch(str(key)):
            raise Invalid(what=f"{key!r} is no key that Kubernetes takes; expected a form such as example.com/name", where=where)
        if str(key).startswith(f"{marks.PREFIX}/"):
            raise Invalid(what=f"{key!r} is the collection's own; expected another key", where=where)
        if check_value and not LABEL_VALUE.fullmatch(_as_text(value)):
            raise Invalid(what=f"{value!r} is no value that Kubernetes takes; expected up to 63 of A-Z a-z 0-9 - _ .", where=where)
    return {str(key): _as_text(value) for key, value in given.items()}


def _taint(given: Params, path: str) -> Taint:
    if not LABEL_KEY.fullmatch(given["key"]):
        raise Invalid(what=f"{given['key']!r} is no key that Kubernetes takes", where=f"{path}.key")
    return Taint(given["key"], given["value"], given["effect"])


def exactly_one(params: Params, *names: str) -> None:
    """Ansible counts an option that is given as null; a template that comes out empty is such a one."""
    if sum(params.get(name) is not None for name in names) != 1:
        raise Invalid(what="expected exactly one of them", where=", ".join(names))


def _as_text(value: Any) -> str:
    """YAML's true is the text "true" in a label."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _distinct(values: list[str], path: str) -> tuple[str, ...]:
    doubled = sorted({value for value in values if values.count(value) > 1})
    if doubled:
        raise Invalid(what=f"{', '.join(doubled)} stands there twice; expected each name once", where=path)
    if not all(value.strip() for value in values):
        raise Invalid(what="an entry is empty; expected names", where=path)
    return tuple(values)


def _positive(value: object, path: str) -> timedelta:
    span = duration(value, path)
    if not span:
        raise Invalid(what="0 leaves no time at all; expected more", where=path)
    return span
