# SPDX-License-Identifier: GPL-3.0-or-later
"""A root file system is read as it is, and nothing beside it."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.listing import listing_of
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.policy import Policy
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.rules import findings_in
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.tree import Entry
from ansible_collections.immutable.fleet.tests.unit.hygiene.trees import CLEAN, LINK


def lay_out(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        place = root / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith(LINK):
            place.symlink_to(text.removeprefix(LINK))
        else:
            place.write_text(text, encoding="utf-8")


def test_a_clean_image_on_disk_is_clean(tmp_path: Path) -> None:
    """What the rules are tested with is what a disk holds; folders and links included."""
    links_first = dict(sorted(CLEAN.items(), key=lambda file: file[0].count("/")))
    lay_out(tmp_path, {path: text for path, text in links_first.items() if path != "/lib"})
    assert findings_in(listing_of(tmp_path), Policy(users=frozenset({"ops"}))) == []


def test_what_is_found_on_disk_is_found_by_its_path_in_the_image(tmp_path: Path) -> None:
    """Nobody has to know where the image was unpacked."""
    lay_out(tmp_path, {**CLEAN, "/etc/ssh/ssh_host_rsa_key": "-----BEGIN RSA PRIVATE KEY-----"} | {"/lib": LINK + "usr/lib"})
    (finding,) = findings_in(listing_of(tmp_path), Policy(users=frozenset({"ops"})))
    assert finding.path == "/etc/ssh/ssh_host_rsa_key"


def test_links_stay_inside_the_image(tmp_path: Path) -> None:
    """A link to /etc/passwd shows the image's, and one that leads nowhere shows nothing."""
    (tmp_path / "image/etc").mkdir(parents=True)
    (tmp_path / "image/etc/shadow").symlink_to("/etc/passwd")
    (tmp_path / "image/etc/out").symlink_to("../../secret")
    (tmp_path / "image/etc/a").symlink_to("b")
    (tmp_path / "image/etc/b").symlink_to("a")
    (tmp_path / "secret").write_text("secret")
    tree = listing_of(tmp_path / "image")
    assert [tree.text("/etc/shadow"), tree.text("/etc/out"), tree.text("/etc/a")] == ["", "", ""]
    assert tree.find("/etc/shadow") is None


def test_what_is_no_text_is_not_read(tmp_path: Path) -> None:
    """Its size is known all the same; a pipe is not opened at all."""
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/key").write_bytes(b"\0\1\2")
    os.mkfifo(tmp_path / "opt/pipe")
    assert listing_of(tmp_path).entries == {
        "/opt": Entry("/opt", "folder"),
        "/opt/key": Entry("/opt/key", "file", 3),
        "/opt/pipe": Entry("/opt/pipe", "other"),
    }
