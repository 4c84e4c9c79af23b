# SPDX-License-Identifier: GPL-3.0-or-later
"""An interpreter that is too old gets an answer; any other one compiles what it imports once."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
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


COUNTS = """
import json, sys
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, sys.argv[1] + "/shipped.zip")
compiled = []
sys.addaudithook(lambda event, given: event == "compile" and compiled.append(str(given[1])))
import before
if sys.argv[2] == "once":
    import interpreter
    interpreter.compile_once()
import fleet.loop, after
files = [fleet.__file__, fleet.loop.__file__, after.__file__]
print(json.dumps([[compiled.count(name) for name in files], files]))
"""


@pytest.mark.parametrize(("how", "times"), [("once", 1), ("as Python does", 2)])
def test_what_is_shipped_in_a_zip_is_compiled_once(tmp_path: Path, how: str, times: int) -> None:
    """A package, a module in it, and one that lies beside what was imported before; their names are those that Python gives."""
    (tmp_path / "interpreter.py").write_text(Path(interpreter.__file__).read_text())
    with zipfile.ZipFile(tmp_path / "shipped.zip", "w") as shipped:
        for name in ("before.py", "after.py", "fleet/__init__.py", "fleet/loop.py"):
            shipped.writestr(name, "ANSWER = 42")
    argv = [sys.executable, "-S", "-c", COUNTS, str(tmp_path), how]
    counts, files = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    assert counts == [times] * 3
    assert files == [f"{tmp_path}/shipped.zip/{name}" for name in ("fleet/__init__.py", "fleet/loop.py", "after.py")]
