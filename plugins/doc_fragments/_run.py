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
  report_file:
    description:
      - File that gets a report when the run has ended, well or not. It is one HTML page that needs nothing else, with a time axis of each
        machine, what blocked, the critical path and the capacity over time. A file that is there is replaced.
      - It is made of the run's events. Where it cannot be written at the end, the task warns and does not fail for it.
    type: path
  metrics_file:
    description:
      - File that gets the numbers of the run in Prometheus' text format, for the textfile collector of C(node_exporter), at the beginning
        of the run, now and then, and at its end. Each pool needs a file of its own. Nothing is written in check mode.
    type: path
  stop_file:
    description:
      - File that the caller holds an exclusive C(flock) on. As soon as the module can take that lock, the caller has died, and the run
        stops at a safe point. The task's action plugin sets it where it can; it is rarely of use otherwise.
    type: path
"""
