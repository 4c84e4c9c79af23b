# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a short module from where the collection lies: the class behind the action plugins of modules that show no events."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.immutable.fleet.plugins.plugin_utils.in_place import in_place, is_local


class InPlaceAction(ActionBase):  # type: ignore[misc]  # ansible-core publishes no types
    """Runs the module of the task's name, `async` or not. Its result is the module's, untouched."""

    _requires_connection = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """From the collection where module and controller see the same files, else packed and sent, as Ansible does it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        is_async = bool(self._task.async_val)
        try:
            if is_local(self):
                with tempfile.TemporaryDirectory(prefix="immutable-fleet-") as folder, in_place(self, Path(folder)):
                    result.update(self._execute_module(task_vars=task_vars, wrap_async=is_async))
            else:
                result.update(self._execute_module(task_vars=task_vars, wrap_async=is_async))
        finally:
            if not is_async:  # else what watches the job still needs it
                self._remove_tmp_path(self._connection._shell.tmpdir)  # noqa: SLF001  # as ansible-core's own actions do
        return result
