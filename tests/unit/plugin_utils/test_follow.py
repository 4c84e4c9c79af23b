# SPDX-License-Identifier: GPL-3.0-or-later
"""Following a file that grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.plugin_utils import live_action
from ansible_collections.immutable.fleet.plugins.plugin_utils.follow import Follower, events_in


def test_half_a_line_waits_for_its_rest(tmp_path: Path) -> None:
    """Lines come once, in order, complete; what was there before the offset is another run's."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"kind": "old"}\n')
    seen: list[dict[str, Any]] = []
    follower = Follower(path, seen.append, lambda: None, offset=path.stat().st_size)
    with path.open("ab") as file:
        file.write(b'{"kind": "one"}\n{"kind"')
        file.flush()
        follower._read()
        assert seen == [{"kind": "one"}]
        file.write(b': "two"}\n')
    follower.start()
    follower.stop()
    assert seen == [{"kind": "one"}, {"kind": "two"}]


def test_a_file_that_never_came_is_no_error(tmp_path: Path) -> None:
    """The module may fail before it opens the file."""
    follower = Follower(tmp_path / "none", lambda _event: None, lambda: None)
    follower.start()
    follower.stop()


def test_a_file_that_may_not_be_read_is_no_error(tmp_path: Path) -> None:
    """The user may have named one of root's. A folder stands for it here, since root may read all files."""
    follower = Follower(tmp_path, lambda _event: None, lambda: None)
    follower._read()


def test_the_file_is_ours_before_the_module_writes() -> None:
    """With `become` the module is root, and what root makes only root reads."""
    with live_action._place(None) as place:
        assert place.events_file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_the_user_named_is_left_to_the_module(tmp_path: Path) -> None:
    """It says why where it cannot be made."""
    with live_action._place(str(tmp_path / "events.jsonl")) as place:
        assert not place.events_file.exists()


def test_lines_that_are_not_ours_are_left_out() -> None:
    """A file that the user named may hold anything."""
    assert list(events_in([b"", b"hello", b"[1]", b'{"kind": "gone"}'])) == [{"kind": "gone"}]
