#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_pool_control
short_description: Pause, resume, abort, retarget, roll back or scale a pool, or say what is to become of one machine
version_added: 0.1.0
author: immutable.fleet contributors (@immutable)
description:
  - Steers a pool from another terminal or another AWX job, also while a run of M(immutable.fleet.node_pool) is working on it. The run
    sees it within five seconds and says who asked.
  - What is asked is written beside the pool's lock and holds until it is taken back, also for later runs. No variable has to change.
  - Nothing else is touched, so the module needs the cluster only, and none of the cloud's credentials. A pool of plain machines behind
    a load balancer has its lock in the cloud, so that for such a one O(openstack) is given instead; of it only the connection is used.
    The runs of a pool with a cluster would never read it there. Where no run has had such a lock, the module warns of that.
  - A pool that no run has made yet is refused, whatever the state, and so is a machine that the pool does not have. Machines are
    looked up as nodes, so one that has not joined yet is taken on trust, with a warning, while a run is at work, and refused otherwise.
    Where nodes may not be listed, a wrong name is not noticed, and the module warns of that. Plain machines are looked up in the cloud.
extends_documentation_fragment:
  - immutable.fleet._attributes
  - immutable.fleet._openstack
  - immutable.fleet._simulated
  - immutable.fleet._kubernetes
options:
  name:
    description: Name of the pool.
    type: str
    required: true
    aliases: [pool]
  state:
    description:
      - V(paused) lets nothing new begin for the sake of new machines. What is going ends, what is missing is made, scaling works.
      - V(resumed) takes a pause or an abort back, lets a revision that was refused be tried again, and remediation that was suspended
        go on.
      - V(aborted) ends the run. Machines that were chosen and still exist are given back. Later runs roll nothing until it is V(resumed).
      - V(retargeted) rolls to O(image) instead of the image that the variables ask for, as long as they ask for the same.
        Without O(image) it rolls to what the variables ask for again.
      - V(rolled_back) rolls back to the image of the rollout before, newest machines first, and stays there in later runs.
      - V(scaled) makes the pool have O(replicas) machines instead of the number that the variables ask for, as long as they ask for
        the same. Without O(replicas) it has again as many as the variables ask for.
      - V(released) gives the quarantined O(machine) back to the pool and protects it for as long as O(lasts) says.
      - V(replaced) has O(machine) replaced, with surge, whatever it is made of; with O(lasts=0) that is taken back.
      - V(protected) keeps O(machine) from being taken away for as long as O(lasts) says.
    type: str
    required: true
    choices: [paused, resumed, aborted, retargeted, rolled_back, scaled, released, replaced, protected]
  machine:
    description: Name of the machine that is to be released, replaced or protected, as M(immutable.fleet.node_pool_info) lists it.
    type: str
  image:
    description: Name or ID of the image to roll to.
    type: str
  replicas:
    description: Number of machines to scale to, at least 1.
    type: int
  max_scale_down:
    description:
      - How many machines O(replicas) may take away, as a number or as a percentage of those that the pool is to have now.
      - A guard against a mistyped number.
    type: str
    default: 50%
  lasts:
    description:
      - How long the machine stays protected, in seconds or as V(2h).
      - V(0) takes back what O(state=protected) or O(state=replaced) asked for the machine. A drain that has begun goes on.
    type: str
    default: 1h
seealso:
  - module: immutable.fleet.node_pool
  - module: immutable.fleet.node_pool_info
"""

EXAMPLES = r"""
- name: Hold the rollout while the shop has its sale
  immutable.fleet.node_pool_control:
    name: web
    state: paused
    kubernetes:
      context: production

- name: The new image is bad, go back
  immutable.fleet.node_pool_control:
    name: web
    state: rolled_back
    kubernetes: {}

- name: More machines, now, while the rollout goes on
  immutable.fleet.node_pool_control:
    name: web
    state: scaled
    replicas: 20
    kubernetes: {}

- name: Leave this one alone until tomorrow
  immutable.fleet.node_pool_control:
    name: web
    state: protected
    machine: web-3-x7k2p
    lasts: 24h
    kubernetes: {}

- name: A pool of plain machines behind a load balancer has its lock in the cloud
  immutable.fleet.node_pool_control:
    name: shop
    state: paused
    openstack:
      cloud: production
"""

RETURN = r"""
name:
  description: Name of the pool.
  returned: always
  type: str
  sample: web
changes:
  description: What was asked or taken back by this task, in words; empty where it was asked already.
  returned: always
  type: list
  elements: str
  sample: ["pause by ops@bastion, since 2026-11-21T04:10:07Z"]
steering:
  description: All that operators ask of the pool now.
  returned: always
  type: dict
  sample: {"pause": {"by": "ops@bastion", "at": "2026-11-21T04:10:07Z"}}
lock:
  description: Who works on the pool now, and since when. Both are empty when nobody does; the next run sees what is asked.
  returned: always
  type: dict
  contains:
    holder:
      description: User, host, process and AWX job.
      type: str
      sample: deploy@runner-2 pid 4711 (k3x9)
    since:
      description: Since when, in UTC.
      type: str
      sample: "2026-11-21T04:10:07.000000Z"
"""


def main() -> None:
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import interpreter

    interpreter.require()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import control, faces, specs, wiring

    module = specs.NODE_POOL_CONTROL.create_module()
    with faces.reporting(module, specs.NODE_POOL_CONTROL) as face:
        control.refuse_nonsense(module.params)
        lock, nodes, now = wiring.pool_lock(module.params)
        face.conclude(control.steer(lock, control.wish(module.params, now), nodes, check=module.check_mode), None)


if __name__ == "__main__":
    main()
