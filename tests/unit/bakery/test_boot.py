# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a boot test while it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery import boot
from ansible_collections.immutable.fleet.plugins.module_utils.decide.baking import HEALTH, USER_DATA, BootPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.tests.unit.bakery.test_shelf import shelf
from ansible_collections.immutable.fleet.tests.unit.builders import NOW

POLICY = BootPolicy(awaited=(USER_DATA, HEALTH), limit=timedelta(minutes=5))


@dataclass
class Audience:
    """Hears everything; time goes on by seven seconds with each look."""

    at: datetime = NOW
    heard: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def tell(self, event: Event) -> None:
        self.heard.append(f"{(event.at - NOW).total_seconds():.0f}s {event.text}")


class Machine:
    """Says so many lines, then applies its user data, then is well; KVM works or not."""

    def __init__(self, *_given: Any, uses_kvm: bool) -> None:
        self.uses_kvm = uses_kvm
        self._lines: Iterator[str] = iter(["loading", "loading", "cloud-init"])

    def last_line(self) -> str:
        return next(self._lines)

    def user_data_was_applied(self) -> bool:
        return self._lines.__length_hint__() == 0

    def is_healthy(self) -> bool:
        return True

    def has_ended(self) -> bool:
        return False

    def has_begun(self) -> bool:
        return not self.uses_kvm

    def stop(self) -> None:
        """Nothing runs."""

    def scan(self) -> Any:
        class Scan:
            open_ports = ()

            def step(self) -> bool:
                return True

        return Scan()


def test_a_boot_tells_what_it_has_seen_and_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of the console every 15 s at most, and none twice: what is told is what has changed."""
    monkeypatch.setattr(boot, "Guest", Machine)
    monkeypatch.setattr(boot, "kvm_is_there", lambda: True)
    audience, place = Audience(), shelf(tmp_path)
    place.work.mkdir(parents=True)
    test = boot.Boot(place, POLICY, None, audience)
    while not test.look():
        audience.at += timedelta(seconds=7)
    assert audience.heard == [
        "0s a machine was started",
        "14s a machine was started, without KVM: that takes minutes",
        "35s loading",
        "77s cloud-init",
        "84s its user data was applied",
        "91s it is healthy",
        "98s its ports were asked",
    ]
