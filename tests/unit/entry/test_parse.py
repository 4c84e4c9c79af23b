# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters to values: what is refused, with the option's path, and what becomes of the rest."""

from __future__ import annotations

import copy
import socket
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry import parse
from ansible_collections.immutable.fleet.plugins.module_utils.entry.reach import reach_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Gate
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy, Pool, Strategy, Taint
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import revision_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.schedule import ReplacementBudget, Window

DRAIN: dict[str, Any] = {
    "timeout": "15m",
    "on_timeout": "skip",
    "grace_period": None,
    "delete_emptydir_data": True,
    "force": False,
    "volume_detach_timeout": "5m",
    "delete_timeout": "10m",
    "include_cordoned": False,
    "rules": [],
}
RUN: dict[str, Any] = {"timeout": None, "wait": True, "lock_ttl": "60s", "call_timeout": "20s"}
POOL: dict[str, Any] = {
    "name": "web",
    "state": "present",
    "replicas": 3,
    "failure_domains": [],
    "user_data": None,
    "labels": {},
    "taints": [],
    "annotations": {},
    "allow_scale_to_zero": False,
    "max_scale_down": "50%",
    "strategy": {
        "type": "rolling_update",
        "max_surge": "1",
        "max_unavailable": "0",
        "min_ready": "30s",
        "startup_timeout": "20m",
        "progress_deadline": "30m",
        "max_blocked": "5%",
        "max_unhealthy_total": "20%",
        "steps": [],
        "soak": "0",
        "max_failed_new": None,
        "on_breach": "pause",
        "windows": [],
        "budgets": [],
        "max_age": None,
        "order": "longest_drain",
        "gate": None,
        "hooks": None,
    },
    "drain": DRAIN,
    "health": {
        "probes": [],
        "remediate": True,
        "conditions": [],
        "max_unhealthy": "34%",
        "max_in_flight": "5%",
        "cooldown": "5m",
        "suspend_after": 3,
        "reboot": None,
        "preserve_on_fail": 0,
    },
    "balancer": None,
    "simulated": {"world": "world.sqlite", "image": "v1", "flavor": None, "networks": None},
    "openstack": None,
    "kubernetes": None,
    **RUN,
}


def with_option(path: str, value: Any) -> dict[str, Any]:
    """The pool above with one option changed: "strategy.max_surge"."""
    params = copy.deepcopy(POOL)
    *parents, last = path.split(".")
    inner = params
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return params


def test_the_defaults_are_those_of_the_model() -> None:
    """A task that says nothing gets what semantics section 3 and 4 ship."""
    request = parse.pool_request(POOL)
    assert request.pool == Pool(
        name="web",
        replicas=3,
        revision=revision_of({}),
        strategy=Strategy(max_surge="1", max_unavailable="0"),
        drain=DrainPolicy(),
        health=HealthPolicy(),
        reach=reach_of(POOL),
    )
    assert (request.settings.lock_ttl, request.settings.call_timeout) == (timedelta(seconds=60), timedelta(seconds=20))


def test_labels_and_taints_become_text() -> None:
    """YAML's true and 5 are texts in Kubernetes."""
    params = with_option("labels", {"example.com/tier": True, "weight": 5, "node-role.kubernetes.io/worker": ""})
    params["taints"] = [{"key": "dedicated", "value": "batch", "effect": "NoSchedule"}]
    pool = parse.pool_request(params).pool
    assert pool.labels == {"example.com/tier": "true", "weight": "5", "node-role.kubernetes.io/worker": ""}
    assert pool.taints == (Taint("dedicated", "batch", "NoSchedule"),)


def test_a_grace_period_of_zero_is_honoured() -> None:
    """FM7: 0 is a value, not an absence."""
    assert parse.pool_request(with_option("drain.grace_period", 0)).pool.drain.grace_period == 0


def test_a_strategy_with_all_that_is_optional() -> None:
    """Windows are as declared: their intervals are known once the run's clock is."""
    strategy = parse.pool_request(
        with_option(
            "strategy",
            POOL["strategy"]
            | {
                "windows": [{"cron": "0 22 * * 1-5", "duration": "6h", "timezone": "Europe/Berlin"}],
                "budgets": [{"count": "10%", "cron": None, "duration": None, "timezone": "UTC"}],
                "max_age": "30d",
                "order": "oldest",
                "gate": {"command": ["true"], "url": None},
                "hooks": {"before_drain": {"command": None, "url": "https://vips.example/${machine_name}"}, "before_delete": None},
            },
        )
    ).pool.strategy
    assert strategy == Strategy(
        max_surge="1",
        max_unavailable="0",
        windows=(Window(cron="0 22 * * 1-5", duration=timedelta(hours=6), timezone="Europe/Berlin"),),
        budgets=(ReplacementBudget(count="10%"),),
        max_age=timedelta(days=30),
        order="oldest",
        gate=Gate(command=("true",)),
        before_drain=Gate(url="https://vips.example/${machine_name}"),
    )


REFUSED = [
    ("replicas", 0, "replicas", "allow_scale_to_zero: true"),
    ("replicas", -1, "replicas", "expected 0 or more"),
    ("name", "Web_1", "name", "expected up to 46 of a-z"),
    ("name", "w" * 47, "name", "expected up to 46"),
    ("strategy.max_surge", "0", "strategy.max_surge, strategy.max_unavailable", "expected one above 0"),
    ("strategy.max_surge", "many", "strategy.max_surge", "expected a number or a percentage"),
    ("strategy.max_unavailable", "-1", "strategy.max_unavailable", "expected a number or a percentage"),
    ("strategy.max_blocked", "5 percent", "strategy.max_blocked", "expected a number or a percentage"),
    ("strategy.max_unhealthy_total", "x", "strategy.max_unhealthy_total", "expected a number or a percentage"),
    ("strategy.min_ready", "soon", "strategy.min_ready", "expected seconds or a text such as 90s"),
    ("strategy.startup_timeout", "0", "strategy.startup_timeout", "expected more"),
    ("strategy.progress_deadline", "1 hour", "strategy.progress_deadline", "expected seconds"),
    ("strategy.max_age", "a month", "strategy.max_age", "expected seconds"),
    ("strategy.max_age", "20m", "strategy.max_age", "expected more, such as 30d"),
    ("strategy.windows", [{"cron": "0 22 * *", "duration": "1h", "timezone": "UTC"}], "strategy.windows[0].cron", "expected five fields"),
    (
        "strategy.budgets",
        [{"count": "1", "cron": None, "duration": None, "timezone": "UTC"}, {"count": "few", "cron": None, "duration": None}],
        "strategy.budgets[1].count",
        "expected a number or a percentage",
    ),
    ("strategy.gate", {"command": None, "url": None}, "strategy.gate.command, strategy.gate.url", "exactly one"),
    (
        "strategy.gate",
        {"command": None, "url": "https://gate.example/${machine_name}"},
        "strategy.gate.url",
        "expected ${pool}, ${revision}, ${step}",
    ),
    (
        "strategy.hooks",
        {"before_drain": None, "before_delete": {"command": ["./bye"], "url": None}},
        "strategy.hooks.before_delete.command",
        "expected a name or an absolute path",
    ),
    ("drain.timeout", "15 minutes", "drain.timeout", "expected seconds"),
    ("drain.grace_period", -5, "drain.grace_period", "expected 0 or more seconds"),
    ("drain.volume_detach_timeout", "", "drain.volume_detach_timeout", "expected seconds"),
    ("max_scale_down", "half", "max_scale_down", "expected a number or a percentage"),
    ("failure_domains", ["az1", "az1"], "failure_domains", "expected each name once"),
    ("failure_domains", ["az1", ""], "failure_domains", "expected names"),
    ("labels", {"-bad": "x"}, "labels.-bad", "expected a form such as"),
    ("labels", {"tier": "a b"}, "labels.tier", "expected up to 63"),
    ("labels", {"immutable.fleet/pool": "x"}, "labels.immutable.fleet/pool", "expected another key"),
    ("taints", [{"key": "!", "value": "", "effect": "NoSchedule"}], "taints[0].key", "no key that Kubernetes takes"),
    ("timeout", "0", "timeout", "expected more"),
    ("lock_ttl", "10s", "call_timeout", "expected less than half of it"),
    ("simulated.image", None, "simulated.image", "expected the name of an image"),
    ("drain.rules", [{"behavior": "Skip"}], "drain.rules", "rules are for real clusters"),
]


@pytest.mark.parametrize(("path", "value", "where", "expected"), REFUSED, ids=[f"{row[0]}={row[1]!r:.20}" for row in REFUSED])
def test_a_wrong_option_is_refused_with_its_path(path: str, value: Any, where: str, expected: str) -> None:
    """`where` is the option's path, `what` says what was expected."""
    with pytest.raises(Invalid) as refused:
        parse.pool_request(with_option(path, value))
    assert refused.value.where == where
    assert expected in refused.value.what


@pytest.mark.parametrize(
    ("strategy", "state", "refused"),
    [
        ({"max_surge": "1"}, "present", True),
        ({"max_surge": "25%"}, "present", True),
        ({"max_surge": "0", "max_unavailable": "1"}, "present", False),
        ({"type": "recreate"}, "present", False),
        ({"max_surge": "1"}, "absent", False),
    ],
)
def test_addresses_that_stay_need_the_old_machine_to_go_first(strategy: dict[str, str], state: str, refused: bool) -> None:
    """It holds the address until it is gone."""
    params = {**with_option("simulated", None), "state": state, "vsphere": {"stable_addresses": True}, "kubernetes": {}}
    params["strategy"] |= strategy
    if not refused:
        parse.pool_request(params)
        return
    with pytest.raises(Invalid, match="expected max_surge 0, or type recreate") as refusal:
        parse.pool_request(params)
    assert refusal.value.where == "vsphere.stable_addresses, strategy.max_surge"


@pytest.mark.parametrize(
    ("strategy", "vsphere"), [({"type": "recreate"}, {}), ({"max_surge": "0", "max_unavailable": "1"}, {"stable_addresses": True})]
)
def test_a_machine_that_is_kept_gives_up_neither_name_nor_address(strategy: dict[str, str], vsphere: dict[str, bool]) -> None:
    """So that its successor could not be made."""
    params = {**with_option("health.preserve_on_fail", 1), "simulated": None, "vsphere": vsphere, "kubernetes": {}}
    params["strategy"] |= strategy
    with pytest.raises(Invalid, match="expected 0") as refusal:
        parse.pool_request(params)
    assert refusal.value.where == "health.preserve_on_fail"


def test_a_removal_needs_no_template() -> None:
    """Who deletes a pool need not know what it was made of."""
    params = {**with_option("simulated.image", None), "state": "absent", "replicas": None}
    request = parse.pool_request(params)
    assert (request.is_absent, request.pool.replicas) == (True, 0)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param(
            {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "HOSTNAME": "something-else"}, socket.gethostname(), id="in a cluster: its host name"
        ),
        pytest.param({"HOSTNAME": "bastion"}, "", id="outside of one"),
    ],
)
def test_FM42_the_pod_that_a_run_lives_in(environment: dict[str, str], expected: str) -> None:
    """A pod's host name is its own name; the kubelet gives every container that variable."""
    assert parse.own_pod(environment) == expected


def test_the_holder_names_the_awx_job() -> None:
    """A second run says who is at work: in AWX the host is a pod that nobody knows."""
    assert parse.holder({"AWX_HOST": "https://awx", "JOB_ID": "42"}).endswith(", AWX job 42")
    assert "AWX" not in parse.holder({"JOB_ID": "42"})


def test_nodes_are_named_once_each() -> None:
    """A list with a node in it twice is a mistake somewhere; an empty one as well."""
    params = {"nodes": ["a", "b"], "state": "drained", "drain": DRAIN, "kubernetes": {}, **RUN}
    assert parse.drain_request(params).nodes == ("a", "b")
    for nodes in (["a", "a"], [], [" "]):
        with pytest.raises(Invalid, match="nodes"):
            parse.drain_request({**params, "nodes": nodes})
