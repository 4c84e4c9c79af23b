# SPDX-License-Identifier: GPL-3.0-or-later
"""The first thing a module does: an interpreter that is too old gets an answer instead of a syntax error.

This file, like the module files, has to parse on Python 3.8, and imports nothing of ours.
"""

from __future__ import annotations

import json
import sys

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
