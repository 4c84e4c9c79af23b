# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bare machine is told, or given, before any lab is installed on it."""

from __future__ import annotations

import io
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.tests.labs import prerequisites
from ansible_collections.immutable.fleet.tests.labs.processes import LabError, Progress

LABS = ("openstack", "kubernetes", "vsphere")
HEADERS = f"python{sys.version_info[0]}.{sys.version_info[1]}-dev"


class Machine:
    """Its programs, and what apt offers; `installed` is what was asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, home: Path, *programs: str, go: str = "", offers: str = "2:1.24~1") -> None:
        self.go, self.offers = go, offers
        self.installed: list[str] = []
        there = {*programs, "apt-cache", *(["go"] if go else [])}
        monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/usr/bin/{name}" if name in there else None)
        headers = home / "include"
        if "headers" in programs:
            headers.mkdir()
            (headers / "Python.h").touch()
        monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(headers))
        monkeypatch.setenv("LAB_HOME", str(home))
        monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)

    def run(self, argv: Iterable[str], *_more: object) -> str:
        words = list(argv)
        if words[0] == "go":
            return self.go
        if words[0] == "apt-cache":
            return f"golang-go:\n  Installed: (none)\n  Candidate: {self.offers}\n"
        if "install" in words:
            self.installed = words[words.index("--no-install-recommends") + 1 :]
        return ""

    def ensure(self, *, is_root: bool, labs: Iterable[str] = LABS) -> str:
        """What it comes to: "" where all is there."""
        try:
            prerequisites.ensure(list(labs), Progress(io.StringIO()), self.run, is_root=is_root)
        except LabError as error:
            return str(error)
        return ""


def test_what_is_missing_is_named_at_once_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before the first download, and for all labs."""
    said = Machine(monkeypatch, tmp_path).ensure(is_root=False)
    assert said.splitlines()[-1] == f"as root: apt install build-essential golang-go openssl {HEADERS}"
    assert "go 1.21 or later, to build the lab's binaries with" in said


def test_root_has_it_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As everywhere else in the labs."""
    machine = Machine(monkeypatch, tmp_path, "openssl", "headers")
    assert (machine.ensure(is_root=True), machine.installed) == ("", ["build-essential", "golang-go"])


@pytest.mark.parametrize("go", ["", "go1.19.8"], ids=["no Go", "an old Go"])
def test_a_package_that_would_not_do_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, go: str) -> None:
    """Debian 12 has a Go that cannot fetch a newer one: it says where there is one, and installs nothing."""
    machine = Machine(monkeypatch, tmp_path, "openssl", "gcc", "headers", go=go, offers="2:1.19~1")
    assert "backports golang-go" in machine.ensure(is_root=True)
    assert machine.installed == []


@pytest.mark.parametrize("labs", [("haproxy",), ("openstack",)])
def test_nothing_is_asked_for_that_is_not_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, labs: tuple[str, ...]) -> None:
    """Neither for labs that nobody wants, nor to build what is built."""
    done = tmp_path / "openstack/venv/.done"
    done.parent.mkdir(parents=True)
    done.touch()
    assert Machine(monkeypatch, tmp_path).ensure(is_root=False, labs=labs) == ""


def test_a_machine_with_all_of_it_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever asks."""
    machine = Machine(monkeypatch, tmp_path, "gcc", "openssl", "headers", go="go1.26.8")
    assert (machine.ensure(is_root=True), machine.installed) == ("", [])
