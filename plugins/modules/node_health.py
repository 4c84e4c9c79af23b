#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_health
short_description: Look after the machines of a pool, and replace those that are unhealthy
version_added: 0.1.0
author: immutable.fleet contributors (@immutable)
description:
  - Afterwards each machine that was unhealthy for long enough is replaced, and what was missing is made. Nothing is rolled, so outdated
    machines stay as they are. A machine that is not well but not for long enough is named, and left to a later pass.
  - One pass looks once, and goes on until what it began is done. A job every two minutes finds a machine that has been silent for five,
    since the API server dates that.
  - Where too many are not well, none is replaced for it, and the task fails and says what it counted.
  - Where another run is working on the pool, that run looks after it. The task says so and does not fail.
  - The options are those of M(immutable.fleet.node_pool), so that the same variables describe the pool.
extends_documentation_fragment:
  - immutable.fleet._attributes
  - immutable.fleet._image
  - immutable.fleet._health
  - immutable.fleet._strategy
  - immutable.fleet._drain
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
    description: Name of the pool.
    type: str
    required: true
    aliases: [pool]
  replicas:
    description: How many machines the pool has.
    type: int
    required: true
  lasts:
    description:
      - For how long to look, in seconds or as V(1h). A pass begins every O(every) until then, and the last one is brought to its end.
      - One pass where it is not given.
    type: str
  every:
    description: Time between the beginnings of two passes, where O(lasts) is given.
    type: str
    default: 30s
  failure_domains:
    description: As for M(immutable.fleet.node_pool).
    type: list
    elements: str
    default: []
    aliases: [availability_zones]
  user_data:
    description: As for M(immutable.fleet.node_pool).
    type: str
    aliases: [userdata]
  labels:
    description: As for M(immutable.fleet.node_pool).
    type: dict
    default: {}
  taints:
    description: As for M(immutable.fleet.node_pool).
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
    description: As for M(immutable.fleet.node_pool).
    type: dict
    default: {}
seealso:
  - module: immutable.fleet.node_pool
  - module: immutable.fleet.node_pool_control
"""

EXAMPLES = r"""
- name: One pass, as a job that comes every two minutes
  immutable.fleet.node_health:
    name: web
    replicas: 6
    health:
      conditions:
        - type: KernelDeadlock
          status: 'True'
    openstack:
      cloud: production
      image: golden
      flavor: m1.large
      networks: [{network: nodes}]
    kubernetes: {}

- name: Who is unhealthy? Change nothing
  immutable.fleet.node_health:
    name: web
    replicas: 6
    health:
      remediate: false
    openstack:
      cloud: production
      image: golden
      flavor: m1.large
      networks: [{network: nodes}]
    kubernetes: {}

- name: For an hour
  immutable.fleet.node_health:
    name: web
    replicas: 3
    lasts: 1h
    simulated:
      world: /tmp/world.sqlite
      image: v1
"""

RETURN = r"""
name:
  description: Name of the pool.
  returned: always, unless an option was refused
  type: str
  sample: web
passes:
  description: How many passes it took.
  returned: always, unless an option was refused
  type: int
  sample: 1
replaced:
  description: Machines that were replaced for being unhealthy, with the reason.
  returned: always, unless an option was refused
  type: list
  elements: dict
  sample: [{"machine": "web-3-x7k2p", "reason": "unhealthy: Ready is Unknown for 5m2s; 0 going < 1"}]
machines:
  description: The pool's machines, as M(immutable.fleet.node_pool) returns them.
  returned: always, unless an option was refused
  type: list
  elements: dict
  sample: [{"name": "web-3-x7k2p", "slot": 3, "phase": "available", "failure_domain": "az1", "age": "2d4h", "node": "web-3-x7k2p"}]
blockers:
  description: What holds remediation back, with the keys C(code), C(what), C(where), C(since) and C(forward).
  returned: always, unless an option was refused
  type: list
  elements: dict
  sample:
    - code: storm
      what: "12 of 20 machines are not well (60%), max_unhealthy 34% allows 6: none of them is replaced for it"
      where: pool web
      since: ""
      forward: find what they have in common (network, API server, hypervisor), or allow more with health.max_unhealthy
waits:
  description: Machines that are not well and not unhealthy yet, or whose turn has not come. The keys are those of C(blockers).
  returned: always, unless an option was refused
  type: list
  elements: dict
  sample:
    - code: remediation
      what: "Ready is Unknown: unhealthy after 5m"
      where: machine web-3-x7k2p
      since: "2026-11-21T04:10:07Z"
      forward: ""
run:
  description: The run that is at work on the pool, and looks after it meanwhile.
  returned: where another run is at work
  type: dict
  contains:
    what:
      description: Who it is.
      type: str
    since:
      description: Since when, in UTC; empty where that is not known.
      type: str
events_file:
  description: File with everything that happened, one JSON object per line.
  returned: when O(events_file) is given
  type: str
report_file:
  description: File with the report of the run, a page for a browser.
  returned: when O(report_file) is given
  type: str
failure:
  description: Why the task failed, for programs. The same is in C(msg), for people. The keys are those of M(immutable.fleet.node_pool).
  returned: on failure
  type: dict
  sample: {"code": "blocked", "what": "blocked: 12 of 20 machines are not well (60%), max_unhealthy 34% allows 6", "where": "pool web"}
"""


def main() -> None:
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import interpreter

    interpreter.require()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import checkup, faces, specs

    module = specs.NODE_HEALTH.create_module()
    with faces.reporting(module, specs.NODE_HEALTH) as face:
        request = checkup.health_request(module.params)
        answer, failure = checkup.look_after(request, module.params, face, check=module.check_mode)
        face.conclude(answer, failure)


if __name__ == "__main__":
    main()
