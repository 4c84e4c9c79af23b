#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_drain
short_description: Cordon, drain or uncordon nodes, many at once, or say what prevents it
version_added: 0.1.0
author: immutable.fleet contributors (@immutable)
description:
  - Afterwards each of the nodes is as O(state) says. V(drained) means that a look at the API server showed no pod left that a drain
    has to see gone. It never means that time ran out.
  - All nodes are worked on at the same time, and all pods of a node are asked to leave at the same time, as far as disruption budgets
    allow. A refused eviction is tried again as soon as its budget allows it. The task ends with the last pod.
  - A node that could not be drained becomes schedulable again, if this task had cordoned it. The result names the budget and the pods.
  - Needs no pool, and nothing but access to the cluster.
extends_documentation_fragment:
  - immutable.fleet._attributes
  - immutable.fleet._drain
  - immutable.fleet._simulated
  - immutable.fleet._kubernetes
  - immutable.fleet._run
attributes:
  action:
    description: Has an action plugin on the controller, which shows progress while the module works.
    support: full
options:
  nodes:
    description: Names of the nodes.
    type: list
    elements: str
    required: true
    aliases: [name, node]
  state:
    description:
      - V(cordoned) means that no new pod comes.
      - V(drained) means cordoned, and all pods have left that a drain has to see gone.
      - V(uncordoned) takes back a cordon of ours. A node that a person cordoned is left alone and reported.
    type: str
    choices: [cordoned, drained, uncordoned]
    default: drained
seealso:
  - module: kubernetes.core.k8s_drain
    description: Drains one node, and counts a timeout as success.
  - module: immutable.fleet.node_pool
"""

EXAMPLES = r"""
- name: Empty two nodes before their hypervisor is serviced
  immutable.fleet.node_drain:
    nodes: [worker-3, worker-4]
    kubernetes:
      context: production

- name: Would it work? Nothing is changed
  immutable.fleet.node_drain:
    nodes: [worker-3]
    kubernetes: {}
  check_mode: true

- name: Empty all hosts of a rack, and lose pods that nothing brings back
  immutable.fleet.node_drain:
    nodes: "{{ groups['rack_7'] }}"
    drain:
      timeout: 30m
      force: true
    kubernetes:
      kubeconfig: /etc/kubernetes/admin.conf

- name: Back to work
  immutable.fleet.node_drain:
    nodes: [worker-3, worker-4]
    state: uncordoned
    kubernetes: {}
"""

RETURN = r"""
nodes:
  description: The nodes as they were seen last, in the order they were given.
  returned: always, unless an option was refused
  type: list
  elements: dict
  contains:
    name:
      description: Name of the node.
      type: str
      sample: worker-3
    schedulable:
      description: Whether new pods may come.
      type: bool
    ready:
      description: The kubelet's word; V(null) where it is silent.
      type: bool
    pods_left:
      description: Pods that a drain has to see gone, as namespace/name; at most 20.
      type: list
      elements: str
      sample: []
    pods_left_count:
      description: How many these are.
      type: int
      sample: 0
    volumes_attached:
      description: How many volumes are attached.
      type: int
      sample: 0
summary:
  description: The outcome in numbers.
  returned: always, unless an option was refused
  type: dict
  sample: {"nodes": 2, "empty": 2, "evicted": 60, "duration": "34s"}
plan:
  description: What would be done, in order, with reasons; times are estimates.
  returned: in check mode
  type: list
  elements: dict
  sample: [{"after": "0s", "verb": "cordon", "machine": "worker-3", "reason": "node_drain"}]
blockers:
  description: What prevents something.
  returned: always, unless an option was refused
  type: list
  elements: dict
  sample:
    - code: pdb
      what: "PDB shop/cart can never allow an eviction: it wants 3 of 3 pods healthy (pod shop/cart-0)"
      where: node worker-3
      since: ""
      forward: "kubectl -n shop edit pdb cart, so that one pod may go; or where it demands a number of pods run 4"
events_file:
  description: File with everything that happened, one JSON object per line.
  returned: when O(events_file) is given
  type: str
report_file:
  description: File with the report of the run, a page for a browser.
  returned: when O(report_file) is given
  type: str
failure:
  description: Why the task failed, for programs, with the same keys as that of M(immutable.fleet.node_pool).
  returned: on failure
  type: dict
  sample: {"code": "blocked", "what": "not drained: PDB shop/cart allows 0 evictions", "machine": "worker-3"}
"""


def main() -> None:
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import interpreter

    interpreter.require()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import answers, faces, jobs, parse, specs, wiring

    module = specs.NODE_DRAIN.create_module()
    with faces.reporting(module, specs.NODE_DRAIN) as face:
        request = parse.drain_request(module.params)
        kit = wiring.nodes_kit(module.params, request)
        job = jobs.drain_job(request)
        result = jobs.run(job, kit, request.settings, face, check=module.check_mode, seen=jobs.seen_lock(kit.ports))
        face.conclude(answers.of_nodes(job, request, result, check=module.check_mode), result.failure)


if __name__ == "__main__":
    main()
