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
        C(health.probes) find it well, and is available while it is one and is well, after C(strategy.min_ready).
      - A machine that leaves gets no new sessions. When its last session has ended, or C(drain.timeout) is over, it is taken out, and
        deleted once the balancer no longer lists it. With C(drain.on_timeout=fail) the run ends instead of ending sessions.
      - A member that somebody else drains or puts into maintenance is left alone and reported, unless C(drain.include_cordoned).
      - Not together with O(kubernetes). Of real clouds with O(openstack) only, for the pool's lock and its record are kept by the
        cloud then, as images without data, hidden from its lists, in the project of the machines.
      - Machines are reached at their first fixed address, by the balancer and by the probes.
    type: dict
    suboptions:
      haproxy:
        description: A backend of a HAProxy 2.6 or later, told what to do by its runtime socket. Nothing is written to its configuration.
        type: dict
        suboptions:
          socket:
            description:
              - The runtime socket (C(stats socket)), of C(level admin), as an absolute path or as V(host:port). It is opened where the
                module runs.
            type: str
            required: true
          backend:
            description: Name of the backend. Servers in it that are not the pool's are left alone.
            type: str
            required: true
          port:
            description: Port of the machines that traffic goes to.
            type: int
            required: true
          weight:
            description: Weight of a member that serves, V(1) to V(256).
            type: int
            default: 1
          slots:
            description:
              - Prefix of a C(server-template) of the backend, whose servers are the pool's alone. A machine takes one that is free,
                which is one in maintenance at C(192.0.2.1). They outlive reloads of HAProxy where its state is saved.
              - Where it is not given members are dynamic servers, called as their machines, and gone with a reload until the next run.
            type: str
          server_options:
            description:
              - What follows the address of a dynamic server, such as V(check inter 2s). C(default-server) does not hold for them.
                V(check) where it is not given. Not with O(balancer.haproxy.slots).
            type: str
      octavia:
        description:
          - A pool of a load balancer of Octavia's, in the project of the machines (O(openstack)). Sessions are not counted by member
            there, so that each drain takes C(drain.timeout).
        type: dict
        suboptions:
          pool:
            description: Name or ID of Octavia's pool. Members in it that are not the pool's are left alone.
            type: str
            required: true
          port:
            description: Port of the machines that traffic goes to.
            type: int
            required: true
          weight:
            description: Weight of a member that serves, V(1) to V(256).
            type: int
            default: 1
          subnet_id:
            description: ID of the subnet that members are reached on; that of the virtual address where it is not given.
            type: str
      simulated:
        description: A backend of the simulated world, for machines of that world.
        type: dict
        suboptions:
          backend:
            description: Name of the backend, as M(immutable.fleet.simulated_world) made it.
            type: str
            required: true
"""
