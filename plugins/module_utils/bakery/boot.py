# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot test under way: a machine made of the image, and what it has shown so far.

Promises: each look is short, and asks only for what is missing next; what is wrong `decide/baking` says. What comes is told, and between
that the last line of the machine's console: a boot without KVM takes minutes, and should not look as if it hung.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.guest import CONSOLE, Guest, Health, kvm_is_there
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.scan import Scan
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.shelf import Shelf, write
from ansible_collections.immutable.fleet.plugins.module_utils.decide import baking
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Refused
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration

PAUSE_SECONDS = 0.5  # a look asks the machine for its health, which takes its time too
SCAN_PAUSE_SECONDS = 0.005  # the machine answers its 256 frames in about that
TOLD_EVERY = timedelta(seconds=15)


class Audience(Protocol):
    """Who is told, and what time it is there."""

    def now(self) -> datetime: ...

    def tell(self, event: Event) -> None: ...


class BootFailed(Refused):
    """A machine made of the image did not show what it has to."""

    code = "boot_test"


class Boot:
    """One boot test."""

    def __init__(self, shelf: Shelf, policy: baking.BootPolicy, health: Health | None, audience: Audience) -> None:
        self._shelf, self._policy, self._health = shelf, policy, health
        self._audience, self._now = audience, audience.now
        self._folder = shelf.work / "boot"
        self._start(uses_kvm=kvm_is_there())
        self._seen: frozenset[str] = frozenset()
        self._scan: Scan | None = None
        self._ports: frozenset[int] | None = None
        self.pause_seconds = PAUSE_SECONDS

    def stop(self) -> None:
        """End the machine."""
        self._machine.stop()

    def look(self) -> bool:
        """One look at what is missing next. Raises `BootFailed`."""
        facts = baking.Guest(
            began_at=self._began_at,
            has_ended=self._machine.has_ended(),
            has_begun=self._machine.has_begun(),
            uses_kvm=self._machine.uses_kvm,
            seen=self._seen,
            ports=self._ports,
        )
        verdict = baking.judge(facts, self._policy, self._now())
        if verdict.wrong:
            raise BootFailed(
                what=f"the boot test failed: {verdict.wrong}",
                where=f"image {self._shelf.name}@{self._shelf.version}",
                since=self._began_at,
                forward=f"look at its console: {self._folder / CONSOLE}",
            )
        if not verdict.look:
            write(self._shelf.passed(baking.BOOT), say_duration(self._now() - self._began_at))
            return True
        self._look_for(verdict.look)
        return False

    def _start(self, *, uses_kvm: bool) -> None:
        self._machine = Guest(self._shelf.image, self._shelf.format, self._folder, self._health, uses_kvm=uses_kvm)
        self._began_at = self._told_at = self._now()
        self._said = ""
        self._tell("a machine was started" + ("" if uses_kvm else ", without KVM: that takes minutes"))

    def _look_for(self, missing: str) -> None:
        if missing == baking.EMULATE:
            self._machine.stop()
            self._start(uses_kvm=False)
        elif missing == baking.SCAN:
            self._look_at_ports()
        elif (missing == baking.USER_DATA and self._machine.user_data_was_applied()) or (
            missing == baking.HEALTH and self._machine.is_healthy()
        ):
            self._seen |= {missing}
            self._tell(missing)
        elif self._now() - self._told_at >= TOLD_EVERY:
            self._tell_last_line()

    def _look_at_ports(self) -> None:
        self._scan = self._scan or self._machine.scan()
        self.pause_seconds = SCAN_PAUSE_SECONDS
        if self._scan.step():
            self._ports = frozenset(self._scan.open_ports)
            self._tell(f"its {baking.SCAN} were asked")

    def _tell_last_line(self) -> None:
        """Not twice: a machine that says nothing is told about by nothing."""
        line = self._machine.last_line()
        self._told_at = self._now()
        if line and line != self._said:
            self._said = line
            self._tell(line)

    def _tell(self, text: str) -> None:
        self._told_at = self._now()
        data = {"image": self._shelf.name, "version": self._shelf.version}
        self._audience.tell(Event(at=self._told_at, kind="boot", text=text, data=data))
