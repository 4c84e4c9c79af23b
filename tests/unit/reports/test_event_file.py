# SPDX-License-Identifier: GPL-3.0-or-later
"""The event file: complete lines, at once, without secrets."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.reports.event_file import EventFile
from ansible_collections.immutable.fleet.plugins.module_utils.reports.redact import Redactor

AT = datetime(2026, 11, 21, 4, 10, 7, tzinfo=UTC)


def test_a_line_is_there_as_soon_as_it_is_told(tmp_path: Path) -> None:
    """Whoever follows the file is never behind; secrets and bootstrap tokens are out, texts of others stay."""
    path = tmp_path / "events.jsonl"
    file = EventFile(str(path), Redactor(["hunter2"]))
    file.tell(
        Event(at=AT, kind="refused", machine="web-0-abcde", text="hunter2 and abcdef.0123456789abcdef", data={"n": 1, "of": ["hunter2"]})
    )
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {
            "at": "2026-11-21T04:10:07Z",
            "kind": "refused",
            "machine": "web-0-abcde",
            "text": "******** and ********",
            "n": 1,
            "of": ["********"],
        }
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    file.close()


def test_an_earlier_run_is_kept(tmp_path: Path) -> None:
    """The file is appended to: a rerun does not erase what led to it."""
    path = tmp_path / "events.jsonl"
    for kind in ("create", "gone"):
        file = EventFile(str(path), Redactor())
        file.tell(Event(at=AT, kind=kind))
        file.close()
    assert [json.loads(line)["kind"] for line in path.read_text().splitlines()] == ["create", "gone"]


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """Before anything is touched, with the option's path."""
    with pytest.raises(Invalid) as refused:
        EventFile(str(tmp_path / "no/such/folder"), Redactor())
    assert refused.value.where == "events_file"


def test_telling_never_fails_a_run(tmp_path: Path) -> None:
    """A closed file, like a full disk, costs the report only."""
    file = EventFile(str(tmp_path / "events.jsonl"), Redactor())
    file.close()
    file.tell(Event(at=AT, kind="late"))
