# SPDX-License-Identifier: GPL-3.0-or-later
"""Same inputs, same version; anything that changes an image changes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.inputs import inputs_of, roles_of, version_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid


def role(place: Path, name: str, tasks: str = "[]", meta: str = "dependencies: []\n") -> Path:
    folder = place / name
    for part, text in (("tasks", tasks), ("meta", meta)):
        (folder / part).mkdir(parents=True)
        (folder / part / "main.yml").write_text(text)
    return folder


def version(place: Path, *, base: dict[str, object] | None = None, variables: dict[str, object] | None = None) -> str:
    roles = roles_of(["web"], [place])
    return version_of(inputs_of(base or {"suite": "bookworm"}, roles, variables or {}, []), parent="")


def test_a_copy_of_the_same_files_is_the_same(tmp_path: Path) -> None:
    """A fresh clone on another machine, a day later, builds nothing anew."""
    role(tmp_path / "a", "web")
    copy = role(tmp_path / "b", "web")
    os.utime(copy / "tasks/main.yml", (0, 0))
    (copy / "tasks/__pycache__").mkdir()
    (copy / "tasks/__pycache__/x.pyc").write_text("x")
    assert version(tmp_path / "a") == version(tmp_path / "b")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a task": lambda web: (web / "tasks/main.yml").write_text("- debug:\n"),
    "a file more": lambda web: (web / "tasks/more.yml").write_text(""),
    "a file less": lambda web: (web / "meta/main.yml").unlink(),
    "a name": lambda web: (web / "tasks/main.yml").rename(web / "tasks/other.yml"),
    "a file that may be run": lambda web: (web / "tasks/main.yml").chmod(0o755),
    "a link": lambda web: (web / "files").symlink_to("tasks"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_a_role_is_another_version(change: Callable[[Path], object], tmp_path: Path) -> None:
    """What Ansible would read."""
    web = role(tmp_path, "web")
    before = version(tmp_path)
    change(web)
    assert version(tmp_path) != before


def test_base_and_variables_count(tmp_path: Path) -> None:
    """A base that is a file counts by what is in it."""
    role(tmp_path, "web")
    (tmp_path / "base.tar").write_text("1")
    plain = version(tmp_path)
    first = version(tmp_path, base={"image": tmp_path / "base.tar"})
    (tmp_path / "base.tar").write_text("2")
    second = version(tmp_path, base={"image": tmp_path / "base.tar"})
    assert len({plain, first, second, version(tmp_path, base={"suite": "trixie"}), version(tmp_path, variables={"port": 80})}) == 5


def test_files_of_the_same_name_all_count(tmp_path: Path) -> None:
    """Whichever is named first; two that change places are a change."""
    places = [tmp_path / folder / "main.cfg" for folder in ("a", "b")]
    for place in places:
        place.parent.mkdir()
        place.write_text(str(place.parent.name))

    def digests() -> dict[str, str]:
        return inputs_of({}, {}, {}, places)

    before = digests()
    for place in places:
        kept = place.read_text()
        place.write_text("changed")
        assert digests() != before
        place.write_text(kept)
    assert inputs_of({}, {}, {}, places[::-1]) == before == digests()
    for place, text in zip(places, ("b", "a"), strict=True):
        place.write_text(text)
    assert digests() != before


@pytest.mark.parametrize(
    ("tasks", "meta"),
    [
        pytest.param("- include_role:\n    name: common\n", "", id="included"),
        pytest.param("- ansible.builtin.import_role: {name: common}\n", "", id="imported in a line"),
        pytest.param("[]", "dependencies:\n  - common\n", id="a dependency"),
        pytest.param("[]", "dependencies:\n  - role: common\n    vars: {a: 1}\n", id="a dependency with variables"),
        pytest.param("[]", 'galaxy_info:\n  author: x\ndependencies:\n  - {role: "common", a: 1}\n', id="a dependency in a line"),
    ],
)
def test_a_role_brings_those_that_it_names(tasks: str, meta: str, tmp_path: Path) -> None:
    """Their files are inputs as its own, at any depth."""
    web, common = role(tmp_path, "web", tasks, meta), role(tmp_path, "common", meta="dependencies:\n  - role: deep\n")
    deep = role(tmp_path, "deep")
    assert roles_of(["web"], [tmp_path]) == {"web": web, "common": common, "deep": deep}


def test_roles_of_collections_and_by_folder(tmp_path: Path) -> None:
    """As Ansible finds them."""
    inside = role(tmp_path / "ansible_collections/acme/estate/roles", "web")
    assert roles_of(["acme.estate.web", str(inside)], [tmp_path]) == {"acme.estate.web": inside, str(inside): inside}


def test_a_role_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    """Before anything is built, with the places."""
    with pytest.raises(Invalid) as refused:
        roles_of(["web"], [tmp_path])
    assert (refused.value.where, refused.value.what) == ("roles", f"role 'web' is not there; looked in {tmp_path}")
