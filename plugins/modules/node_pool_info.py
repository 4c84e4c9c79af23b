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
  - Shows a pool as it is now, also while another run works on it. Nothing is changed.
  - Where the provider's options describe what machines should be made of, as for M(immutable.fleet.node_pool), it also shows which
    of them are outdated and in which fields.
  - A pool that does not exist has no machines. That is no failure.
extends_documentation_fragment:
  - immutable.fleet._attributes
  - immutable.fleet._attributes.reads
  - immutable.fleet._openstack
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
    interpreter.compile_once()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import faces, info, parse, specs, wiring

    module = specs.NODE_POOL_INFO.create_module()
    with faces.reporting(module, specs.NODE_POOL_INFO) as face:
        request = parse.info_request(module.params)
        kit = wiring.pool_kit(module.params, request.pool, request.user_data, info.CALL_TIMEOUT)
        face.conclude(info.look(request, kit), None)


if __name__ == "__main__":
    main()
