# SPDX-License-Identifier: GPL-3.0-or-later
"""On this machine a module takes the engine from where the collection lies, instead of bringing a copy of it along.

To pack a module Ansible parses every file that it might import and looks for each imported name as if it were a file of its
own, and the copy is compiled anew at each run: four fifths of what a task costs here. So where module and controller share
their files, Ansible packs a file of a few lines in the module's place, which imports the module from the collection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COLLECTIONS = Path(__file__).parents[4]  # .../ansible_collections/immutable/fleet/plugins/plugin_utils/in_place.py

# The collections of an installed `ansible` package would hide the others of that name: hence a package made by hand.
IN_ITS_PLACE = """\
#!/usr/bin/python
import importlib
import sys
import types

from ansible.module_utils.basic import AnsibleModule

collections = types.ModuleType("ansible_collections")
collections.__path__ = [{collections!r}]
sys.modules["ansible_collections"] = collections
importlib.import_module("ansible_collections.immutable.fleet.plugins.modules.{module}").main()
"""


LOCAL_CONNECTIONS = ("local", "ansible.builtin.local", "ansible.legacy.local")


def is_local(action: Any) -> bool:
    """Whether the task of `action`, an action plugin, runs on this machine as a user who can read and write our files."""
    return action._connection.transport in LOCAL_CONNECTIONS and become_user(action) in ("", "root")  # noqa: SLF001


def become_user(action: Any) -> str:
    """Who the task runs as, or "" for the one who connects."""
    become = action._connection.become  # noqa: SLF001  # where ansible-core's own actions look
    return (become.get_option("become_user") or "root") if become is not None else ""


@contextmanager
def in_place(action: Any, folder: Path) -> Iterator[None]:
    """While this lasts, `action` runs the module of its task's name from the collection. `folder` is its own, and this machine's."""
    if COLLECTIONS.name != "ansible_collections":
        yield  # loaded in some other way: as ever
        return
    module = action._task.action.rpartition(".")[2]  # noqa: SLF001
    file = folder / f"{module}.py"
    file.write_text(IN_ITS_PLACE.format(collections=str(COLLECTIONS), module=module), encoding="utf-8")
    loaders = action._shared_loader_obj  # noqa: SLF001  # where ansible-core's own actions look for modules
    action._shared_loader_obj = _Loaders(loaders, file)  # noqa: SLF001
    try:
        yield
    finally:
        action._shared_loader_obj = loaders  # noqa: SLF001


class _Loaders:
    """Ansible's loaders, of which that for modules finds `file` for the module of its name."""

    def __init__(self, loaders: Any, file: Path) -> None:
        self._loaders = loaders
        self.module_loader = _ModuleLoader(loaders.module_loader, file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loaders, name)


class _ModuleLoader:
    def __init__(self, loader: Any, file: Path) -> None:
        self._loader, self._file = loader, file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def find_plugin_with_context(self, name: str, *given: Any, **named: Any) -> Any:
        """The module's own context, redirects and all, with another file. What runs a task in the background is a module as well."""
        found = self._loader.find_plugin_with_context(name, *given, **named)
        if found.resolved and name.rpartition(".")[2] == self._file.stem:
            found.plugin_resolved_path = str(self._file)
        return found
