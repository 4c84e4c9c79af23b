# SPDX-License-Identifier: GPL-3.0-or-later
"""Both runtimes: calls leave, answers come back in the loop's own thread, and waiting ends for a reason."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.threads import GATHER_SECONDS, ThreadsRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.engine.virtual import Steady, VirtualRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, PortError, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.beats import Beats
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, later

ONE_WAY = timedelta(seconds=1)


@dataclass
class Fated(Steady):
    """A network of one second each way on which the next call meets this fate."""

    next_fate: str = ""

    def send_delay(self) -> timedelta:
        return ONE_WAY

    def answer_delay(self) -> timedelta:
        return ONE_WAY

    def fate(self) -> str:
        return self.next_fate


@dataclass
class Diary:
    """What happened, and when: seconds since NOW, then what."""

    runtime: VirtualRuntime
    lines: list[tuple[float, str]] = field(default_factory=list)

    def effect(self) -> str:
        self._note("effect")
        return "result"

    def conflict(self) -> str:
        raise Conflict(what="changed")

    def done(self, result: object, error: Exception | None) -> None:
        self._note(f"answer {result}" if error is None else f"error {type(error).__name__}")

    def _note(self, what: str) -> None:
        self.lines.append(((self.runtime.now() - NOW).total_seconds(), what))


def diary(fate: str = "") -> Diary:
    return Diary(VirtualRuntime(World(NOW), NOW, network=Fated(next_fate=fate), seed=1))


def refuse() -> None:
    raise PortError(what="held back")


@pytest.mark.parametrize(
    ("fate", "expected"),
    [
        pytest.param("", [(1, "effect"), (2, "answer result")], id="an ordinary call: two events"),
        pytest.param("lost before", [(20, "error Transient")], id="lost on its way there: no effect"),
        pytest.param("lost after", [(1, "effect"), (20, "error Transient")], id="lost on its way back: an effect nobody hears of"),
    ],
)
def test_effect_and_answer_are_two_events(fate: str, expected: list[tuple[float, str]]) -> None:
    """A loss, a delay or a crash can fall between them; whoever hears nothing gives up at the call timeout."""
    book = diary(fate)
    book.runtime.submit(book.effect, book.done)
    book.runtime.wait(later(60))
    assert book.lines == expected


def test_an_error_is_an_answer() -> None:
    """What the call raises arrives as its answer."""
    book = diary()
    book.runtime.submit(book.conflict, book.done)
    book.runtime.wait(None)
    assert book.lines == [(2, "error Conflict")]


def test_a_call_held_back_by_its_guard_has_no_effect() -> None:
    """The guard is asked when the call is about to leave; what it raises is the answer, at once."""
    book = diary()
    book.runtime.submit(book.effect, book.done, refuse)
    book.runtime.wait(later(60))
    assert book.lines == [(0, "error PortError")]


def test_FM41_a_crash_loses_answers_and_no_effects() -> None:
    """Calls that were sent arrive; nobody hears of them."""
    book = diary()
    book.runtime.submit(book.effect, book.done)
    book.runtime.crash()
    book.runtime.play_until(later(60))
    assert book.lines == [(1, "effect")]


def test_virtual_time_jumps_to_the_next_deadline() -> None:
    """A timeout of an hour costs nothing."""
    runtime = diary().runtime
    runtime.wait(later(3600))
    assert runtime.now() == later(3600)


def test_a_wake_ends_the_wait_before_time_moves() -> None:
    """What was told meanwhile is looked at now."""
    runtime = diary().runtime
    runtime.wake()
    runtime.wait(later(3600))
    assert runtime.now() < later(1)


def in_beats() -> Diary:
    """A beat each ten seconds; the last one is over for longer than an answer takes."""
    beats = Beats(NOW, timedelta(seconds=10), 0)
    book = Diary(VirtualRuntime(World(NOW), NOW, network=Fated(), next_beat=beats.after))
    for seconds in (10, 10.1, 10.2):
        book.runtime.wait(later(seconds))
    return book


def test_between_beats_an_answer_waits() -> None:
    """What it allows is sent with what the next beat brings."""
    book = in_beats()
    book.runtime.submit(book.effect, book.done)
    book.runtime.wait(None)
    assert (book.lines[-1], book.runtime.now()) == ((12.2, "answer result"), later(20))


def test_between_beats_the_loop_keeps_its_own_time() -> None:
    """A deadline, or a machine that has been ready for long enough, is not late."""
    book = in_beats()
    book.runtime.submit(book.effect, book.done)
    book.runtime.wait(later(15))
    assert book.runtime.now() == later(15)


def test_between_beats_what_the_world_does_wakes() -> None:
    """It has events there only where they are too short to be moved."""
    book = in_beats()
    book.runtime.wake()
    book.runtime.wait(None)
    assert book.runtime.now() == later(10.2)


def test_between_beats_what_a_call_changes_is_no_news() -> None:
    """The world tells it as it tells everything; whoever sent the call knows."""
    book = in_beats()
    book.runtime.submit(book.runtime.wake, book.done)
    book.runtime.wait(None)
    assert book.runtime.now() == later(20)


def test_an_answer_that_follows_at_once_is_heard() -> None:
    """A chain of two calls takes one beat, not two."""
    beats = Beats(NOW, timedelta(seconds=10), 0)
    runtime = VirtualRuntime(World(NOW), NOW, network=Steady(), next_beat=beats.after)
    for seconds in (10, 20):
        runtime.wait(later(seconds))
    runtime.submit(lambda: None, lambda _result, _error: None)
    runtime.wait(None)
    assert runtime.now() < later(21)


def test_names_come_from_the_seed() -> None:
    """The same seed gives the same story."""
    assert diary().runtime.fresh_suffix(5) == diary().runtime.fresh_suffix(5)


@dataclass
class Heard:
    """What a run in threads heard, and in which thread."""

    lines: list[tuple[object, str, bool]] = field(default_factory=list)

    def done(self, result: object, error: Exception | None) -> None:
        here = threading.current_thread() is threading.main_thread()
        self.lines.append((result, type(error).__name__ if error else "", here))


def soon(runtime: ThreadsRuntime) -> datetime:
    """Time enough for a thread, on a busy machine too."""
    return runtime.now() + timedelta(seconds=10)


def conflict() -> object:
    raise Conflict(what="changed")


def test_a_call_runs_in_a_thread_of_its_own() -> None:
    """Calls run elsewhere; `done` runs in the thread that waits."""
    runtime, heard = ThreadsRuntime(), Heard()
    runtime.submit(threading.current_thread, heard.done)
    runtime.wait(soon(runtime))
    runtime.close()
    ((ran_in, error, was_told_here),) = heard.lines
    assert (ran_in is threading.main_thread(), error, was_told_here) == (False, "", True)


@pytest.mark.parametrize(
    ("guard", "expected"),
    [
        pytest.param(None, (None, "Conflict", True), id="what the call raises"),
        pytest.param(refuse, (None, "PortError", True), id="what its guard raises: the call never ran"),
    ],
)
def test_an_error_in_a_thread_is_an_answer(guard: Callable[[], None] | None, expected: tuple[object, str, bool]) -> None:
    """Whatever a call raises, the loop's thread hears of it."""
    runtime, heard = ThreadsRuntime(), Heard()
    runtime.submit(conflict, heard.done, guard)
    runtime.wait(soon(runtime))
    runtime.close()
    assert heard.lines == [expected]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param(0, [], id="the only one: nothing more can come of what was asked"),
        pytest.param(1, [GATHER_SECONDS], id="another is on its way: it may be there in a moment"),
    ],
)
def test_the_last_answer_waits_for_no_other(others: int, expected: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that does nothing ends with its list, and not a moment later."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    runtime, heard, over = ThreadsRuntime(), Heard(), threading.Event()
    for _other in range(others):
        runtime.submit(over.wait, heard.done)
    runtime.submit(lambda: "answer", heard.done)
    runtime.wait(soon(runtime))
    over.set()
    runtime.close()
    assert (waited, heard.lines) == (expected, [("answer", "", True)])


def test_threads_are_woken_from_anywhere() -> None:
    """A wake from another thread, or a signal handler, ends the wait long before its time."""
    runtime = ThreadsRuntime()
    before = runtime.now()
    threading.Timer(0.01, runtime.wake).start()
    runtime.wait(before + timedelta(seconds=30))
    runtime.close()
    assert runtime.now() - before < timedelta(seconds=10)


def test_FM40_the_clock_of_threads_never_goes_back() -> None:
    """Monotonic time in UTC, and a wait that lasts until its instant."""
    runtime = ThreadsRuntime()
    until = runtime.now() + timedelta(milliseconds=30)
    runtime.wait(until)
    runtime.close()
    assert runtime.now() >= until


def test_names_of_threads_are_never_the_same() -> None:
    """Two controllers never choose the same name."""
    runtime = ThreadsRuntime()
    assert runtime.fresh_suffix(12) != runtime.fresh_suffix(12)


def test_no_answer_within_the_timeout_is_transient() -> None:
    """A lost call says nothing about its effect."""
    errors: list[Exception | None] = []
    runtime = diary("lost after").runtime
    runtime.submit(lambda: None, lambda _result, error: errors.append(error))
    runtime.wait(later(60))
    assert [type(error) for error in errors] == [Transient]
