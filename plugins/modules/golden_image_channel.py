#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: golden_image_channel
short_description: Point a channel of a golden image to another version, or back to the one before
version_added: 0.1.0
author: immutable.fleet contributors (@immutable)
description:
  - The channel points to the version from one moment to the next, by a single call. Pools that follow it take the version up in their
    next run.
  - A task that is killed leaves the channel where it was, or where it was to be pointed. Of two tasks that point it elsewhere at the
    same time one fails with the code C(conflict), and says who was faster.
  - A channel always points to the newest version promoted that may be used. So a version that is revoked falls out of its channels by
    itself. What was rolled back from does not come back.
  - A version that is revoked, or was built upon one that is, is refused, as is one that was never published completely.
extends_documentation_fragment:
  - immutable.fleet._attributes
  - immutable.fleet._image_store
options:
  channel:
    description: Image and channel, as V(ubuntu-24.04/stable). A channel is made by its first promotion.
    type: str
    required: true
  state:
    description:
      - V(promoted) points the channel to O(version).
      - V(rolled_back) points it to the version that it pointed to before. With O(version) only if it points to that one now, so that
        a task which is run twice rolls back once.
    type: str
    choices: [promoted, rolled_back]
    default: promoted
  version:
    description: The version to promote, or the one to roll back from.
    type: str
  reason:
    description: Why, for those who read the channel's history.
    type: str
    default: ''
seealso:
  - module: immutable.fleet.golden_image
  - module: immutable.fleet.golden_image_info
  - module: immutable.fleet.node_pool
"""

EXAMPLES = r"""
- name: Pools that follow the channel get the new version in their next run
  immutable.fleet.golden_image_channel:
    channel: ubuntu-24.04/stable
    version: "20261121.1"
    openstack:
      cloud: production

- name: It was a bad one
  immutable.fleet.golden_image_channel:
    channel: ubuntu-24.04/stable
    state: rolled_back
    version: "20261121.1"
    reason: INC-4711
    openstack:
      cloud: production
"""

RETURN = r"""
channel:
  description: Image and channel.
  returned: always
  type: str
  sample: ubuntu-24.04/stable
version:
  description: The version that the channel points to now; empty where it points to none.
  returned: always
  type: str
  sample: "20261121.1"
before:
  description: The version that it pointed to before the task.
  returned: always
  type: str
  sample: "20261114.2"
id:
  description: ID of the version's image.
  returned: always
  type: str
  sample: 7f6b1d9e-0f0e-5d0c-8f2e-2f4d2c1b0a99
digest:
  description: Digest of the version's bytes.
  returned: always
  type: str
  sample: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
history:
  description: All promotions of the channel, newest first, up to 50.
  returned: always
  type: list
  elements: dict
  contains:
    number:
      description: Which one of the channel it is, from 1.
      type: int
    version:
      description: What it points the channel to.
      type: str
    kind:
      description: Whether it is a C(promote) or a C(rollback).
      type: str
    at:
      description: When, in UTC.
      type: str
    by:
      description: User, host, and AWX job.
      type: str
    reason:
      description: Why.
      type: str
failure:
  description: Why the task failed, for programs, with the same keys as that of M(immutable.fleet.node_pool).
  returned: on failure
  type: dict
  sample: {"code": "conflict", "what": "the channel was pointed elsewhere meanwhile", "where": "channel ubuntu-24.04/stable"}
"""


def main() -> None:
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import interpreter

    interpreter.require()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import faces, golden_channel, image_specs, image_stores

    module = image_specs.GOLDEN_IMAGE_CHANNEL.create_module()
    with faces.reporting(module, image_specs.GOLDEN_IMAGE_CHANNEL) as face:
        golden_channel.refuse_nonsense(module.params)
        face.conclude(golden_channel.point(module.params, image_stores.shelf(module.params), check=module.check_mode), None)


if __name__ == "__main__":
    main()
