# SPDX-License-Identifier: GPL-3.0-or-later
"""Each action as one call on the simulated world: what it writes, and what it is refused by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.handlers import call_of
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Action, Choose, Clear, Create, Delete, Evict, LookAt
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, InvariantViolated
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate

CREATE = Create(2, "az1", 3, "2 exist < ceiling 3")
NAME = "web-2-aaaaa"


def done(estate: Estate, action: Action, pool: Pool | None = None, name: str = "") -> object:
    """The answer of the one call that this action is."""
    return call_of(action, name, estate.runtime.now(), estate.ports(), pool)()


def one(things: Iterable[object]) -> object:
    (thing,) = things
    return thing


def vms(estate: Estate) -> list[Vm]:
    return list(estate.ports().cloud.list_vms(None, with_leftovers=False).vms)  # type: ignore[union-attr]


def nodes(estate: Estate) -> dict[str, Node]:
    estate.world.facts.refresh()
    return dict(estate.world.facts.nodes)


def grown() -> tuple[Estate, Machine]:
    """An estate with one machine that serves two pods."""
    estate = Estate()
    estate.run(estate.pool(1))
    estate.workload("cart", 2)
    estate.runtime.play_until(estate.runtime.now() + timedelta(minutes=1))
    (vm,) = vms(estate)
    return estate, Machine(name=vm.name, vm=vm, node=nodes(estate)[vm.name])


def test_FM26_a_create_carries_everything_that_finds_it_again() -> None:
    """Name, slot, domain, revision and its fields, attempt: chosen before the call."""
    estate = Estate().domains("az1")
    pool = estate.pool(3)
    done(estate, CREATE, pool, NAME)
    (made,) = vms(estate)
    facts = (made.name, made.slot, made.failure_domain, made.revision, dict(made.fields), made.attempt)
    assert facts == (NAME, 2, "az1", pool.revision.id, dict(pool.revision.fields), 3)


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [
        pytest.param(frozenset(), [], id="user data that asks for none"),
        pytest.param(frozenset({"bootstrap_token", "api_server"}), [NAME], id="user data with ${bootstrap_token}"),
    ],
)
def test_FM40_a_token_is_minted_for_the_machine_that_needs_one(asked: frozenset[str], tokens: list[str]) -> None:
    """Just in time, for one machine, and only where the user data asks for it."""
    estate = Estate()
    done(estate, CREATE, replace(estate.pool(3), placeholders=asked), NAME)
    assert [token.machine for token in estate.world.tokens.of("web")] == tokens


@pytest.mark.parametrize("asked", [(), ("api_server", "ca_hash"), ("bootstrap_token",)], ids=["nothing", "join values", "a token"])
def test_user_data_is_filled_with_what_it_asks_for(asked: tuple[str, ...]) -> None:
    """Name, slot and failure domain cost nothing and are always there; the cluster is asked only for what is wanted."""
    estate = Estate().domains("az1")
    done(estate, CREATE, replace(estate.pool(3), placeholders=frozenset(asked)), NAME)
    values = next(iter(estate.world.hypervisor.values.values()))
    expected = {"machine_name": NAME, "slot": "2", "failure_domain": "az1"}
    if "api_server" in asked:
        expected |= estate.ports().cluster.join_values()  # type: ignore[union-attr]
    if "bootstrap_token" in asked:
        (token,) = estate.world.tokens.of("web")
        expected["bootstrap_token"] = values["bootstrap_token"]
        assert values["bootstrap_token"].startswith(f"{token.id}.")
    assert values == expected


def test_a_mark_is_cordon_and_annotation_in_one_patch() -> None:
    """Both or neither, with the reason."""
    estate, subject = grown()
    done(estate, Choose(subject, "outdated; 4 available > floor 3"))
    node = nodes(estate)[subject.name]
    assert (node.is_cordoned_by_us, node.chosen.why if node.chosen else "") == (True, "outdated; 4 available > floor 3")


def test_FM10_a_mark_never_overwrites_what_somebody_just_did() -> None:
    """A person who cordons in the same moment is faster: refused, and looked at again."""
    estate, subject = grown()
    estate.world.nodes.cordon(subject.name, schedulable=False)
    with pytest.raises(Conflict):
        done(estate, Choose(subject, "outdated"))
    assert nodes(estate)[subject.name].annotations.get(marks.NODE_CHOSEN) is None


def test_FM09_a_cordon_that_is_repeated_keeps_its_first_reason() -> None:
    """The clock of its drain goes on."""
    estate, subject = grown()
    done(estate, Choose(subject, "outdated"))
    chosen = nodes(estate)[subject.name].chosen
    estate.runtime.play_until(estate.runtime.now() + timedelta(minutes=1))
    estate.world.nodes.cordon(subject.name, schedulable=True)
    done(estate, Choose(replace(subject, node=nodes(estate)[subject.name]), "cordon again"))
    assert nodes(estate)[subject.name].chosen == chosen


@pytest.mark.parametrize("by_force", [False, True], ids=["evicted", "deleted past its budget"])
def test_a_pod_is_asked_to_go(by_force: bool) -> None:
    """By eviction, or by force."""
    estate, subject = grown()
    pod = subject.node.pods[0] if subject.node else None
    assert pod is not None
    done(estate, Evict(subject.name, pod, "no PDB", by_force=by_force))
    assert [left.terminating_since is not None for left in nodes(estate)[subject.name].pods if left.uid == pod.uid] == [True]


def test_FM07_a_grace_period_of_0_is_honoured() -> None:
    """0 is a number, not the absence of one."""
    estate, subject = grown()
    pod = subject.node.pods[0] if subject.node else None
    assert pod is not None
    done(estate, Evict(subject.name, pod, "no PDB", grace=timedelta(0)))
    estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=1))
    assert pod.uid not in [left.uid for left in nodes(estate)[subject.name].pods]


def test_FM05_a_look_is_a_direct_read() -> None:
    """What runs there now, by full names."""
    estate, subject = grown()
    assert subject.node is not None
    look = done(estate, LookAt(subject.node, "no pods left"))
    assert sorted(look.pods) == sorted(pod.full_name for pod in subject.node.pods)  # type: ignore[attr-defined]


def test_a_delete_takes_vm_and_port() -> None:
    """Nothing of it is left behind (FM22)."""
    estate, subject = grown()
    done(estate, Delete(subject, "0 pods left"))
    estate.runtime.play_until(estate.runtime.now() + timedelta(minutes=1))
    assert (vms(estate), estate.world.hypervisor.leftovers("web")) == ([], ())


def test_a_leftover_is_cleared_where_it_lies() -> None:
    """A token in the cluster, anything else in the cloud."""
    estate = Estate()
    done(estate, CREATE, replace(estate.pool(3), placeholders=frozenset({"bootstrap_token"})), NAME)
    done(estate, Clear(one(estate.world.tokens.of("web")), "spent"))  # type: ignore[arg-type]
    done(estate, Clear(one(estate.world.hypervisor.leftovers("web")), "its VM is gone"))  # type: ignore[arg-type]
    assert (tuple(estate.world.tokens.of("web")), estate.world.hypervisor.leftovers("web")) == ((), ())


def test_an_action_without_its_port_is_our_bug() -> None:
    """A job without a cloud decided to create: nothing is started, the facts are said."""
    estate = Estate()
    with pytest.raises(InvariantViolated):
        call_of(CREATE, NAME, estate.runtime.now(), Ports(), estate.pool(1))()
