# SPDX-License-Identifier: GPL-3.0-or-later
"""When an API server is asked what the account may do, and what becomes of a run meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.drain_nodes import CORDONED, DrainNodes
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.access import in_full
from ansible_collections.immutable.fleet.plugins.module_utils.engine.preflight import with_preflight
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Job, Ports, Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.engine.virtual import VirtualRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.entry.forecast import forecast
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.access import Right
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Invalid, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate
from ansible_collections.immutable.fleet.tests.unit.builders import NEW, NOW, OLD, later, machine, pool, said, snapshot

LIST, PATCH = Right(verb="list", resource="nodes"), Right(verb="patch", resource="nodes")
EVICT, REMOVE = Right(verb="create", resource="pods/eviction"), Right(verb="delete", resource="pods")
CHOOSE = ["choose m1: outdated; 3 available > floor 2"]


class Account:
    """An account that may do all but what is `missing`; `asked` is what it was asked, in order."""

    def __init__(self, *missing: Right, error: Exception | None = None) -> None:
        self.asked: list[Right | str] = []
        self._missing, self._error = missing, error

    def needs(self, *, removes: bool) -> tuple[Right, ...]:
        return (LIST, PATCH, EVICT, *([REMOVE] if removes else ()))

    def may(self, right: Right) -> bool:
        self.asked.append(right)
        if self._error is not None:
            raise self._error
        return right not in self._missing

    def user(self) -> str:
        self.asked.append("who")
        return "ci"


def guarded(account: Account, *, waits: bool = True) -> tuple[Job, VirtualRuntime]:
    runtime = VirtualRuntime(World(NOW), NOW)
    return with_preflight(Rollout(pool(3, 0, 1)), Ports(access=account), runtime, waits=waits), runtime


OLD_ONES = [machine(f"m{number}", OLD) for number in (1, 2, 3)]


def test_a_run_that_finds_all_in_order_asks_nothing() -> None:
    """It costs no call more."""
    account = Account()
    job, _runtime = guarded(account)
    assert job.decide(snapshot(*(machine(f"m{number}", NEW) for number in (1, 2, 3))), NOW).finished
    assert account.asked == []


def test_nothing_is_written_until_all_have_answered() -> None:
    """Not even the lock; what the run has done by then (it has listed) is not asked for."""
    account = Account()
    job, runtime = guarded(account)
    for _turn in range(2):
        decision = job.decide(snapshot(*OLD_ONES), NOW)
        assert (decision.actions, decision.asks_first, decision.finished) == ((), True, False)
    runtime.wait(later(60))
    decision = job.decide(snapshot(*OLD_ONES), NOW)
    assert (said(decision), decision.asks_first) == (CHOOSE, False)
    assert account.asked == [PATCH, EVICT]


def test_what_is_missing_is_refused_at_once() -> None:
    """All of it, and who we are is asked for the message."""
    account = Account(EVICT, PATCH)
    job, runtime = guarded(account)
    job.decide(snapshot(*OLD_ONES), NOW)
    runtime.wait(later(60))
    job.decide(snapshot(*OLD_ONES), NOW)
    runtime.wait(later(60))
    decision = job.decide(snapshot(*OLD_ONES), NOW)
    assert (decision.actions, decision.finished) == ((), True)
    assert decision.failure is not None
    assert decision.failure.what == 'user "ci" cannot patch nodes; create pods/eviction'
    assert account.asked == [PATCH, EVICT, "who"]


@pytest.mark.parametrize("error", [Transient(what="no answer"), Denied(what="no reviews")])
def test_where_nobody_answers_it_begins(error: Exception) -> None:
    """And says that it does not know, until its end."""
    job, runtime = guarded(Account(error=error))
    job.decide(snapshot(*OLD_ONES), NOW)
    runtime.wait(later(60))
    for _turn in range(2):
        decision = job.decide(snapshot(*OLD_ONES), NOW)
        assert said(decision) == CHOOSE
        assert [blocker.code for blocker in decision.blockers] == ["access_unknown"]


def test_a_run_of_one_turn_knows_in_that_turn() -> None:
    """`wait: false` takes a turn without an action for its end."""
    assert said(guarded(Account(), waits=False)[0].decide(snapshot(*OLD_ONES), NOW)) == CHOOSE
    assert guarded(Account(PATCH), waits=False)[0].decide(snapshot(*OLD_ONES), NOW).finished
    assert said(guarded(Account(error=Transient(what="no answer")), waits=False)[0].decide(snapshot(*OLD_ONES), NOW)) == CHOOSE


def test_a_machine_that_is_proven_dead_takes_one_right_more() -> None:
    """Its pods are deleted instead of evicted."""
    account = Account()
    job, _runtime = guarded(account, waits=False)
    job.decide(snapshot(*OLD_ONES[:2], machine("m3", OLD, status=vm_states.STOPPED, ready=None)), NOW)
    assert account.asked == [PATCH, EVICT, REMOVE]


def provisioned() -> Estate:
    estate = Estate()
    estate.run(estate.pool(3))
    estate.image = "v2"
    return estate


def ran(estate: Estate, job: Job, account: Account, **ports: Any) -> Result:
    given = replace(estate.ports(), access=account, **ports)
    return loop.run(with_preflight(job, given, estate.runtime), given, estate.runtime, None, RunSettings(holder="test"))


def test_a_refused_run_of_the_loop_has_not_taken_the_lock() -> None:
    """Nothing at all was changed."""
    estate = provisioned()
    before = estate.world.leases.read(estate.name)
    result = ran(estate, Rollout(estate.pool(3)), Account(PATCH))
    assert (result.changed, result.steps, str(result.failure)) == (False, (), 'user "ci" cannot patch nodes (kubernetes)')
    assert estate.world.leases.read(estate.name) == before


def test_a_run_that_may_goes_on_to_its_end() -> None:
    """With the same loop."""
    estate = provisioned()
    result = ran(estate, Rollout(estate.pool(3)), Account())
    assert (result.failure, result.tally.up_to_date) == (None, 3)


def test_nodes_are_not_touched_without_the_rights_either() -> None:
    """`node_drain`, which has no cloud and no lock."""
    estate = provisioned()
    names = tuple(estate.world.state.members)
    result = ran(estate, DrainNodes(names, DrainPolicy(), CORDONED), Account(PATCH), cloud=None, lock=None)
    assert (result.changed, str(result.failure)) == (False, 'user "ci" cannot patch nodes (kubernetes)')


def test_check_mode_says_the_same_and_asks_once() -> None:
    """However many replays there are."""
    estate = provisioned()
    for account, failure in ((Account(PATCH), 'user "ci" cannot patch nodes (kubernetes)'), (Account(), "None")):
        ports = replace(estate.ports(), access=account)
        found = forecast(Rollout(estate.pool(3)), ports, RunSettings(holder="test"), estate.runtime)
        assert str(found.result.failure) == failure
        assert len(account.asked) == len(set(account.asked))


def test_a_refusal_of_the_first_list_is_told_with_all_else_that_is_missing() -> None:
    """Nobody should learn of it piece by piece; what the account is not to blame for stays as it is."""
    refused, wrong = Denied(what="cannot list nodes"), Invalid(what="no such context")
    assert in_full(refused, Account(LIST, EVICT)).what == 'user "ci" cannot list nodes; create pods/eviction'
    assert in_full(refused, Account()) is refused
    assert in_full(refused, Account(error=Denied(what="Unauthorized"))) is refused
    assert in_full(refused, None) is refused
    assert in_full(wrong, Account(LIST)) is wrong
