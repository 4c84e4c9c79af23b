# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module of the collection can do, and what it needs."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes and requirements. Twin of entry/specs.py, Spec.create_module."""

    DOCUMENTATION = r"""
options: {}
requirements:
  - python >= 3.11
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what would be done without doing it.
    support: full
  diff_mode:
    description: Will return details on what has changed (or would change) in diff mode.
    support: none
  platform:
    description: Systems that the module runs on.
    platforms: posix
    support: full
"""

    DIFF = r"""
options: {}
attributes:
  diff_mode:
    support: full
"""

    READS = r"""
options: {}
attributes:
  diff_mode:
    support: N/A
"""
