# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a run behaves, whatever it does."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/specs.py, RUN."""

    DOCUMENTATION = r"""
options:
  timeout:
    description: How long the run may take, in seconds or as V(2h). No limit where it is not given. The same task goes on later.
    type: str
  wait:
    description: Whether to work until the end. V(false) takes one turn, sees its calls answered and returns.
    type: bool
    default: true
  lock_ttl:
    description: After how long without a sign of life another run takes the lock over.
    type: str
    default: 60s
  call_timeout:
    description: How long one call of an API may take. Has to be below half of O(lock_ttl).
    type: str
    default: 20s
  events_file:
    description:
      - File that gets one JSON object per line for everything that happens, as it happens. It is appended to.
      - Where it is not given, the task shows progress from a temporary file, which is removed at the end.
    type: path
  stop_file:
    description:
      - File that the caller holds an exclusive C(flock) on. As soon as the module can take that lock, the caller has died, and the run
        stops at a safe point. The task's action plugin sets it where it can; it is rarely of use otherwise.
    type: path
"""
