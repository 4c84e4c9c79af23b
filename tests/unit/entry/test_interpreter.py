# SPDX-License-Identifier: GPL-3.0-or-later
"""An interpreter that is too old gets an answer."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry import interpreter


def test_an_old_python_is_told_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As a module's answer, with what is needed, what is there and what to set."""
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(SystemExit):
        interpreter.require()
    answer = json.loads(capsys.readouterr().out)
    assert (answer["failed"], answer["changed"]) == (True, False)
    assert answer["msg"] == (
        f"immutable.fleet needs Python >= 3.11 where its modules run; {sys.executable} is 3.9.18. "
        "Set ansible_python_interpreter to a newer one for this task."
    )


def test_the_check_itself_runs_on_an_old_python() -> None:
    """A syntax error would be all that is seen."""
    ast.parse(Path(interpreter.__file__).read_text(), feature_version=(3, 8))
