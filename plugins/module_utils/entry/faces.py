# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module answers: the one place where an error becomes `fail_json`'s message, and where secrets are taken out.

Promises: no traceback reaches the user, whatever happens; an error of ours says what, where, since when, and how to go forward
and back; an unforeseen one is named in a line, with the file that holds its details.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.entry import specs
from ansible_collections.immutable.fleet.plugins.module_utils.entry.spec import Spec
from ansible_collections.immutable.fleet.plugins.module_utils.entry.stops import Stops
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError, InvariantViolated, LibraryMissing, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Reporter
from ansible_collections.immutable.fleet.plugins.module_utils.reports.event_file import EventFile, Silence
from ansible_collections.immutable.fleet.plugins.module_utils.reports.redact import Redactor
from ansible_collections.immutable.fleet.plugins.module_utils.reports.subject import subject_of

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.reports.written import Record

AGAIN = "run the same task again: it goes on from what is there"
CORRECT = "correct the option and run the same task again"
NOTHING_DONE = "nothing to take back: nothing was changed"
TAKEN_UP = "nothing has to be taken back: what was begun is seen by the next run of this task, which goes on from it"
ROLLED_BACK = "; to leave the new image, run immutable.fleet.node_pool_control with state rolled_back, then the same task again"
UNTOUCHED = ("invalid", "lock_held", "library_missing")  # refused before anything is touched
LEAVE_SECONDS = 0.5  # after the answer to a second signal: Ansible's wrapper has removed its files by then


class AnsibleFace(Protocol):
    """What is used of AnsibleModule."""

    params: dict[str, Any]
    check_mode: bool

    def exit_json(self, **answer: Any) -> NoReturn:
        """Answer and end the process."""

    def warn(self, warning: str) -> None:
        """Say something beside the answer."""


class Face:
    """One module's answering side: who is told while it works, why it should stop, what it says at the end."""

    def __init__(self, module: AnsibleFace, spec: Spec) -> None:
        self._module = module
        self._redactor = Redactor(specs.secrets_of(module.params, spec.options))
        self.reporter: Reporter = Silence()
        self._event_file: EventFile | None = None
        self._record: Record | None = None
        self.stops = Stops()
        self.now: Callable[[], datetime] = _wall_clock  # a simulated world has a clock of its own
        self.other_surges: tuple[tuple[int, timedelta], ...] = ()  # for the report
        self.answer: dict[str, Any] = {}  # grows while the module works, so that a failure still shows what was reached

    def begin(self) -> None:
        """Open what the run reports to and listen for reasons to stop. Raises `Invalid` before anything is touched."""
        params = self._module.params
        events_file = params.get("events_file")
        if events_file:
            self.reporter = self._event_file = EventFile(events_file, self._redactor)
            self.answer["events_file"] = events_file
        self._record = self._new_record()
        self.reporter = self._record or self.reporter
        self.stops.watch(params.get("stop_file"))

    @property
    def draws_report(self) -> bool:
        """Whether a report is asked for."""
        return "report_file" in self.answer

    def draw(self, events: Iterable[Event]) -> None:
        """Have the report made of these events rather than of those told: a plan's rehearsal says more than its plan does."""
        if self._record is not None:
            self._record.draw(events)

    def redact(self, text: str) -> str:
        """`text` without secrets."""
        return self._redactor.text(text)

    def conclude(self, answer: dict[str, Any], failure: FleetError | None) -> None:
        """What came of it: kept for the answer, whether it failed or not."""
        self.answer |= answer
        if answer.get("pending"):
            self._module.warn(f"pool {answer['name']} is not as asked for: {answer['pending']}")
        if failure is not None:
            failure.back = failure.back or self._way_back(failure, has_changed=bool(answer.get("changed")))
            raise failure

    def _way_back(self, failure: FleetError, *, has_changed: bool) -> str:
        """Of a run that has ended; where a call had no answer nobody can say that nothing was changed."""
        if self._module.check_mode or not (has_changed or failure.code == Transient.code):
            return NOTHING_DONE
        return TAKEN_UP + (ROLLED_BACK if "replicas" in self._module.params else "")

    def finish(self, failure: FleetError | None) -> NoReturn:
        """The answer, failed or not. `exit_json` for both: `fail_json` adds the traceback of what is being handled."""
        answer = {"changed": False, **self.answer}
        if failure is not None:
            now = self.now()
            answer |= {"failed": True, "msg": message_of(failure, now), "failure": failure_of(failure, now)}
        if self._record is not None:
            for line in _written(self._record, _end_of(failure, self.answer.get("pending", ""), self.now()), self.other_surges):
                self._module.warn(line)
        if self._event_file is not None:
            self._event_file.close()
        self._module.exit_json(**self._redactor.value(answer))

    def _new_record(self) -> Record | None:
        """What the report and the metrics are made of, where they are asked for. A plan is no run, so it has no metrics."""
        params = self._module.params
        report_file = params.get("report_file") or ""
        metrics_file = (params.get("metrics_file") or "") if not self._module.check_mode else ""
        if not report_file and not metrics_file:
            return None
        from ansible_collections.immutable.fleet.plugins.module_utils.reports.written import Record

        if report_file:
            self.answer["report_file"] = os.path.abspath(report_file)  # noqa: PTH100  # pathlib is not imported for a path
        pool = str(params["name"]) if "replicas" in params else ""  # node_drain has no pool
        return Record(self.reporter, self._redactor, pool=pool, report_file=report_file, metrics_file=metrics_file)


@contextmanager
def reporting(module: AnsibleFace, spec: Spec) -> Iterator[Face]:
    """Within it errors may fly; behind it the module has answered and the process ends."""
    # Last of all: a process that ends need not look for cycles among all that it knew, which of 1,000 machines is a tenth of its work.
    atexit.register(gc.freeze)
    face = Face(module, spec)
    failure: FleetError | None = None
    is_at_once = False
    try:
        face.begin()
        yield face
    except LibraryMissing as error:
        failure = _library_missing(error.library)
    except FleetError as error:
        failure = error
    except KeyboardInterrupt:
        failure, is_at_once = FleetError(what="ended at once, on a second signal", forward=AGAIN), True
    except Exception as error:  # noqa: BLE001  # the one place: what nobody foresaw still gets an answer that can be read
        failure = _unforeseen(error)
    face.stops.end()
    try:
        face.finish(failure)
    finally:
        if is_at_once:
            _leave_soon()


def message_of(error: FleetError, now: datetime) -> str:
    """The one form of a failure: a line each for what, where, since, forward, back; empty ones are left out."""
    data = failure_of(error, now)
    since = data["since"] + (f", {data['age']} ago" if data["age"] else "")
    parts = {"what": error.what, "where": error.where, "since": since, "forward": data["forward"], "back": data["back"]}
    return "\n".join(f"{name + ':':<9}{text}" for name, text in parts.items() if text)


def failure_of(error: FleetError, now: datetime) -> dict[str, str]:
    """`{code, what, where, machine, since, age, forward, back}`, texts all; since in UTC, "" where it is not known."""
    age = say_duration(now - error.since) if error.since and error.since <= now else ""  # a forecast's lies ahead
    return {
        "code": error.code,
        "what": error.what,
        "where": error.where,
        "machine": subject_of(error.where),
        "since": say_instant(error.since) if error.since else "",
        "age": age,
        "forward": error.forward or (CORRECT if error.code == "invalid" else AGAIN),
        "back": error.back or (NOTHING_DONE if error.code in UNTOUCHED else TAKEN_UP),
    }


def _leave_soon() -> None:
    """End the process though calls are in flight: the interpreter would wait for the threads that carry them, each up to its timeout."""

    def leave() -> None:
        sys.stdout.flush()
        os._exit(0)

    timer = threading.Timer(LEAVE_SECONDS, leave)
    timer.daemon = True
    timer.start()


def _written(record: Record, end: dict[str, str], other_surges: tuple[tuple[int, timedelta], ...]) -> list[str]:
    """What could not be written. The run is over, and no mistake in drawing it may take its answer away."""
    try:
        return record.finish(end, other_surges)
    except Exception as error:  # noqa: BLE001  # as above: what nobody foresaw
        return [f"report_file, metrics_file: not written: {_unforeseen(error)}"]


def _end_of(failure: FleetError | None, pending: str, now: datetime) -> dict[str, str]:
    """The last event of a run, also of one that failed before it could tell any; of a failure in the words that the user gets."""
    end = {"at": say_instant(now), "kind": "end", "machine": "", "text": "done", "code": "ok", "pending": pending}
    return end if failure is None else end | {"pending": ""} | {"text": str(failure), **failure_of(failure, now)}


def _library_missing(library: str) -> FleetError:
    """In the words of Ansible's own modules, so that a person who searches for them finds the usual answers."""
    from ansible.module_utils.basic import missing_required_lib

    return LibraryMissing(
        what=missing_required_lib(library).replace("\n", " "),
        library=library,
        forward=f"{sys.executable} -m pip install '{library}'",
        back=NOTHING_DONE,
    )


def _unforeseen(error: Exception) -> FleetError:
    """A bug of ours, told in a line; what a developer needs is in a file that only the user may read."""
    import traceback

    descriptor, path = tempfile.mkstemp(prefix="immutable-fleet-", suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(error)))
    first_line = (str(error).splitlines() or [""])[0]
    return InvariantViolated(
        what=f"internal error: {type(error).__name__}: {first_line}",
        where=f"details in {path}",
        forward=f"{AGAIN}; if it fails again, report it with that file",
    )


def _wall_clock() -> datetime:
    return datetime.now(UTC)
