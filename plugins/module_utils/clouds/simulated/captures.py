# SPDX-License-Identifier: GPL-3.0-or-later
"""The port `Captures` over a simulated world. Its images have no bytes."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import WHOLE, Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import NotFound
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.faults import CLOUD
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import Session


class SimulatedCaptures:
    """Images of the builders with one mark, which stands where machines have their pool."""

    def __init__(self, session: Session, builders: str) -> None:
        self._session, self._builders = session, builders

    def list(self) -> tuple[Capture, ...]:
        """See ports.Captures."""
        with self._session.world() as world, world.calls.around(CLOUD, "list_captures"):
            return world.copies.of(self._builders)

    def begin(self, vm: Vm) -> None:
        """See ports.Captures."""
        with self._session.world() as world, world.calls.around(CLOUD, "capture"):
            world.copies.begin(self._builders, vm)

    def fetch(self, capture: Capture, file: Path) -> None:
        """See ports.Captures. No file is written: a rehearsal changes nothing."""
        del file
        with self._session.world() as world, world.calls.around(CLOUD, "fetch"):
            if all(there.id != capture.id or there.status != WHOLE for there in world.copies.of(self._builders)):
                raise NotFound(what="no such image", where=f"image {capture.id}")

    def clear(self, leftover: Leftover) -> None:
        """See ports.Captures."""
        with self._session.world() as world, world.calls.around(CLOUD, "clear"):
            world.copies.clear(leftover.id)
