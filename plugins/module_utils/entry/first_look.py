# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud whose first list is under way before anybody asks for it.

The list of a pool takes the cloud longer than a controller needs to import the cluster's library, read the lock and resolve the
template. All of it waits side by side then: at 200 servers a run that changes nothing takes as long as the list, and little more.
Nothing is assumed: the listing carries the instant when it began, and is as old as that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud, Listing

if TYPE_CHECKING:  # only a run that makes machines needs it
    from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room


class FirstLook:
    """The port `Cloud`, handed through, but for the first list."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._listing: Listing | None = None
        self._error: Exception | None = None
        # A daemon: an option that is refused meanwhile ends the process without waiting for an answer nobody needs.
        self._first: threading.Thread | None = threading.Thread(target=self._list, name="first look", daemon=True)
        self._first.start()

    def list_vms(self, since: datetime | None, *, with_leftovers: bool) -> Listing:
        """As `Cloud.list_vms`; the first answer is to the list that is under way, raising what that raised."""
        if self._first is None:
            return self._cloud.list_vms(since, with_leftovers=with_leftovers)
        self._first.join()
        self._first = None
        if self._listing is None:
            raise self._error or RuntimeError("a list without an answer")
        return self._listing

    def _list(self) -> None:
        try:
            self._listing = self._cloud.list_vms(None, with_leftovers=True)
        except Exception as error:  # noqa: BLE001  # it is raised where the list is asked for
            self._error = error

    def resolve(self, pinned: Mapping[str, str] | None = None) -> Revision:
        """As `Cloud.resolve`."""
        return self._cloud.resolve(pinned)

    def room(self) -> Room:
        """As `Cloud.room`."""
        return self._cloud.room()

    def watch(self, on_change: Callable[[], None]) -> bool:
        """As `Cloud.watch`."""
        return self._cloud.watch(on_change)

    def create(self, machine: NewMachine) -> None:
        """As `Cloud.create`."""
        self._cloud.create(machine)

    def delete(self, vm: Vm) -> None:
        """As `Cloud.delete`."""
        self._cloud.delete(vm)

    def power(self, vm: Vm, wanted: str) -> None:
        """As `Cloud.power`."""
        self._cloud.power(vm, wanted)

    def clear(self, leftover: Leftover) -> None:
        """As `Cloud.clear`."""
        self._cloud.clear(leftover)
