# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that runs on this machine is packed without the engine, which lies here already."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.plugin_utils import in_place

NAME = "immutable.fleet.node_pool"
ASYNC = "ansible.legacy.async_wrapper"


class FakeLoader:
    """Knows two modules."""

    def find_plugin_with_context(self, name: str, _kind: str, collection_list: Any = None) -> Any:
        path = {NAME: "/there/node_pool.py", ASYNC: "/there/async_wrapper.py"}.get(name)
        return SimpleNamespace(resolved=path is not None, plugin_resolved_path=path)


def an_action() -> Any:
    return SimpleNamespace(
        _task=SimpleNamespace(action=NAME), _shared_loader_obj=SimpleNamespace(module_loader=FakeLoader(), lookup_loader="lookups")
    )


def found(action: Any, name: str = NAME) -> str | None:
    path: str | None = action._shared_loader_obj.module_loader.find_plugin_with_context(name, "", collection_list=None).plugin_resolved_path
    return path


def test_the_file_that_is_packed_imports_the_module_from_here(tmp_path: Path) -> None:
    """And nothing of ours by a statement that Ansible would follow; afterwards all is as before."""
    action = an_action()
    with in_place.in_place(action, tmp_path):
        assert (found(action), found(action, ASYNC), found(action, "x.y.z"), action._shared_loader_obj.lookup_loader) == (
            f"{tmp_path}/node_pool.py",
            "/there/async_wrapper.py",
            None,
            "lookups",
        )
        text = (tmp_path / "node_pool.py").read_text()
    assert found(action) == "/there/node_pool.py"
    imported = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not any("fleet" in ast.unparse(node) for node in imported)
    assert "plugins.modules.node_pool" in text
    assert repr(str(in_place.COLLECTIONS)) in text


def test_a_collection_that_was_loaded_in_some_other_way_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it lies is then not known."""
    monkeypatch.setattr(in_place, "COLLECTIONS", tmp_path)
    action = an_action()
    with in_place.in_place(action, tmp_path):
        assert found(action) == "/there/node_pool.py"
