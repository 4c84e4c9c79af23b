# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who sends traffic to machines that are no nodes."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/specs.py, BALANCER."""

    DOCUMENTATION = r"""
options:
  balancer:
    description:
      - The load balancer in front of a pool that has no cluster. It takes the place of the node. A machine becomes a member once
        O(health.probes) find it well, and is available while it is one and is well, after O(strategy.min_ready).
      - A machine that leaves gets no new sessions. When its last session has ended, or O(drain.timeout) is over, it is taken out, and
        deleted once the balancer no longer lists it. With O(drain.on_timeout=fail) the run ends instead of ending sessions.
      - A member that somebody else drains or puts into maintenance is left alone and reported, unless O(drain.include_cordoned).
      - Not together with O(kubernetes).
    type: dict
    suboptions:
      simulated:
        description: A backend of the simulated world, for machines of that world.
        type: dict
        suboptions:
          backend:
            description: Name of the backend, as M(immutable.fleet.simulated_world) made it.
            type: str
            required: true
"""
