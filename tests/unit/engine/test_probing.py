# SPDX-License-Identifier: GPL-3.0-or-later
"""The rhythm of probes: who is asked, when, and how many at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.probing import AT_ONCE, Probing
from ansible_collections.immutable.fleet.plugins.module_utils.engine.virtual import VirtualRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Answer, ServiceProbe
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, vm

PROBE = ServiceProbe(kind="tcp", port=80, interval=timedelta(seconds=10))


@dataclass
class Asked:
    """Answers well, unless told otherwise; notes whom it asked, and when."""

    runtime: VirtualRuntime
    sick: set[str] = field(default_factory=set)
    broken: bool = False
    calls: list[tuple[float, str]] = field(default_factory=list)

    def probe(self, probe: ServiceProbe, asked: Vm) -> Answer:
        del probe
        self.calls.append((round((self.runtime.now() - NOW).total_seconds()), asked.name))
        if self.broken:
            raise Transient(what="lost on the way")
        return (False, "refused") if asked.name in self.sick else (True, "")


@dataclass
class Clinic:
    """A run of nothing but probes."""

    probes: tuple[ServiceProbe, ...] = (PROBE,)

    def __post_init__(self) -> None:
        self.runtime = VirtualRuntime(World(NOW), NOW)
        self.asked = Asked(self.runtime)
        self.probing = Probing(self.asked, self.probes, self.runtime)

    def play(self, vms: Iterable[Vm], seconds: float) -> Clinic:
        """As the loop does, for so long."""
        ends, by_id = self.runtime.now() + timedelta(seconds=seconds), {each.id: each for each in vms}
        while self.runtime.now() < ends:
            self.probing.turn(by_id, self.runtime.now())
            self.runtime.wait(min(self.probing.next_due() or ends, ends))
        return self

    def healthy(self) -> dict[str, bool | None]:
        return {vm_id: health.healthy for vm_id, health in self.probing.health().items()}


def test_a_new_machine_is_asked_eagerly_and_then_in_its_rhythm() -> None:
    """A rollout waits for the first verdict; afterwards nobody is in a hurry."""
    clinic = Clinic().play([vm("m1")], 30)
    assert [at for at, _name in clinic.asked.calls] == [0, 2, 4, 15, 25]
    assert clinic.healthy() == {"id-m1": True}


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(vm("m1", status=vm_states.BUILDING), id="not built yet"),
        pytest.param(vm("m1", status=vm_states.STOPPED), id="off"),
        pytest.param(vm("m1", status=vm_states.DELETING), id="going"),
        pytest.param(vm("m1", proofs=1), id="not ours"),
    ],
)
def test_who_cannot_answer_is_not_asked(asked: Vm) -> None:
    """Nothing is known of it, which is not the same as ill."""
    clinic = Clinic().play([asked], 30)
    assert (clinic.asked.calls, clinic.healthy()) == ([], {})


def test_what_is_known_of_a_machine_ends_with_it() -> None:
    """One that was off has to prove itself again."""
    clinic = Clinic().play([vm("m1"), vm("m2")], 30).play([vm("m1")], 5)
    assert clinic.healthy() == {"id-m1": True}
    clinic.play([vm("m1"), vm("m2")], 1)
    assert clinic.healthy() == {"id-m1": True, "id-m2": None}


def test_only_so_many_are_asked_at_once_and_all_in_the_end() -> None:
    """Probes leave room for the calls of the rollout."""
    machines = [vm(f"m{number}") for number in range(3 * AT_ONCE)]
    clinic = Clinic()
    clinic.probing.turn({each.id: each for each in machines}, NOW)
    assert clinic.probing.next_due() is None
    clinic.play(machines, 60)
    assert {name for _at, name in clinic.asked.calls} == {each.name for each in machines}
    assert set(clinic.healthy().values()) == {True}


def test_a_question_that_got_lost_is_nobodys_illness() -> None:
    """Unknown: the network between us and the machine is not the machine."""
    clinic = Clinic()
    clinic.asked.broken = True
    clinic.play([vm("m1")], 60)
    assert clinic.healthy() == {"id-m1": None}


def test_each_probe_has_its_own_rhythm() -> None:
    """And a machine is as ill as the worst of them says."""
    often, seldom = PROBE, ServiceProbe(kind="tls", port=443, interval=timedelta(seconds=60))
    clinic = Clinic((often, seldom)).play([vm("m1")], 100)
    assert len(clinic.asked.calls) == len([0, 2, 5, 15, 25, 35, 45, 56, 66, 76, 86, 96]) + len([0, 2, 5, 65])
    assert clinic.healthy() == {"id-m1": True}
