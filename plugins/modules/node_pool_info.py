#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_pool_info
short_description: Show the machines of a pool, who works on it, and what belongs to no machine
version_added: 0.1.0
author: immutable.fleet contributors (@immutable)
description:
  - Shows a pool as it is now, also while another run works on it. That is its machines, who works on it since when, what operators
    ask of it, and what runs have left on record. Nothing is changed.
  - Where the provider's options describe what machines should be made of, as for M(immutable.fleet.node_pool), it also shows which
    of them are outdated and in which fields.
  - Plain machines are ready while they are members of O(balancer) that take sessions, and it finds them well. They are not asked.
  - A pool that does not exist has no machines. That is no failure.
extends_documentation_fragment:
  - immutable.fleet._attributes
  - immutable.fleet._attributes.reads
  - immutable.fleet._image
  - immutable.fleet._balancer
  - immutable.fleet._openstack
  - immutable.fleet._vsphere
  - immutable.fleet._simulated
  - immutable.fleet._kubernetes
options:
  name:
    description: Name of the pool.
    type: str
    required: true
    aliases: [pool]
  user_data:
    description: User data of each machine, as the pool is declared with; needed only to see whether machines are outdated.
    type: str
    aliases: [userdata]
seealso:
  - module: immutable.fleet.node_pool
"""

EXAMPLES = r"""
- name: Who is there?
  immutable.fleet.node_pool_info:
    name: web
    openstack:
      cloud: production
    kubernetes: {}
  register: pool

- name: Which machines are not made from this image?
  immutable.fleet.node_pool_info:
    name: web
    simulated:
      world: /tmp/world.sqlite
      image: v2
  register: pool
"""

RETURN = r"""
name:
  description: Name of the pool.
  returned: always
  type: str
  sample: web
machines:
  description: Machines of the pool, by slot; at most 500. Keys are those of M(immutable.fleet.node_pool).
  returned: always
  type: list
  elements: dict
  sample: [{"name": "web-3-x7k2p", "slot": 3, "phase": "ready", "age": "3d4h", "node": "web-3-x7k2p", "failure_domain": "az2"}]
counts:
  description: How many machines are in which phase.
  returned: always
  type: dict
  sample: {"ready": 5, "draining": 1}
revision:
  description: What machines should be made of.
  returned: when the provider's options describe it
  type: dict
  sample: {"id": "0f3c9a41be27", "fields": {"image": "sha512:9b71d224bd62f378"}}
drift:
  description: Fields in which outdated machines differ, with the number of machines by value.
  returned: when the provider's options describe what machines should be made of
  type: dict
  sample: {"image": {"wanted": "sha512:9b71d224bd62f378", "found": {"sha512:1c0ffee5": 3}}}
lock:
  description: Who works on the pool; V(holder) is empty when nobody does.
  returned: when the pool has a lock
  type: dict
  sample: {"holder": "deploy@runner-2 pid 4711", "since": "2026-11-21T04:10:07Z"}
steering:
  description:
    - What operators ask of the pool by M(immutable.fleet.node_pool_control), each with who asked and since when; without what is over.
  returned: when the pool has a lock
  type: dict
  contains:
    pause:
      description: Nothing is replaced. C(abort), in the same form, is the same for runs that come later.
      type: dict
      returned: when it is asked
      sample: {"by": "ops@bastion", "at": "2026-11-21T04:10:07Z"}
    resumed:
      description: When a pause, an abort or a refusal was last taken back.
      type: dict
      returned: when it was asked
      sample: {"by": "ops@bastion", "at": "2026-11-21T04:10:07Z"}
    override:
      description:
        - Another image than the one that the variables ask for; C(kind) is V(retarget) or V(rollback). It holds while they ask for the
          C(asked) of C(image).
      type: dict
      returned: when it is asked
      sample: {"by": "ops@bastion", "at": "2026-11-21T04:10:07Z", "kind": "retarget", "image": {"asked": "golden", "name": "golden-10"}}
    scale:
      description: Another number of machines than the one that the variables ask for; it holds while they ask for C(instead_of).
      type: dict
      returned: when it is asked
      sample: {"by": "ops@bastion", "at": "2026-11-21T04:10:07Z", "replicas": 20, "instead_of": 12}
    replace:
      description: Machines to replace, by name.
      type: dict
      returned: when it is asked
      sample: {"web-3-x7k2p": {"by": "ops@bastion", "at": "2026-11-21T04:10:07Z"}}
    release:
      description: Quarantined machines to give back, by name.
      type: dict
      returned: when it is asked
      sample: {"web-3-x7k2p": {"by": "ops@bastion", "at": "2026-11-21T04:10:07Z"}}
    protect:
      description: Machines that are not to be taken away, by name.
      type: dict
      returned: when it is asked
      sample: {"web-3-x7k2p": {"by": "ops@bastion", "at": "2026-11-21T04:10:07Z", "until": "2026-11-22T04:10:07Z"}}
record:
  description: What runs leave to the next one. It is written by the run at work, also while it goes on.
  returned: when the pool has a lock
  type: dict
  contains:
    current:
      description: Image of the last rollout that was completed. C(asked) is what the variables said, C(name) what it is called.
      type: dict
      returned: when there was one
      sample: {"asked": "golden", "name": "golden-2026-10", "id": "42", "digest": "sha512:1c0ffee5"}
    previous:
      description: Image of the one before, in the same form. A rollback goes to it, or to C(current) while a rollout is under way.
      type: dict
      returned: when there was one
      sample: {"asked": "golden", "name": "golden-2026-09", "id": "41", "digest": "sha512:5ca1ab1e"}
    pinned:
      description: Image of the rollout that is under way, in the same form; runs that go on with it use this very one.
      type: dict
      returned: when one is under way
      sample: {"asked": "golden", "name": "golden-2026-11", "id": "43", "digest": "sha512:9b71d224bd62f378"}
    refused:
      description: Revisions that no run makes, with their image, since when and why; without those that a resume lets be tried again.
      type: list
      elements: dict
      sample: [{"revision": "0f3c9a41be27", "image": "golden", "since": "2026-11-21T04:10:07Z", "what": "1 lost, max_failed_new 1"}]
    lost:
      description: New machines that ran and never became ready, of revisions that are not refused so far.
      type: list
      elements: dict
      sample: [{"machine": "web-3-x7k2p", "revision": "0f3c9a41be27", "at": "2026-11-21T04:10:07Z", "what": "was not ready in time"}]
    ladder:
      description: How many of O(immutable.fleet.node_pool#module:strategy.steps) the revision that is being rolled out has behind it.
      type: dict
      returned: when one is passed
      sample: {"revision": "0f3c9a41be27", "steps_passed": 1}
orphans:
  description: What carries the pool's mark and belongs to none of its machines.
  returned: always
  type: list
  elements: dict
  sample: [{"kind": "port", "name": "web-3-x7k2p", "machine": "web-3-x7k2p", "age": "2h"}]
half_owned:
  description: Machines that carry only one of the pool's three marks. They are counted, and never changed.
  returned: always
  type: list
  elements: str
  sample: []
failure:
  description: Why the task failed, for programs, with the same keys as that of M(immutable.fleet.node_pool).
  returned: on failure
  type: dict
  sample: {"code": "denied", "what": "the credentials have expired", "where": "openstack.cloud"}
"""


def main() -> None:
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import interpreter

    interpreter.require()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import faces, info, parse, specs, wiring

    module = specs.NODE_POOL_INFO.create_module()
    with faces.reporting(module, specs.NODE_POOL_INFO) as face:
        request = parse.info_request(module.params)
        kit = wiring.pool_kit(module.params, request.pool, request.user_data, info.CALL_TIMEOUT)
        face.conclude(info.look(request, kit), None)


if __name__ == "__main__":
    main()
