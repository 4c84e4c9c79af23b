# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository looks after itself: rules that no other linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
PYTHON_LINES_MAX = 400  # a file is read in one sitting
LICENSE_LINE = "SPDX-License-Identifier: GPL-3.0-or-later"
LICENSED_SUFFIXES = {".cfg", ".j2", ".py", ".sh", ".toml", ".yaml", ".yml"}
LICENSED_NAMES = {".ansible-lint", ".editorconfig", ".gitignore", "Makefile", "lab", "run"}
GENERATED = {"changelogs/changelog.yaml"}
BINARY_SUFFIXES = {".gif", ".gz", ".ico", ".jpg", ".png", ".qcow2"}
# Home directories and checkouts of whoever wrote a file. Spelled so that this line does not match itself.
DEVELOPER_PATH = re.compile(r"(?<![\w.$}~-])/(?:root|work|Users/\w+|home/\w+)/[\w.]")
PURE_PACKAGES = ("model", "decide", "hygiene")
PURE_IMPORTS = {
    "__future__", "bisect", "collections", "dataclasses", "datetime", "difflib", "enum", "fractions", "functools", "hashlib", "heapq",
    "itertools", "json", "math", "operator", "re", "shlex", "string", "types", "typing", "zoneinfo",
}  # fmt: skip
OUR_PACKAGE = "ansible_collections.immutable.fleet"


def repository_files() -> list[str]:
    """Tracked files, and those about to be: relative paths, without what .gitignore names."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted({path for path in listed if (ROOT / path).is_file()})


FILES = repository_files()
PYTHON_FILES = [path for path in FILES if path.endswith(".py")]
MODULES = [path for path in PYTHON_FILES if path.startswith("plugins/modules/") and not path.endswith("__init__.py")]


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_every_source_file_names_its_licence() -> None:
    """Whoever copies one file out of here still sees under which terms."""
    sources = [
        path for path in FILES if (Path(path).suffix in LICENSED_SUFFIXES or Path(path).name in LICENSED_NAMES) and path not in GENERATED
    ]
    missing = [path for path in sources if (ROOT / path).stat().st_size and LICENSE_LINE not in text_of(path)[:1000]]
    assert missing == []


def test_python_files_are_short() -> None:
    """A longer one has two subjects."""
    lengths = {path: len(text_of(path).splitlines()) for path in PYTHON_FILES}
    assert {path: length for path, length in lengths.items() if length > PYTHON_LINES_MAX} == {}


def test_packages_are_packages_and_export_nothing() -> None:
    """Ansible ships what is imported: an __init__ that re-exports would make every task compile everything."""
    inside = [Path(path) for path in PYTHON_FILES if path.startswith("plugins/module_utils/")]
    folders = {parent for path in inside for parent in path.parents if parent.is_relative_to("plugins/module_utils")}
    without = [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file()]
    not_empty = [str(path) for path in inside if path.name == "__init__.py" and (ROOT / path).stat().st_size]
    assert (without, not_empty) == ([], [])


def test_plugins_is_no_package() -> None:
    """ansible-test's import checks replace it by a module of their own."""
    assert not (ROOT / "plugins/__init__.py").exists()


def test_no_path_of_a_developers_machine() -> None:
    """What is here works in any checkout, for any user."""
    texts = [path for path in FILES if Path(path).suffix not in BINARY_SUFFIXES]
    found = {path: match.group() for path in texts if (match := DEVELOPER_PATH.search(text_of(path)))}
    assert found == {}


def test_decisions_import_only_plain_values() -> None:
    """`model`, `decide` and `hygiene` are functions of their arguments, so nothing that could look elsewhere may be imported."""
    pure = [path for path in PYTHON_FILES if path.split("/")[:2] == ["plugins", "module_utils"] and path.split("/")[2] in PURE_PACKAGES]
    foreign = {path: names for path in pure if (names := imported_names(path) - PURE_IMPORTS)}
    assert foreign == {}


def imported_names(path: str) -> set[str]:
    """Top-level names of what a file imports, our own packages left out."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(text_of(path))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
    return {module.partition(".")[0] for module in modules if not module.startswith(OUR_PACKAGE)}


def test_no_name_is_a_bare_underscore() -> None:
    """ansible-test's pylint refuses it, in tests as well, because Ansible's translations once had that name."""
    named = [f"{path}:{node.lineno}" for path in PYTHON_FILES for node in ast.walk(ast.parse(text_of(path))) if is_underscore(node)]
    assert named == []


def is_underscore(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == "_"


def test_action_group_has_every_module() -> None:
    """`module_defaults: group/immutable.fleet.all` reaches each module."""
    runtime = yaml.safe_load(text_of("meta/runtime.yml"))
    assert sorted(runtime.get("action_groups", {}).get("all", [])) == sorted(Path(path).stem for path in MODULES)


def test_make_targets_in_the_documentation_exist() -> None:
    """A command that a page shows can be typed."""
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), flags=re.MULTILINE))
    command = re.compile(r"(?:`|^\s*)make ([a-z-]+)(?=`|\s*(?:#.*)?$)", flags=re.MULTILINE)
    shown = {(path, target) for path in FILES if path.endswith(".md") for target in command.findall(text_of(path))}
    assert {(path, target) for path, target in shown if target not in targets} == set()
