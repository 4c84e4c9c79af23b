# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module answers, whatever happens inside."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.bake import Unclean
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.boot import BootFailed
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.program import ProgramFailed
from ansible_collections.immutable.fleet.plugins.module_utils.decide.building import BuildFailed
from ansible_collections.immutable.fleet.plugins.module_utils.entry import faces, specs
from ansible_collections.immutable.fleet.plugins.module_utils.entry.stops import SIGNALS, Stops
from ansible_collections.immutable.fleet.plugins.module_utils.model import errors
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Blocked, FleetError, Invalid, LibraryMissing
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.tests.shell import ROOT, environment

# A module with a call in flight that is never answered, and two signals.
SIGNALLED_TWICE = """
import json, signal, threading
from ansible_collections.immutable.fleet.plugins.module_utils.engine.threads import ThreadsRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.entry import faces, specs

class Module:
    check_mode, params = False, {"name": "web"}

    def exit_json(self, **answer):
        print(json.dumps(answer["failure"]))
        raise SystemExit(0)

try:
    with faces.reporting(Module(), specs.NODE_POOL) as face:
        runtime = ThreadsRuntime()
        face.stops.wake_with(runtime.wake)
        runtime.submit(threading.Event().wait, print)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
finally:
    print("cleaned up")
"""


class FakeModule:
    """The few members of AnsibleModule that a face uses."""

    check_mode = False

    def __init__(self, **params: Any) -> None:
        self.params = params
        self.answer: dict[str, Any] = {}
        self.warnings: list[str] = []

    def warn(self, warning: str) -> None:
        self.warnings.append(warning)

    def exit_json(self, **answer: Any) -> NoReturn:
        self.answer = answer
        raise SystemExit(0)


@pytest.fixture(autouse=True)
def _handlers() -> Any:
    """A face takes over the process's signals; the test runner wants its own back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def answer_to(error: BaseException | None, changed: bool | None = None, **params: Any) -> dict[str, Any]:
    """What the module says when `error` flies inside; with `changed`, when it is what came of a run."""
    module = FakeModule(**params)
    with pytest.raises(SystemExit):
        work(module, error, changed)
    return module.answer


def work(module: FakeModule, error: BaseException | None, changed: bool | None = None) -> None:
    with faces.reporting(module, specs.NODE_POOL) as face:
        face.answer["name"] = "web"
        if changed is not None and isinstance(error, FleetError):
            face.conclude({"changed": changed}, error)
        if error is not None:
            raise error


def test_a_failure_has_one_form() -> None:
    """style.md section 7: what, where, since, forward, back; absolute and relative time; the same as data."""
    since = datetime.now(UTC) - timedelta(minutes=15)
    error = Blocked(
        what="not drained: PDB shop/cart allows 0 evictions, 2 pods left (cart-0, cart-2)",
        where="machine web-3-x7k2p, failure domain az2",
        since=since,
        forward="ansible-playbook site.yml",
        back="kubectl uncordon web-3-x7k2p",
    )
    stamp = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = answer_to(error)
    assert answer["msg"] == (
        "what:    not drained: PDB shop/cart allows 0 evictions, 2 pods left (cart-0, cart-2)\n"
        "where:   machine web-3-x7k2p, failure domain az2\n"
        f"since:   {stamp}, 15m ago\n"
        "forward: ansible-playbook site.yml\n"
        "back:    kubectl uncordon web-3-x7k2p"
    )
    assert answer["failed"] is True
    assert answer["name"] == "web"
    assert {key: answer["failure"][key] for key in ("code", "machine", "since", "age")} == {
        "code": "blocked",
        "machine": "web-3-x7k2p",
        "since": stamp,
        "age": "15m",
    }


def test_a_wrong_option_says_that_nothing_was_changed() -> None:
    """Forward and back are there even where the error itself knows none."""
    answer = answer_to(Invalid(what="0 would delete every machine", where="replicas"))
    assert answer["msg"].splitlines()[-2:] == [
        "forward: correct the option and run the same task again",
        "back:    nothing to take back: nothing was changed",
    ]
    assert answer["changed"] is False


ERRORS: tuple[type[FleetError], ...] = (
    FleetError, errors.PortError, errors.Transient, errors.Throttled, errors.Exhausted, errors.Conflict, errors.NotFound, errors.Denied,
    Invalid, errors.Refused, errors.GivenUp, Blocked, errors.LockHeld, errors.Stalled, errors.Stopped, errors.InvariantViolated,
    BootFailed, Unclean, BuildFailed,
)  # fmt: skip


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: f"{kind.__name__}: {kind.code}")
@pytest.mark.parametrize("changed", [None, False, True], ids=["flies", "nothing was written", "something was written"])
def test_FM38_every_failure_says_how_to_go_forward_and_back(kind: type[FleetError], changed: bool | None) -> None:
    """Whatever the error itself knows; "nothing was changed" is said of what is known to have changed nothing, and of nothing else."""
    failure = answer_to(kind(what="no", where="machine web-3-x7k2p, pool web"), changed, replicas=3)["failure"]
    assert (failure["code"], failure["machine"], failure["forward"] != "") == (kind.code, "web-3-x7k2p", True)
    is_untouched = kind.code != "unreachable" if changed is False else changed is None and kind.code in ("invalid", "lock_held")
    assert (failure["back"] == faces.NOTHING_DONE, "rolled_back" in failure["back"]) == (
        is_untouched,
        not is_untouched and changed is not None,
    )
    assert failure["back"] != ""


def test_FM38_a_plan_has_nothing_to_take_back() -> None:
    """What its rehearsal changed was a copy."""
    module = FakeModule(replicas=3)
    module.check_mode = True
    with pytest.raises(SystemExit):
        work(module, errors.Denied(what="no"), changed=True)
    assert module.answer["failure"]["back"] == faces.NOTHING_DONE


def test_FM38_no_code_is_left_out() -> None:
    """The table above has every code that a class names; errors of two codes carry more data, and have tests of their own."""
    engine = Path(__file__).resolve().parents[3] / "plugins/module_utils"
    named = {
        code for path in engine.rglob("*.py") for code in re.findall(r'^    code = "(\w+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named == {kind.code for kind in ERRORS} | {LibraryMissing.code, ProgramFailed.code}


def test_an_unforeseen_error_is_a_line_and_a_file() -> None:
    """No traceback reaches the user; a developer finds it where the line says."""
    answer = answer_to(ZeroDivisionError("division by zero"))
    assert answer["failure"]["code"] == "bug"
    assert answer["failure"]["what"] == "internal error: ZeroDivisionError: division by zero"
    assert "Traceback" not in str(answer)
    details = Path(answer["failure"]["where"].removeprefix("details in "))
    assert "Traceback" in details.read_text()
    details.unlink()


def test_a_missing_library_is_named_in_ansibles_words() -> None:
    """A person who searches for the message finds the usual answers."""
    answer = answer_to(LibraryMissing(what="openstacksdk is not installed", library="openstacksdk>=4.0.0"))
    assert "Failed to import the required Python library (openstacksdk>=4.0.0)" in answer["msg"]
    assert answer["failure"]["code"] == "library_missing"


def test_secrets_never_leave() -> None:
    """Not in the message of a foreign service either."""
    answer = answer_to(Invalid(what="wrong token s3cret-token"), kubernetes={"api_key": "s3cret-token"})
    assert "s3cret" not in str(answer)


def test_a_good_end_is_an_answer_too() -> None:
    """The process ends behind the block, with what the face has gathered."""
    assert answer_to(None) == {"changed": False, "name": "web"}


def test_the_first_signal_asks_and_the_second_ends() -> None:
    """Once: the loop is woken and told why. Twice: at once."""
    stops, woken = Stops(), threading.Event()
    stops.watch(None)
    stops.wake_with(woken.set)
    assert stops() == ""
    signal.raise_signal(signal.SIGTERM)
    assert woken.wait(5)
    assert stops() == "signal SIGTERM"
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_second_signal_waits_for_no_call_in_flight(tmp_path: Path) -> None:
    """The answer is there whole, what is around the module cleans up, and the process ends: else this test would not."""
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED_TWICE],
        env={**environment(tmp_path), "PYTHONPATH": str(ROOT / "build/collections")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answer, cleaned_up = done.stdout.splitlines()
    assert '"what": "ended at once, on a second signal"' in answer
    assert (cleaned_up, done.stderr) == ("cleaned up", "")


def test_a_signal_behind_the_end_takes_no_answer_away() -> None:
    """While it is written, which may take its time where there is a report."""
    stops = Stops()
    stops.watch(None)
    signal.raise_signal(signal.SIGTERM)
    stops.end()
    signal.raise_signal(signal.SIGTERM)
    assert stops() == "signal SIGTERM"


def test_a_caller_that_dies_stops_the_run(tmp_path: Path) -> None:
    """The lock on the stop file is free as soon as the process that held it is gone, however it ended."""
    import fcntl

    stop_file = tmp_path / "stop"
    with stop_file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        stops, woken = Stops(), threading.Event()
        stops.watch(str(stop_file))
        stops.wake_with(woken.set)
        assert not woken.wait(0.05)
    assert woken.wait(5)
    assert stops() == "the process that started this run is gone"


def test_a_report_is_written_whatever_came_of_the_run(tmp_path: Path) -> None:
    """Also of a run that failed before it could tell anything: in the words that the user gets, and without a pool for node_drain."""
    report, metrics = tmp_path / "report.html", tmp_path / "fleet.prom"
    files = {"report_file": str(report), "metrics_file": str(metrics)}
    answer = answer_to(Invalid(what="no such image: v9", where="image"), name="web", replicas=3, **files)
    assert answer["report_file"] == str(report)
    assert "no such image: v9" in report.read_text()
    assert "correct the option and run the same task again" in report.read_text()
    assert 'immutable_fleet_run_failure{pool="web",code="invalid"} 1' in metrics.read_text()
    answer_to(None, name=["worker-1"], **files)
    assert "immutable_fleet_run_success 1" in metrics.read_text()


def test_a_place_for_a_report_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    """With its option's path."""
    answer = answer_to(None, report_file=str(tmp_path))
    assert (answer["failure"]["where"], answer["failure"]["code"]) == ("report_file", "invalid")


def test_a_mistake_in_drawing_the_report_takes_no_answer_away(tmp_path: Path) -> None:
    """The run is over by then: it is a warning, with a file for who mends it."""
    module = FakeModule(report_file=str(tmp_path / "report.html"))

    def tell_what_has_no_numbers() -> None:
        with faces.reporting(module, specs.NODE_POOL) as face:
            face.reporter.tell(Event(at=datetime.now(UTC), kind="capacity"))
            face.conclude({"changed": True}, None)

    with pytest.raises(SystemExit):
        tell_what_has_no_numbers()
    assert module.answer["changed"] is True
    assert "failed" not in module.answer
    (warning,) = module.warnings
    assert warning.startswith("report_file, metrics_file: not written: internal error: KeyError: 'available' (details in ")
