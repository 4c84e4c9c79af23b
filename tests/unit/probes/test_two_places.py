# SPDX-License-Identifier: GPL-3.0-or-later
"""The example of docs/operating.md that asks a machine from two places, as it stands there: what it says when who reaches whom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.immutable.fleet.plugins.module_utils.entry import specs
from ansible_collections.immutable.fleet.plugins.module_utils.entry.probes import probes_of
from ansible_collections.immutable.fleet.plugins.module_utils.probes.service import ServiceProber
from ansible_collections.immutable.fleet.tests.unit.builders import vm

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = specs.HEALTH.options["health"]["options"]["probes"]["options"]
REACHED, REFUSED, NO_WAY = 0, 7, 255  # curl's and ssh's


def example() -> dict[str, object]:
    """The probe of the page, with the defaults that Ansible adds."""
    section = (ROOT / "docs/operating.md").read_text(encoding="utf-8").partition("### From two places")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```yaml\n(.*?)```", section, flags=re.DOTALL)
    (given,) = yaml.safe_load(block)["health"]["probes"]
    return {name: option.get("default") for name, option in OPTIONS.items()} | given


def stand_in(folder: Path, program: str, code: int) -> None:
    """A program that writes down what it was called with, and ends with `code`."""
    file = folder / program
    file.write_text(f'#!/bin/sh\necho "{program} $*" >>"{folder}/called"\nexit {code}\n')
    file.chmod(0o755)


@pytest.mark.parametrize(
    ("here", "there", "expected", "asked"),
    [
        pytest.param(REACHED, REFUSED, True, ["curl"], id="reached from here: nobody else is asked"),
        pytest.param(REFUSED, REACHED, True, ["curl", "ssh"], id="not from here, but from there: it is our way that is broken"),
        pytest.param(REFUSED, REFUSED, False, ["curl", "ssh"], id="from nowhere"),
        pytest.param(REFUSED, NO_WAY, None, ["curl", "ssh"], id="not from here, and the other place cannot be asked: nobody knows"),
    ],
)
def test_a_machine_is_asked_from_two_places(
    here: int, there: int, expected: bool | None, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ill is who neither reaches. It is asked for its own address, and the one who asks for it is no shell of ours."""
    stand_in(tmp_path, "curl", here)
    stand_in(tmp_path, "ssh", there)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (probe,) = probes_of([example()])
    passed, said = ServiceProber("web", str).probe(probe, vm("web-0-aaaaa", addresses=("192.0.2.7",)))
    called = (tmp_path / "called").read_text().splitlines()
    assert (passed, [line.split()[0] for line in called]) == (expected, asked), said
    assert all("http://192.0.2.7:8080/health" in line for line in called)
