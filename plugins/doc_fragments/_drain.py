# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a node is emptied."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/specs.py, DRAIN."""

    DOCUMENTATION = r"""
options:
  drain:
    description:
      - How pods leave a node. All of them are asked to leave at once, through the Eviction API, and the drain ends when the last one is
        gone. A node is never called drained because time ran out.
    type: dict
    suboptions:
      timeout:
        description: How long a drain may take, in seconds or as V(15m). V(0) gives up at once.
        type: str
        default: 15m
      on_timeout:
        description:
          - What follows when pods are left at the end of O(drain.timeout).
          - V(skip) sets the node aside and goes on with the others. In a pool it stays cordoned, is tried again slowly and deleted once
            empty. Outside a pool it becomes schedulable again, if it was so before.
          - V(fail) ends the run.
          - V(force) deletes the pods that are left, past their disruption budgets.
        type: str
        choices: [skip, fail, force]
        default: skip
      grace_period:
        description: Seconds that pods get to end. V(0) means at once. Each pod's own grace period where it is not given.
        type: int
      delete_emptydir_data:
        description: Whether pods with an emptyDir volume, whose data is lost, are evicted. Where not, such pods block the drain.
        type: bool
        default: true
      force:
        description: Whether pods that no controller brings back elsewhere are evicted. Where not, such pods block the drain.
        type: bool
        default: false
      volume_detach_timeout:
        description: How long volumes may take to detach after the last pod is gone. A machine with attached volumes is never deleted.
        type: str
        default: 5m
      delete_timeout:
        description: How long a machine may take to disappear after its deletion was asked for.
        type: str
        default: 10m
      include_cordoned:
        description: Whether nodes that a person cordoned are replaced too. Where not, they are left alone and reported.
        type: bool
        default: false
"""
