#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: simulated_world
short_description: Make a simulated cloud with a cluster in a file, change it, or let something go wrong in it
version_added: 0.1.0
author: immutable.fleet contributors (@immutable)
description:
  - Afterwards the file holds a world with what the task describes. Pools are made in it with the provider option C(simulated) of
    M(immutable.fleet.node_pool), and behave as on a real cloud. VMs take their time to build, nodes join, pods are evicted within
    their disruption budgets and start elsewhere, volumes detach.
  - The world lives on by itself, on its own clock. Several tasks and processes may use it at the same time.
  - Described again, nothing changes. What a task describes is added to a world that exists, or changed in it; nothing is taken away.
  - It serves to test an estate's own rollout policy in CI without a cloud, and to see what happens when something fails.
extends_documentation_fragment:
  - immutable.fleet._attributes
options:
  world:
    description: File of the world. Its folder has to exist.
    type: path
    required: true
    aliases: [path]
  state:
    description:
      - V(present) makes the world, or adds what is described to it.
      - V(absent) removes the file.
    type: str
    choices: [present, absent]
    default: present
  speed:
    description: How many seconds pass in the world in one second. Only of use when the world is made.
    type: float
    default: 1.0
  seed:
    description: What chance starts from. Worlds of one seed that are treated alike behave alike. Only of use when the world is made.
    type: int
  failure_domains:
    description:
      - Names of availability zones, or dictionaries with C(name) and C(machines_max), beyond which machines find no host.
    type: list
    elements: raw
  images:
    description:
      - Golden images by name. An image may have a C(digest), C(joins=false) when its machines never become nodes, or a C(fault), with
        which its machines go to ERROR.
    type: dict
  quotas:
    description: C(machines) and C(ports) that may exist. V(-1) is no limit, which is the default.
    type: dict
  nodes:
    description: Nodes without a machine of the simulated cloud, for M(immutable.fleet.node_drain). Names, or dictionaries with C(name) and
      C(failure_domain).
    type: list
    elements: raw
  workloads:
    description:
      - What owns pods. Each has a C(name), and may have a C(namespace), C(kind) (C(Deployment), C(StatefulSet), C(Pod), C(PerNode)),
        C(replicas) or C(per_node), a C(budget) with C(min_available) or C(max_unavailable), C(grace), C(start) and C(stop) durations,
        C(volume), C(empty_dir), C(order).
      - C(stop=never) makes pods that never terminate.
    type: list
    elements: dict
  backends:
    description:
      - What a load balancer shares traffic among. Names, or dictionaries with C(name), C(port), C(sessions) (open ones of each member
        that serves), C(counts_sessions=false) where the balancer does not tell them, C(checks=false) where it has no health check, and
        C(members) that somebody put there by hand (names, or dictionaries with C(name) and C(address)).
    type: list
    elements: raw
  durations:
    description:
      - How long things take, such as C(create), C(ready), C(delete), C(pod_start), C(pod_stop), C(detach), C(session). Each is a duration,
        or a dictionary with C(min) and C(max), or with C(median) and C(sigma).
    type: dict
  faults:
    description:
      - What goes wrong, now or C(after) a duration. Each has a C(kind), and mostly a C(target), which is a pattern of names, and a
        C(count).
      - Machines meet V(vm_lost), V(vm_stopped), V(vm_gone), V(vm_error), V(strip_marks). Nodes meet V(cordon), V(uncordon),
        V(pod_sticks). The cloud meets V(domain_down), V(quota), V(never_joins), V(create_error), V(delete_sticks),
        V(dies_half_way). Members of backends meet V(member_down). Calls meet V(fail), V(unreachable), V(stale).
      - Each run of the task lets them happen again, and is reported as a change.
    type: list
    elements: dict
  skip:
    description: Lets the world's time jump ahead by this duration.
    type: str
  pods_per_node_max:
    description: How many pods a node takes. V(110) in a new world.
    type: int
  cluster:
    description: Whether machines become nodes of a cluster. They do in a new world.
    type: bool
  pushes:
    description: Whether the cloud tells its changes. Where not, it has to be asked, as OpenStack. It does in a new world.
    type: bool
  labels_nodes:
    description: Whether machines join with the labels of their pool. Where not, as in a new world, the pool's run writes them.
    type: bool
  deletes_nodes:
    description: Whether a cloud controller removes the nodes of machines that are gone. Where not, as in a new world, the pool's run does.
    type: bool
seealso:
  - module: immutable.fleet.node_pool
"""

EXAMPLES = r"""
- name: A cloud with two golden images, and a shop that never has fewer than two carts
  immutable.fleet.simulated_world:
    world: /tmp/world.sqlite
    speed: 60
    failure_domains: [az1, az2]
    images:
      v1: {}
      v2: {}
    workloads:
      - name: cart
        namespace: shop
        replicas: 3
        budget:
          min_available: 2

- name: A machine of the pool dies, and nobody says so
  immutable.fleet.simulated_world:
    world: /tmp/world.sqlite
    faults:
      - kind: vm_lost
        target: web-2-*

- name: Who is there?
  immutable.fleet.simulated_world:
    world: /tmp/world.sqlite
  register: world

- name: The world ends
  immutable.fleet.simulated_world:
    world: /tmp/world.sqlite
    state: absent
"""

RETURN = r"""
world:
  description: File of the world.
  returned: always
  type: str
  sample: /tmp/world.sqlite
changes:
  description: What the task changed, in a few words each.
  returned: always, unless an option was refused
  type: list
  elements: str
  sample: ["image v2", "fault vm_lost of web-2-*"]
now:
  description: The world's clock.
  returned: when O(state=present)
  type: str
  sample: "2026-11-21T04:10:07Z"
speed:
  description: How fast it runs.
  returned: when O(state=present)
  type: float
  sample: 60.0
machines:
  description: Machines of all pools, at most 500.
  returned: when O(state=present)
  type: list
  elements: dict
  sample: [{"name": "web-2-x7k2p", "pool": "web", "status": "running", "runs": true, "image": "v1", "age": "2h"}]
nodes:
  description: Nodes of the cluster, at most 500.
  returned: when O(state=present)
  type: list
  elements: dict
  sample: [{"name": "web-2-x7k2p", "ready": true, "schedulable": true}]
pods:
  description: How many pods there are, are ready, and wait for a node.
  returned: when O(state=present)
  type: dict
  sample: {"all": 30, "ready": 30, "waiting": 0}
backends:
  description:
    - Backends of the load balancer with their members. C(cut) counts the sessions that did not end by themselves.
  returned: when O(state=present)
  type: list
  elements: dict
  sample:
    - name: shop
      cut: 0
      members: [{"name": "web-2-x7k2p", "address": "10.0.0.7", "state": "serving", "healthy": true, "sessions": 20}]
images:
  description: Names of the images.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [v1, v2]
"""


def main() -> None:
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import interpreter

    interpreter.require()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import faces, simulated, specs

    module = specs.WORLD.create_module()
    with faces.reporting(module, specs.WORLD) as face:
        face.conclude(simulated.bring_about(module.params, check=module.check_mode), None)


if __name__ == "__main__":
    main()
