# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated cloud in which images are built on machines, runs of the real loop over it, and a witness of what is done to whose things."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.captures import SimulatedCaptures
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.decide.building import ABSENT, OPENED, Building, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports, Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.engine.virtual import Network, VirtualRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture, builders_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import ANY
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import STOPPED, Leftover, NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Runtime
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, Spread, constant
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Image
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import VirtualSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.simulation.estate import DAWN, PLAIN, Killed, Mortal
from ansible_collections.immutable.fleet.tests.simulation.witnesses import Broken

MARK = builders_of("web")
MAX_AGE = timedelta(hours=4)
TIMEOUT = timedelta(minutes=30)
CALL_TIMEOUT = timedelta(seconds=20)


@dataclass
class BuilderEstate:
    """One world, in which builders of the image "web" come and go. `runtime` goes on from run to run."""

    seed: int = 0
    profile: Profile = field(default_factory=lambda: PLAIN)
    network: Network | None = None
    copying: Spread = field(default_factory=lambda: constant(30))

    def __post_init__(self) -> None:
        self.world = World(DAWN, self.seed, self.profile)
        self.world.state.settings.has_cluster = False
        self.world.state.images.put("sha512:debian", Image("debian", "sha512:debian"))
        self.world.copies.takes = self.copying
        self.session = VirtualSession(self.world)
        self.runtime = VirtualRuntime(self.world, DAWN, network=self.network, seed=self.seed, call_timeout=CALL_TIMEOUT)
        self.revision = SimulatedCloud(self.session, MARK, "debian").resolve()

    def ports(self) -> Ports:
        """Fresh adapters, as a fresh process has them."""
        return Ports(cloud=SimulatedCloud(self.session, MARK, "debian"), captures=SimulatedCaptures(self.session, MARK))

    def job(self, state: str, builder: str, **more: Any) -> Building:
        wanted = Wanted(state=state, mark=MARK, builder=builder, path="/disk", **{"max_age": MAX_AGE, **more})
        return Building(wanted, self.revision if state == OPENED else ANY)

    def run(self, job: Building, seat: Runtime | None = None, *, dies_at: datetime | None = None) -> Result | None:
        """One task, from a fresh process's memory to its end; None when it was killed at `dies_at`. `seat`: beside others."""
        runtime = Mortal(self.runtime, dies_at) if dies_at is not None else seat or self.runtime
        settings = RunSettings(holder="", call_timeout=CALL_TIMEOUT, timeout=TIMEOUT, steering_look=None)
        try:
            return loop.run(job, self.watched(self.ports(), job.wanted), runtime, None, settings)
        except Killed:
            self.runtime.crash()
            return None

    def watched(self, ports: Ports, wanted: Wanted) -> Ports:
        """The ports through which a run goes, with a witness of each write."""
        witness = Witness(self.world, wanted)
        return Ports(cloud=_Cloud(witness, ports.cloud), captures=_Captures(witness, ports.captures))

    def left(self) -> list[str]:
        """All that is there of any builder."""
        state = self.world.state
        vms = [host.vm.name for host in state.hosts.values()]
        ports = [f"port of {row.leftover.machine}" for row in state.ports.values()]
        return [*vms, *ports, *(f"copy of {row.capture.builder}" for row in state.copies.values())]


@dataclass
class Witness:
    """What holds at the instant a call of one run takes effect."""

    world: World
    wanted: Wanted

    def vms(self) -> Iterable[Vm]:
        return [host.vm for host in self.world.state.hosts.values()]

    def touches(self, builder: str, created_at: datetime) -> None:
        """Something of a builder is about to be removed."""
        is_asked = self.wanted.builder == builder or (self.wanted.state == ABSENT and not self.wanted.builder)
        if not is_asked and self.world.now - created_at <= self.wanted.max_age:
            raise Broken(f"{self.world.now}: something of {builder} is removed, made {created_at}, by a run about {self.wanted.builder}")

    def makes(self, name: str) -> None:
        if self.wanted.state != OPENED or name != self.wanted.builder:
            raise Broken(f"{self.world.now}: {name} is made by a run that is to have {self.wanted.builder} {self.wanted.state}")
        if any(vm.name == name for vm in self.vms()):
            raise Broken(f"{self.world.now}: a second {name} is made")

    def copies(self, vm: Vm) -> None:
        if vm.name != self.wanted.builder:
            raise Broken(f"{self.world.now}: the disk of {vm.name} is copied, of another than {self.wanted.builder}")
        now = next((each for each in self.vms() if each.id == vm.id), None)
        if now is not None and now.status != STOPPED:
            raise Broken(f"{self.world.now}: the disk of {vm.name} is copied while it is {now.status}")

    def switches(self, vm: Vm) -> None:
        if vm.name != self.wanted.builder:
            raise Broken(f"{self.world.now}: {vm.name} is switched off by a run about {self.wanted.builder}")


class _Cloud:
    """The cloud, with a witness at each write."""

    def __init__(self, witness: Witness, cloud: Any) -> None:
        self._witness, self._cloud = witness, cloud

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._cloud, verb)

    def create(self, machine: NewMachine) -> None:
        self._witness.makes(machine.name)
        self._cloud.create(machine)

    def delete(self, vm: Vm) -> None:
        self._witness.touches(vm.name, vm.created_at)
        self._cloud.delete(vm)

    def power(self, vm: Vm, wanted: str) -> None:
        self._witness.switches(vm)
        self._cloud.power(vm, wanted)

    def clear(self, leftover: Leftover) -> None:
        self._witness.touches(leftover.machine, leftover.created_at)
        self._cloud.clear(leftover)


class _Captures:
    """The cloud's images, with a witness at each write."""

    def __init__(self, witness: Witness, captures: Any) -> None:
        self._witness, self._captures = witness, captures

    def list(self) -> tuple[Capture, ...]:
        return tuple(self._captures.list())

    def begin(self, vm: Vm) -> None:
        self._witness.copies(vm)
        self._captures.begin(vm)

    def fetch(self, capture: Capture, file: Path) -> None:
        if capture.builder != self._witness.wanted.builder:
            raise Broken(f"the disk of {capture.builder} is fetched, of another than {self._witness.wanted.builder}")
        self._captures.fetch(capture, file)

    def clear(self, leftover: Leftover) -> None:
        self._witness.touches(leftover.machine, leftover.created_at)
        self._captures.clear(leftover)
