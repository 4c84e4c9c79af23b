# SPDX-License-Identifier: GPL-3.0-or-later
"""The side of a pool that its users see: services are asked and members listed in their rhythm, and what is found goes into the world."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.engine.polling import Polling
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports
from ansible_collections.immutable.fleet.plugins.module_utils.engine.world import World
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Invalid, PortError
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Balancer, MemberListing, Runtime

if TYPE_CHECKING:  # few pools have probes
    from ansible_collections.immutable.fleet.plugins.module_utils.engine.probing import Probing


class Serving:
    """Does nothing for a pool without probes and balancer. `failure` ends the run, `error` is that of the last listing."""

    def __init__(self, ports: Ports, pool: Pool | None, runtime: Runtime, world: World) -> None:
        self._world, self._runtime, self._balancer = world, runtime, ports.balancer
        self._polling = Polling(pushes=False)
        self.failure: PortError | None = None
        self.error: PortError | None = None
        self._is_busy = True
        self._probing: Probing | None = None
        if ports.prober is not None and pool is not None and pool.probes:
            from ansible_collections.immutable.fleet.plugins.module_utils.engine.probing import Probing

            self._probing = Probing(ports.prober, pool.probes, runtime)

    def turn(self, now: datetime, *, is_busy: bool) -> None:
        """Ask what is due, and take in what was answered. `is_busy`: something is in flight that members may tell of."""
        self._is_busy = is_busy
        if self._probing is not None:
            self._probing.turn(self._world.vms, now)
            self._world.services.health = self._probing.health()
        due = self._list_due(now)
        if self._balancer is not None and due is not None and due <= now:
            self._list(self._balancer, now)

    def next_due(self, now: datetime) -> datetime | None:
        """When there is something to ask."""
        asked = self._probing.next_due() if self._probing is not None else None
        return min((each for each in (asked, self._list_due(now)) if each is not None), default=None)

    def is_seen_since(self, instant: datetime) -> bool:
        """Whether members were listed after this instant; if not, they are soon. Without a balancer there is nothing to see."""
        if self._balancer is None:
            return True
        listing = self._world.services.listing
        if listing is not None and listing.as_of > instant:
            return True
        self._polling.ask_full()
        return False

    def _list_due(self, now: datetime) -> datetime | None:
        return self._polling.due(now, is_busy=self._is_busy) if self._balancer is not None else None

    def _list(self, balancer: Balancer, now: datetime) -> None:
        self._polling.begin(now)

        def answered(result: object, error: Exception | None) -> None:
            self._polling.ended(self._runtime.now(), failed=error is not None)
            if isinstance(result, MemberListing):
                self.error = None
                self._world.services.take_listing(result)
            elif isinstance(error, PortError):
                self.error = error
                self.failure = error if isinstance(error, Denied | Invalid) else None
            elif error is not None:
                raise error

        self._runtime.submit(balancer.list_members, answered)
