# SPDX-License-Identifier: GPL-3.0-or-later
"""How adapters borrow a world: in virtual time, in real time within one process, or in a file (store.py).

The same adapters serve all three. A session lends the world for the length of one call, advanced to now.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World


class Session(Protocol):
    """`speed`: seconds of the world per second of the caller's waiting."""

    speed: float

    def now(self) -> datetime:
        """The world's clock, for the loop."""

    def world(self) -> AbstractContextManager[World]:
        """The world, advanced to now and nobody else's until the context ends."""

    def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        """Call `on_change(kind)` (kind "vms", "cluster" or "balancer") after changes, from any thread. The result ends that."""


class VirtualSession:
    """A world whose time is moved by the runtime of the loop, in the same thread."""

    speed = 1.0

    def __init__(self, world: World) -> None:
        self._world = world
        self._lent = nullcontext(world)

    def now(self) -> datetime:
        return self._world.now

    def world(self) -> AbstractContextManager[World]:
        return self._lent

    def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        return self._world.listen(lambda kind, _name: on_change(kind))


class LiveSession:
    """A world in memory that follows a clock, shared by threads. A thread of its own plays events when they are due."""

    def __init__(self, world: World, clock: Callable[[], datetime], speed: float = 1.0) -> None:
        self._world = world
        self._clock = clock
        self.speed = speed
        self._turn = threading.Condition(threading.RLock())
        self._stopped = False
        self._player: threading.Thread | None = None

    def now(self) -> datetime:
        return self._clock()

    def world(self) -> AbstractContextManager[World]:
        return _Lent(self._turn, self._world, self._clock)

    def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        self.play()
        with self._turn:
            return self._world.listen(lambda kind, _name: on_change(kind))

    def play(self) -> None:
        """Begin to play events when they are due, without waiting for a call."""
        with self._turn:
            if self._player is None:
                self._player = threading.Thread(target=self._play, name="simulated-world", daemon=True)
                self._player.start()

    def stop(self) -> None:
        """End the player."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()
        if self._player is not None:
            self._player.join()

    def _play(self) -> None:
        with self._turn:
            while not self._stopped:
                self._world.advance(self._clock())
                due = self._world.next_due()
                wait = None if due is None else max(0.0, (due - self._clock()).total_seconds() / self.speed)
                self._turn.wait(wait)


class _Lent:
    """The world, locked. Its player is woken afterwards: there may be something sooner to wait for."""

    def __init__(self, turn: threading.Condition, world: World, clock: Callable[[], datetime]) -> None:
        self._turn, self._world, self._clock = turn, world, clock

    def __enter__(self) -> World:
        self._turn.acquire()
        self._world.advance(self._clock())
        return self._world

    def __exit__(self, *_error: object) -> None:
        self._turn.notify_all()
        self._turn.release()
