# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a pool is rolled."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/specs.py, STRATEGY."""

    DOCUMENTATION = r"""
options:
  strategy:
    description: How machines are replaced. Counts are numbers or percentages of O(replicas), in quotes.
    type: dict
    suboptions:
      max_surge:
        description:
          - How many machines may exist beyond O(replicas) during a rollout. A percentage rounds up.
          - V(0) replaces within the present number; then O(strategy.max_unavailable) has to be above 0.
        type: str
        default: '1'
      max_unavailable:
        description:
          - How many of O(replicas) may be unavailable during a rollout. A percentage rounds down.
          - V(0) replaces nothing before its successor is available; then O(strategy.max_surge) has to be above 0.
        type: str
        default: '0'
      min_ready:
        description: How long a machine has to be ready before it counts as available, in seconds or as V(30s).
        type: str
        default: 30s
      startup_timeout:
        description: How long a machine may take from its creation to ready. After that it has failed and is replaced.
        type: str
        default: 20m
      progress_deadline:
        description: The run ends as failed when nothing changed for so long that any fact or timer could change, and says what blocks.
        type: str
        default: 30m
      max_blocked:
        description: How many machines that could not be drained are set aside at a time, at least 1. A percentage rounds down.
        type: str
        default: 5%
      max_unhealthy_total:
        description:
          - How many machines may be failed or not ready before replacing them needs the proof that a new machine becomes available.
          - A percentage rounds up.
        type: str
        default: 20%
      steps:
        description:
          - Canary ladder. How many machines may be of the new image before the next step, for example V([1, 10%, 50%]).
          - A step ends when its machines were available, with ready pods, for as long as O(strategy.soak) says.
            The last step is always the whole pool. A percentage rounds up.
        type: list
        elements: str
        default: []
      soak:
        description: How long the machines of a step, and the pods on them, have to be ready before the next step, in seconds or as V(10m).
        type: str
        default: '0'
      max_failed_new:
        description:
          - How many new machines may run and never become ready before their image is refused, at least 1. A percentage rounds down.
          - By default V(1) in the first step, or in all where there are no steps, then V(5%).
        type: str
      on_breach:
        description:
          - What follows when an image is refused. V(pause) leaves the pool as it is, V(rollback) goes back to the image before.
          - Later runs don't try it again until M(immutable.fleet.node_pool_control) resumes, or the image is another one.
        type: str
        choices: [pause, rollback]
        default: pause
"""
