#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_pool
short_description: Provision, scale and roll a pool of identical machines made from a golden image
version_added: 0.1.0
author: immutable.fleet contributors (@immutable)
description:
  - Afterwards the pool has O(replicas) machines, all made of what the task describes, all ready, and as Kubernetes nodes with the
    labels and taints of the task. Machines made of something else are replaced one by one within O(strategy), each drained before.
  - Where that could not be reached, the result says what prevents it, on which machine, since when, and how to go on. Everything
    that could be done was done. A machine that could not be drained is set aside; it stays cordoned and keeps running.
  - There is no state file. A run that was killed at any moment is resumed by running the same task again, on any controller.
  - Two runs never work on one pool. The second one fails and says who is at work since when.
  - Progress is shown while the task works, a line for each change of a machine.
extends_documentation_fragment:
  - immutable.fleet._attributes
  - immutable.fleet._attributes.diff
  - immutable.fleet._image
  - immutable.fleet._strategy
  - immutable.fleet._drain
  - immutable.fleet._health
  - immutable.fleet._balancer
  - immutable.fleet._openstack
  - immutable.fleet._vsphere
  - immutable.fleet._simulated
  - immutable.fleet._kubernetes
  - immutable.fleet._run
attributes:
  action:
    description: Has an action plugin on the controller, which shows progress while the module works.
    support: full
options:
  name:
    description:
      - Name of the pool. Machines are called after it, as in C(web-3-x7k2p), which is slot 3 of the pool V(web).
      - Up to 46 of C(a-z), C(0-9) and C(-), beginning with a letter.
    type: str
    required: true
    aliases: [pool]
  state:
    description:
      - V(present) brings the pool to what the task describes.
      - V(absent) drains and deletes every machine of the pool, with everything that was made for it.
    type: str
    choices: [present, absent]
    default: present
  replicas:
    description: How many machines the pool has. Required for O(state=present). V(0) needs O(allow_scale_to_zero).
    type: int
  failure_domains:
    description:
      - Availability zones, or hosts groups, that machines are spread over evenly. A machine is replaced in its own one.
      - The cloud chooses where the list is empty.
    type: list
    elements: str
    default: []
    aliases: [availability_zones]
  user_data:
    description:
      - User data of each machine, such as a cloud-init document. A changed text replaces the machines.
      - V(${machine_name}), V(${slot}), V(${failure_domain}), V(${bootstrap_token}), V(${api_server}) and V(${ca_hash}) are replaced for
        each machine. The token is made just before its machine, is short-lived, and is deleted when the machine has joined.
      - A C($) that is meant for the machine's own shell is written V($$). An unknown placeholder is refused.
    type: str
    aliases: [userdata]
  labels:
    description: Labels that the pool's nodes carry. They are kept in place; a change replaces nothing.
    type: dict
    default: {}
  taints:
    description: Taints that the pool's nodes carry. They are kept in place; a change replaces nothing.
    type: list
    elements: dict
    default: []
    suboptions:
      key:
        description: Key of the taint.
        type: str
        required: true
      value:
        description: Value of the taint.
        type: str
        default: ''
      effect:
        description: What the taint does to pods that don't tolerate it.
        type: str
        required: true
        choices: [NoSchedule, PreferNoSchedule, NoExecute]
  annotations:
    description: Annotations that the pool's nodes carry. They are kept in place; a change replaces nothing.
    type: dict
    default: {}
  allow_scale_to_zero:
    description: Whether O(replicas) may be V(0). A guard against a variable that is empty by mistake.
    type: bool
    default: false
  max_scale_down:
    description:
      - The largest part of the pool that one run may take away without replacing it, as a percentage or a number of machines. A guard
        against typing errors. V(100%) allows everything. It does not hold for O(state=absent).
    type: str
    default: 50%
seealso:
  - module: immutable.fleet.node_pool_info
  - module: immutable.fleet.node_drain
  - module: immutable.fleet.simulated_world
"""

EXAMPLES = r"""
- name: Six workers on OpenStack, from the image that the variable names
  immutable.fleet.node_pool:
    name: web
    replicas: 6
    failure_domains: [az1, az2, az3]
    strategy:
      max_surge: 2
    openstack:
      cloud: production
      image: "{{ golden_image }}"
      flavor: m1.large
      networks:
        - network: nodes
      security_groups: [nodes]
    kubernetes:
      context: production
    labels:
      node-role.kubernetes.io/worker: ""
    user_data: |
      #cloud-config
      runcmd:
        - kubeadm join ${api_server} --token ${bootstrap_token} --discovery-token-ca-cert-hash ${ca_hash}
          --node-name ${machine_name}

- name: What would a new image do? Nothing is changed
  immutable.fleet.node_pool:
    name: web
    replicas: 6
    simulated: {world: /tmp/world.sqlite, image: v2}
  check_mode: true
  diff: true
  register: forecast

- name: Replace within the present number, because there is no room for one more
  immutable.fleet.node_pool:
    name: batch
    replicas: 20
    strategy: {max_surge: 0, max_unavailable: 10%}
    openstack: {cloud: production, image: golden-2026-11, flavor: m1.small}
    kubernetes: {}

- name: Machines without a cluster, behind a HAProxy
  immutable.fleet.node_pool:
    name: shop
    replicas: 6
    openstack: {cloud: production, image: "{{ golden_image }}", flavor: m1.small}
    health: {probes: [{type: http, port: 8080, path: /health}]}
    balancer: {haproxy: {socket: /run/haproxy/admin.sock, backend: shop, port: 8080}}

- name: No pool any more
  immutable.fleet.node_pool:
    name: web
    state: absent
    openstack:
      cloud: production
    kubernetes: {}
"""

RETURN = r"""
name:
  description: Name of the pool.
  returned: always, unless an option was refused
  type: str
  sample: web
revision:
  description: What machines should be made of. C(id) is the 12 digits that they carry, C(fields) the resolved IDs and digests behind it.
  returned: when O(state=present)
  type: dict
  sample: {"id": "0f3c9a41be27", "fields": {"image": "sha512:9b71d224bd62f378"}}
machines:
  description: Machines of the pool, by slot; at most 500. In check mode as they are now.
  returned: always, unless an option was refused
  type: list
  elements: dict
  contains:
    name:
      description: Name of the machine.
      type: str
      sample: web-3-x7k2p
    slot:
      description: Its place in the pool.
      type: int
      sample: 3
    phase:
      description:
        - One of V(building), V(booting), V(joining), V(ready), V(available), V(not ready), V(cordoned), V(stopped), V(error), V(failed);
          for a machine that leaves V(draining), V(detaching), V(drained), V(deleting), V(quarantined).
      type: str
      sample: available
    revision:
      description: What it is made of.
      type: str
      sample: 0f3c9a41be27
    outdated:
      description: Whether that differs from what the task describes.
      type: bool
    failure_domain:
      description: Where it runs.
      type: str
      sample: az2
    age:
      description: How old it is.
      type: str
      sample: 3d4h
    node:
      description: Name of its node; empty before it joins.
      type: str
      sample: web-3-x7k2p
    fault:
      description: The cloud's words about its error.
      type: str
      returned: when it has one
summary:
  description: The outcome in numbers.
  returned: always, unless an option was refused
  type: dict
  sample: {"replicas": 6, "available": 6, "up_to_date": 6, "created": 6, "deleted": 6, "evicted": 180, "duration": "4m12s"}
plan:
  description:
    - What would be done, in order, each with its reason and the time it would begin after the start, which is an estimate.
    - Between the steps what is met on the way, each once, with the verb V(waits) (a ladder's step with its soak and gate, a hook, a
      window) or V(blocked).
    - Where a window has to open first it goes on with what a run at its opening would do; C(changed) and C(summary) are of a run now.
  returned: in check mode
  type: list
  elements: dict
  sample: [{"after": "0s", "verb": "create", "machine": "web-0-abcde", "reason": "6 exist < ceiling 8", "slot": 0}]
pending:
  description: Why the run ended well although machines are not as asked for, such as a pause.
  returned: when that is so
  type: str
  sample: "paused by ops@bastion, since 2026-11-21T04:10:07Z: 4 machines are not as asked for"
forecast:
  description:
    - What the run would come to. The whole of it is replayed in virtual time, as often as fits in 5 seconds, on a copy of what is there,
      with durations that past machines took.
  returned: in check mode
  type: dict
  contains:
    begins_at:
      description: When the run begins that this is about. That is now, or where the window is shut the next one's opening.
      type: str
      sample: "2026-11-21T22:00:00Z"
    p50:
      description: Half of the replays took no longer. C(plan) is the replay of this length.
      type: str
      sample: 42m10s
    p50_seconds:
      description: The same as a number.
      type: int
      sample: 2530
    p95:
      description: 95 of 100 replays took no longer; empty where fewer than 10 replays were made.
      type: str
      sample: 51m3s
    p95_seconds:
      description: The same as a number; null where it is not known.
      type: int
      sample: 3063
    replays:
      description: How many were made.
      type: int
      sample: 37
    failures:
      description: How many of them did not reach their end. C(blockers) has why, for the replay of median length.
      type: int
      sample: 0
    unfinished:
      description: How many of them ended well and left something to the next run, such as one in the next window.
      type: int
      sample: 0
    durations:
      description:
        - What replays drew from, by kind. V(create) is from created to running, V(boot) to the node's joining, V(ready) to its first
          readiness, V(empty) from the last eviction of a node to its being empty, V(delete) until the machine is gone.
        - C(machines) is from how many it was learned, V(0) where C(median) is only assumed; V(grace period) is that of each pod.
      type: dict
      sample: {"create": {"machines": 20, "median": "1m30s"}, "delete": {"machines": 0, "median": "10s"}}
    capacity:
      description: Available machines of each failure domain, now and at the lowest point of the plan.
      type: dict
      sample: {"az1": {"now": 7, "fewest": 6}}
    evictions:
      description:
        - How many evictions there are in all, of pods of how many owners, and how many times a pod is evicted.
        - C(most) are the 20 owners whose pods are evicted most often, with how many they have.
      type: dict
      sample: {"total": 180, "owners": 12, "per_pod": 1.0, "most": [{"owner": "shop/ReplicaSet/cart-7d9f", "pods": 6, "evictions": 6}]}
    quota:
      description: What the cloud lacks room for, such as quota, with what to raise. Where not one machine fits, the task fails of it.
      type: list
      elements: dict
      sample: []
    window:
      description: The window that is open, or the next one, and whether a run of the length of C(p50) and C(p95) ends inside of it.
      type: dict
      returned: where there are windows
      sample: {"begin": "2026-11-21T22:00:00Z", "end": "2026-11-22T04:00:00Z", "p50_fits": true, "p95_fits": false}
blockers:
  description: What prevents something, also where the run went well in the end.
  returned: always, unless an option was refused
  type: list
  elements: dict
  sample:
    - code: pdb
      what: "PDB shop/cart can never allow an eviction: it wants 3 of 3 pods healthy (pod shop/cart-0)"
      where: node web-3-x7k2p
      since: ""
      forward: "kubectl -n shop edit pdb cart, so that one pod may go; or where it demands a number of pods run 4"
waits:
  description:
    - What holds something back because it was asked for, and ends by itself or by a person's word. The keys are those of C(blockers).
    - C(code) is V(step) (a ladder's step with its soak and gate), V(hook), V(window), V(paused), V(aborted), V(protected),
      V(settling) (calls of a run that died may still arrive), V(remediation) (a machine is not well, and its time or turn has not come) or
      V(preserved) (a failed machine is kept for a look).
  returned: always, unless an option was refused
  type: list
  elements: dict
  sample:
    - {"code": "step", "what": "step 1 of 3: its machines soak until 2026-11-21T04:20:07Z", "where": "", "since": "", "forward": ""}
events_file:
  description: File with everything that happened, one JSON object per line.
  returned: when O(events_file) is given
  type: str
report_file:
  description: File with the report of the run, a page for a browser.
  returned: when O(report_file) is given
  type: str
failure:
  description: Why the task failed, for programs. The same is in C(msg), for people.
  returned: on failure
  type: dict
  contains:
    code:
      description:
        - One of V(invalid), V(denied), V(unreachable), V(exhausted), V(blocked), V(lock_held), V(stalled), V(stopped), V(refused),
          V(failed), V(bug).
      type: str
    what:
      description: What is wrong, with the numbers that were compared.
      type: str
    where:
      description: Path of the option, or machine, node and pool.
      type: str
    machine:
      description: Name of the machine or node, where it is about one.
      type: str
    since:
      description: Since when, in UTC; empty where that is not known.
      type: str
    age:
      description: How long ago that was.
      type: str
    forward:
      description: How to go on.
      type: str
    back:
      description: How to go back.
      type: str
"""


def main() -> None:
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import interpreter

    interpreter.require()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import faces, parse, specs, wiring

    module = specs.NODE_POOL.create_module()
    with faces.reporting(module, specs.NODE_POOL) as face:
        request = parse.pool_request(module.params)
        kit = wiring.pool_kit(module.params, request.pool, request.user_data, request.settings.call_timeout)
        # The cloud is being listed by now, and need not wait for the rest of the engine to be loaded.
        from ansible_collections.immutable.fleet.plugins.module_utils.entry import answers, jobs

        seen = jobs.seen_lock(kit.ports)
        job = jobs.pool_job(request, kit.ports, seen, kit.runtime.now())
        result = jobs.run(job, kit, request.settings, face, check=module.check_mode, seen=seen)
        face.conclude(answers.of_pool(job, request, result, check=module.check_mode), result.failure)


if __name__ == "__main__":
    main()
