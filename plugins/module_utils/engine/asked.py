# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has asked for of which nothing shows in a list, or not at once; and the images of disks, which are asked for so.

A memory that may be lost: a new run looks, and asks again where nothing is seen.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Action, Clear, CopyDisk, Delete, Fetch, Power

if TYPE_CHECKING:  # few runs have any
    from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture


class Asked:
    """`at`: when, by key. `reset`: names of machines whose reset was sent, and not refused. `captures`: as the newest list has them."""

    def __init__(self) -> None:
        self.at: dict[str, datetime] = {}
        self.reset: set[str] = set()
        self.captures: tuple[Capture, ...] = ()
        self.fetched: frozenset[str] = frozenset()  # ids of captures whose bytes are here

    def sent(self, key: str, action: Action, name: str, now: datetime) -> None:
        """A call is on its way."""
        if isinstance(action, Delete | Clear | Power | CopyDisk):
            self.at[key] = now
        if isinstance(action, Power) and action.wanted == vm_states.REBOOT:
            self.reset.add(name)

    def refused(self, key: str, action: Action, name: str) -> None:
        """It had no effect. What cannot be removed now is not asked for at once again; all else counts as never asked for."""
        if isinstance(action, Power | CopyDisk):
            self.at.pop(key, None)
        if isinstance(action, Power) and action.wanted == vm_states.REBOOT:
            self.reset.discard(name)

    def answered(self, action: Action) -> None:
        """It worked."""
        if isinstance(action, Fetch):
            self.fetched |= {action.capture.id}

    def is_copied(self, name: str) -> bool:
        """Whether a list shows an image of this machine's disk."""
        return any(capture.builder == name for capture in self.captures)
