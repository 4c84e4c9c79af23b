# SPDX-License-Identifier: GPL-3.0-or-later
"""The first thing a module does: an interpreter that is too old gets an answer instead of a syntax error, any other one is set up.

This file, like the module files, has to parse on Python 3.8, and imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys
import zipimport

PYTHON_NEEDED = (3, 11)


def require() -> None:
    """Return on Python >= 3.11; else answer as a module that failed, and end.

    AnsibleModule is not used for it: it would refuse the options before a message of ours could be shown.
    """
    if sys.version_info[:2] >= PYTHON_NEEDED:
        return
    needed = ".".join(str(part) for part in PYTHON_NEEDED)
    present = ".".join(str(part) for part in sys.version_info[:3])
    message = (
        f"immutable.fleet needs Python >= {needed} where its modules run; {sys.executable} is {present}. "
        "Set ansible_python_interpreter to a newer one for this task."
    )
    sys.stdout.write(json.dumps({"failed": True, "changed": False, "msg": message}) + "\n")
    raise SystemExit(1)


def compile_once() -> None:
    """Let what is imported from now on out of Ansible's zip be compiled once instead of twice."""
    sys.path_hooks[:] = [_CompileOnce if hook is zipimport.zipimporter else hook for hook in sys.path_hooks]
    for place, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimport.zipimporter):
            sys.path_importer_cache[place] = _CompileOnce(place)


class _CompileOnce(zipimport.zipimporter):
    """Python's own compiles a file to learn where it lies, and again to run it (`get_filename` in Lib/zipimport.py).

    A module that Ansible ships lies in a zip without bytecode, so the first of the two was a quarter of what a task costs there.
    """

    def get_filename(self, fullname: str) -> str:
        """Where its source lies, as Python's own says it."""
        place = self.archive + os.sep + self.prefix + fullname.rpartition(".")[2]
        return place + (os.sep + "__init__.py" if self.is_package(fullname) else ".py")
