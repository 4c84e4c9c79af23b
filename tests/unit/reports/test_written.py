# SPDX-License-Identifier: GPL-3.0-or-later
"""Report and metrics as files: whole or not at all, and never at the cost of the run."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.reports.event_file import Silence
from ansible_collections.immutable.fleet.plugins.module_utils.reports.redact import Redactor
from ansible_collections.immutable.fleet.plugins.module_utils.reports.written import Record

AT = datetime(2026, 11, 21, 4, 10, 7, tzinfo=UTC)
END = {"at": "2026-11-21T04:20:07Z", "kind": "end", "machine": "", "text": "done", "code": "ok"}
FAILED = {**END, "code": "blocked", "what": "not drained: hunter2", "forward": "run it again"}


def record(folder: Path) -> Record:
    report, metrics = str(folder / "report.html"), str(folder / "fleet.prom")
    return Record(Silence(), Redactor(["hunter2"]), pool="web", report_file=report, metrics_file=metrics)


def test_both_are_written_at_the_end(tmp_path: Path) -> None:
    """The report for the user alone, the metrics for a collector; without secrets, and with nothing beside them."""
    kept = record(tmp_path)
    kept.tell(Event(at=AT, kind="choose", machine="web-0-aaaaa", text="hunter2"))
    assert kept.finish(FAILED) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fleet.prom", "report.html"]
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("report.html", "fleet.prom")] == [0o600, 0o644]
    text = (tmp_path / "report.html").read_text()
    assert "web-0-aaaaa" in text
    assert "not drained: ********" in text
    assert "hunter2" not in text
    assert 'run_failure{pool="web",code="blocked"} 1' in (tmp_path / "fleet.prom").read_text()


def test_metrics_say_that_a_run_is_in_progress(tmp_path: Path) -> None:
    """They are written while it works, not only at its end."""
    kept = record(tmp_path)
    wanted = {"pool": "web", "replicas": 3, "floor": 3, "ceiling": 4, "min_ready_seconds": 0, "revision": "", "image": ""}
    kept.tell(Event(at=AT, kind="begin", data=wanted))
    assert 'run_in_progress{pool="web"} 1' in (tmp_path / "fleet.prom").read_text()
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(("place", "said"), [("", "a folder"), ("none/report.html", "there is no folder")])
@pytest.mark.parametrize("option", ["report_file", "metrics_file"])
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, option: str, place: str, said: str) -> None:
    """Before anything is touched, with the option's path."""
    given = {"report_file": "", "metrics_file": "", option: str(tmp_path / place)}
    with pytest.raises(Invalid) as refused:
        Record(Silence(), Redactor(), **given)
    assert refused.value.where == option
    assert said in refused.value.what


def test_a_place_that_went_away_costs_the_files_only(tmp_path: Path) -> None:
    """The run is told what is missing, as a warning."""
    folder = tmp_path / "gone"
    folder.mkdir()
    kept = record(folder)
    folder.rmdir()
    kept.tell(Event(at=AT, kind="summary"))
    said = kept.finish(END)
    assert [line.partition(":")[0] for line in said] == ["report_file", "metrics_file"]
    assert all("No such file or directory" in line for line in said)
