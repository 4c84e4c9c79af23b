# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts a bake is decided by are what is on the disk, whatever was killed when."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.shelf import Shelf, part_of, write
from ansible_collections.immutable.fleet.plugins.module_utils.decide import baking
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, LockHeld

INPUTS = {"base": "sha256:1"}


def shelf(folder: Path, version: str = "1") -> Shelf:
    return Shelf(folder=folder, name="web", version=version, format="qcow2", base_digest="sha256:abc")


def whole(place: Shelf) -> list[str]:
    return [stage for stage, is_there in place.made().items() if is_there]


def test_only_what_has_its_final_name_is_there(tmp_path: Path) -> None:
    """A stage that was killed left a part, which is nothing; the next one takes it away."""
    place = shelf(tmp_path)
    place.work.mkdir(parents=True)
    for path in (place.base, place.image, place.bill, place.manifest):
        path.with_name(f"{path.name}.part").write_text("half")
    part_of(place.tree).mkdir()
    assert whole(place) == []
    place.tree.mkdir()
    write(place.image, "whole")
    write(place.passed(baking.HYGIENE), "clean")
    assert whole(place) == ["tree", "hygiene", "disk"]
    assert [path.name for path in place.home.glob("*.part")] == ["bill.cdx.json.part", "manifest.json.part"]
    assert not part_of(place.tree).exists()


def test_work_of_other_inputs_does_not_count(tmp_path: Path) -> None:
    """A version that a person named may have been begun with other roles; one with the same goes on."""
    place = shelf(tmp_path)
    with place.held():
        place.begin(INPUTS)
        place.tree.mkdir()
        write(place.image, "first")
        place.begin(INPUTS)
        assert whole(place) == ["tree", "disk"]
        place.begin({"base": "sha256:2"})
        assert whole(place) == []


def test_nobody_else_looks_into_the_work(tmp_path: Path) -> None:
    """Setuid programs and devices lie there; a folder that was there already is shut too."""
    place = shelf(tmp_path)
    place.work.mkdir(parents=True, mode=0o755)
    with place.held():
        assert place.work.stat().st_mode & 0o777 == 0o700
        place.begin(INPUTS)
        assert place.work.stat().st_mode & 0o777 == 0o700


def test_a_version_has_one_bake_at_a_time(tmp_path: Path) -> None:
    """The second is told at once; the lock ends with its process."""
    with shelf(tmp_path).held():
        with pytest.raises(LockHeld, match="another run bakes web@1"), shelf(tmp_path).held():
            pass
        with shelf(tmp_path, "2").held():
            pass
    with shelf(tmp_path).held():
        pass


def test_what_never_became_a_version_is_cleared_away(tmp_path: Path) -> None:
    """Each change of a role is another version, and a failed one is a gigabyte. Finished ones and those under way stay."""
    failed, finished, under_way, ours = (shelf(tmp_path, version) for version in ("1", "2", "3", "4"))
    for place in (failed, finished):
        with place.held():
            place.begin(INPUTS)
    write(finished.manifest, "{}")
    with under_way.held(), ours.held():
        ours.clear_unfinished()
    assert sorted(home.name for home in (tmp_path / "web").iterdir()) == ["2", "3", "4"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """By the option it came from."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Invalid) as refused, shelf(tmp_path / "file").held():
        pass
    assert refused.value.where == "path"


def test_a_manifest_without_its_image_is_named(tmp_path: Path) -> None:
    """Somebody removed it; silence would promote an image that is not there."""
    place = shelf(tmp_path)
    assert place.read_manifest() is None
    place.home.mkdir(parents=True)
    write(place.manifest, "no json")
    with pytest.raises(Invalid, match="is no manifest"):
        place.read_manifest()
    with pytest.raises(Invalid, match=r"image\.qcow2 is not"):
        place.image_is_there()
