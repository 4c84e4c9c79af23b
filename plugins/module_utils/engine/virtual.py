# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime in virtual time: when nothing is to be done the clock jumps to the next event.

A call's effect and its answer are two events, so that a loss, a delay or a crash can fall between them. One thread, one
seed: the same run replays exactly.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import PortError, Transient

GATHER = timedelta(milliseconds=50)  # as with threads
FOLLOWS_UP = timedelta(milliseconds=200)  # a call there and back: what is sent in a beat's turn is answered in that beat
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"

ONE_WAY = timedelta(milliseconds=100)  # check mode's: half a call

Done = Callable[[object, "Exception | None"], None]


class Life(Protocol):
    """A world with events of its own."""

    def next_due(self) -> datetime | None:
        """When its next event is due."""

    def advance(self, to: datetime) -> None:
        """Play all events that are due by `to`, and be at `to`."""


class Network(Protocol):
    """What happens to calls on their way."""

    def send_delay(self) -> timedelta:
        """From submit to effect."""

    def answer_delay(self) -> timedelta:
        """From effect to answer."""

    def fate(self) -> str:
        """What becomes of the next call: "" is ordinary, "lost before" has no effect, "lost after" one but no answer."""


class Steady:
    """A network on which every call takes the same time and nothing is lost: check mode's."""

    def __init__(self, one_way: timedelta = ONE_WAY) -> None:
        self._one_way = one_way

    def send_delay(self) -> timedelta:
        """Half a call."""
        return self._one_way

    def answer_delay(self) -> timedelta:
        """The other half."""
        return self._one_way

    def fate(self) -> str:
        """Nothing is lost."""
        return ""


class VirtualRuntime:
    """Virtual time over a `life`.

    `call_timeout` is when the caller of a lost call gives up. `next_beat` is given where the life's events fall on beats: between two of
    them the loop is woken by what the life does and by its own clock, but not by answers, nor by what its calls change.
    """

    def __init__(
        self,
        life: Life,
        now: datetime,
        *,
        network: Network | None = None,
        seed: int = 0,
        call_timeout: timedelta = timedelta(seconds=20),
        next_beat: Callable[[datetime], datetime] | None = None,
    ) -> None:
        self._life = life
        self._now = now
        self._network: Network = network or Steady()
        self._random = random.Random(seed)
        self._call_timeout = call_timeout
        self._next_beat = next_beat
        self._awake_until = next_beat(now) if next_beat is not None else now  # the first calls of a run each need the one before
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._sequence = 0
        self._run = 0  # whose answers are still wanted
        self._woken = False
        self._has_answers = False

    def now(self) -> datetime:
        """Virtual now."""
        return self._now

    def submit(self, call: Callable[[], object], done: Done, guard: Callable[[], None] | None = None) -> None:
        """Effect after the network's way there, answer after its way back, unless one of them is lost."""
        fate = self._network.fate()
        sent_at = self._now
        run = self._run
        try:
            if guard is not None:
                guard()
        except PortError as exc:
            refusal = exc  # the name bound by `except` is gone when the event comes
            self._at(sent_at, lambda: self._answer(run, done, None, refusal))
            return

        def effect() -> None:
            result: object = None
            error: Exception | None = None
            if fate != "lost before":
                try:
                    result = call()
                except Exception as exc:  # noqa: BLE001  # handed to the loop, as the threads do
                    error = exc
            if fate:
                result, error = None, Transient(what="no answer within the call timeout")
                self._at(max(sent_at + self._call_timeout, self._now), lambda: self._answer(run, done, result, error))
            else:
                self._at(self._now + self._network.answer_delay(), lambda: self._answer(run, done, result, error))

        self._at(self._now + self._network.send_delay(), effect)

    def wake(self) -> None:
        """End the wait at this instant of virtual time."""
        self._woken = True

    def wait(self, until: datetime | None) -> None:
        """Play events until one wakes the loop, or `until`."""
        began_at, rests_until = self._now, self._rests_until()
        while not self._woken and not (self._has_answers and self._now >= rests_until):
            due = _first(self._next_due(), rests_until if self._has_answers else None)
            if due is None or (until is not None and due > until):
                if until is not None:
                    self._jump(until)
                break
            self._play(due)
        else:
            gather_until = self._now + GATHER if until is None else min(self._now + GATHER, max(until, self._now))
            while (due := self._next_due()) is not None and due <= gather_until:
                self._play(due)
        self._woken = self._has_answers = False
        if rests_until > began_at or self._now - began_at > FOLLOWS_UP:
            self._awake_until = self._now + FOLLOWS_UP

    def _rests_until(self) -> datetime:
        """Until when answers wait; now where they don't."""
        if self._next_beat is None or self._now < self._awake_until:
            return self._now
        return self._next_beat(self._now)

    def fresh_suffix(self, length: int) -> str:
        """From the seed."""
        return "".join(self._random.choice(LETTERS) for unused in range(length))

    def play_until(self, instant: datetime) -> None:
        """Let the world live on with nobody looking: between two runs, or after a crash."""
        while (due := self._next_due()) is not None and due <= instant:
            self._play(due)
        self._jump(instant)
        self._woken = self._has_answers = False

    def crash(self) -> None:
        """The process dies: calls that were sent still have their effect, their answers reach nobody."""
        self._run += 1

    def _at(self, instant: datetime, event: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (instant, self._sequence, event))

    def _answer(self, run: int, done: Done, result: object, error: Exception | None) -> None:
        if run == self._run:
            self._has_answers = True
            done(result, error)

    def _next_due(self) -> datetime | None:
        return _first(self._events[0][0] if self._events else None, self._life.next_due())

    def _play(self, due: datetime) -> None:
        self._jump(due)
        is_woken = self._woken
        while self._events and self._events[0][0] <= due:
            heapq.heappop(self._events)[2]()
        its = self._life.next_due()
        self._life.advance(self._now)  # what calls have changed is told now
        if self._next_beat is not None and (its is None or its > self._now):
            self._woken = is_woken  # it is no news for whoever sent them, and will have their answers

    def _jump(self, instant: datetime) -> None:
        self._now = max(self._now, instant)
        self._life.advance(self._now)


def _first(one: datetime | None, other: datetime | None) -> datetime | None:
    return one or other if one is None or other is None else min(one, other)
