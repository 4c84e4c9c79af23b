# SPDX-License-Identifier: GPL-3.0-or-later
"""When the cloud is asked what it has left, and what becomes of a decision meanwhile (FM27)."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine.preflight import with_preflight
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Job, Ports
from ansible_collections.immutable.fleet.plugins.module_utils.engine.virtual import VirtualRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Resource, Room
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import VirtualSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.unit.builders import NEW, NOW, OLD, POOL, later, machine, pod, pool, said, snapshot

CREATE = ["create slot 0: 3 exist < ceiling 4"]


class Asked:
    """A preflight over a cloud that answers `room` so, in virtual time; `times` it was asked."""

    def __init__(self, room: Room | Exception, wanted: Pool, *, waits: bool = True) -> None:
        world = World(NOW)
        self.times = 0
        self._answer = room
        self.runtime = VirtualRuntime(world, NOW)
        cloud = SimulatedCloud(VirtualSession(world), POOL, "", real_room=self._room)
        self.job: Job = with_preflight(Rollout(wanted), Ports(cloud=cloud), self.runtime, waits=waits)

    def _room(self) -> Room:
        self.times += 1
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def decide(self, *machines: Machine) -> Decision:
        return self.job.decide(snapshot(*machines), NOW)

    def hear(self) -> None:
        """Let the call answer."""
        self.runtime.wait(later(60))


def room(left: int) -> Room:
    return Room(resources=(Resource(name="instances", limit=9, used=9 - left, each=1, where="quota"),))


def old_ones(count: int = 3) -> list[Machine]:
    return [machine(f"m{number}", OLD) for number in range(1, count + 1)]


def test_a_turn_that_makes_nothing_asks_nothing() -> None:
    """A run that finds everything in order costs no call more."""
    asked = Asked(room(0), pool(2))
    decision = asked.decide(machine("m1", NEW), machine("m2", NEW))
    assert (decision.finished, decision.failure, asked.times) == (True, None, 0)


def test_FM27_without_room_nothing_is_sent() -> None:
    """Nothing while the cloud is asked, and the end when it has answered."""
    asked = Asked(room(0), pool(3))
    assert asked.decide(*old_ones()).actions == ()
    asked.hear()
    decision = asked.decide(*old_ones())
    assert (said(decision), decision.finished) == ([], True)
    assert decision.failure is not None
    assert decision.blockers == ()
    assert decision.failure.what == "no room for one more machine: instances: 9 of 9 used, one more takes 1"


def test_with_room_it_is_asked_once() -> None:
    """And what the job decides by then is what is done; what is tight is told until the end."""
    asked = Asked(room(1), pool(3))
    assert said(asked.decide(*old_ones())) == []
    asked.hear()
    tight = "room for 1 of 2 more machines, so it may stand still once machines are quarantined (max_blocked 1)"
    for _turn in range(2):
        decision = asked.decide(*old_ones())
        assert said(decision) == CREATE
        assert [blocker.what.partition(": ")[0] for blocker in decision.blockers] == [tight]
    assert asked.times == 1


def test_an_account_that_may_not_create_is_refused_before_anything_is_sent() -> None:
    """What only hides a number is `unknown` in the answer; a cloud that raises it says that every create would be refused."""
    asked = Asked(Denied(what="the account lacks Datastore.AllocateSpace on the datastore ds-a"), pool(3))
    asked.decide(*old_ones())
    asked.hear()
    decision = asked.decide(*old_ones())
    assert (said(decision), decision.finished) == ([], True)
    assert decision.failure is not None
    assert decision.failure.code == "denied"


def test_where_nobody_answers_it_begins() -> None:
    """And says that it does not know."""
    asked = Asked(Transient(what="no answer"), pool(3))
    asked.decide(*old_ones())
    asked.hear()
    decision = asked.decide(*old_ones())
    assert said(decision) == CREATE
    assert [blocker.code for blocker in decision.blockers] == ["room_unknown"]


def test_a_run_that_has_written_is_not_refused_any_more() -> None:
    """Its machine is gone; that somebody else took the room is met by waiting, as every lack of room in mid-roll."""
    asked = Asked(room(0), pool(3, 0, 1))
    assert len(asked.decide(*old_ones()).actions) == 1
    asked.decide(*old_ones(2))
    asked.hear()
    decision = asked.decide(*old_ones(2))
    assert (said(decision), decision.failure) == (["create slot 0: 2 exist < ceiling 3"], None)
    assert [blocker.code for blocker in decision.blockers] == ["room"]


def test_drains_that_cannot_succeed_are_told_with_the_first_action() -> None:
    """Before their turn comes; once."""
    stuck = machine("m2", OLD, pods=(pod("tool", is_replicated=False),))
    asked = Asked(Room(), pool(2))
    asked.decide(machine("m1", OLD), stuck)
    asked.hear()
    codes = [[blocker.code for blocker in asked.decide(machine("m1", OLD), stuck).blockers] for _turn in range(2)]
    assert codes == [["pod"], []]


def test_a_run_of_one_turn_knows_in_that_turn() -> None:
    """`wait: false` takes a turn without an action for its end."""
    assert said(Asked(room(1), pool(3), waits=False).decide(*old_ones())) == CREATE
    assert Asked(room(0), pool(3), waits=False).decide(*old_ones()).finished
    assert said(Asked(Transient(what="no answer"), pool(3), waits=False).decide(*old_ones())) == CREATE


def test_a_run_that_is_retargeted_goes_on_with_its_preflight() -> None:
    """What is outdated is so by the job's own target."""
    asked = Asked(Room(), pool(2))
    asked.job.retarget(Revision({"image": "other"}, "other"))
    assert asked.job.pool is not None
    assert asked.job.pool.revision.id == "other"


def test_what_never_makes_a_machine_has_no_preflight() -> None:
    """Where there is no cloud."""
    job = Rollout(pool(2))
    assert with_preflight(job, Ports(), VirtualRuntime(World(NOW), NOW)) is job
