#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: golden_image_builder
short_description: Open a machine in a cloud that roles are applied to, capture its disk, and leave nothing of it
version_added: 0.1.0
author: immutable.fleet contributors (@immutable)
description:
  - For images that cannot be made offline. A play opens a builder, applies its roles to it over SSH, captures its disk as a file, has
    M(immutable.fleet.golden_image_build) check and boot that file, and removes the builder, also when something failed.
  - The builder's name and marks are chosen before the first call, and its key goes by user data. So a task that was killed at any moment
    leaves only what the next one finds by its marks, and removes once it is older than O(max_age). No key pair is made.
  - Builders of the same image that others have open are left alone until then.
extends_documentation_fragment:
  - immutable.fleet._attributes
  - immutable.fleet._openstack
attributes:
  action:
    description: Has an action plugin on the controller, which shows progress while the module works.
    support: full
options:
  name:
    description: Name of the image that is built.
    type: str
    required: true
  state:
    description:
      - V(opened) makes a builder and waits until it runs and has an address. Each such task makes one of its own.
      - V(captured) switches O(builder) off, has the cloud copy its disk, and fetches the copy to O(path).
      - V(absent) removes O(builder), its ports and the copy of its disk; without O(builder), all of this image.
      - Each of them removes first what is older than O(max_age).
    type: str
    choices: [opened, captured, absent]
    default: opened
  builder:
    description: Name of the builder, as O(state=opened) answered it. Required for O(state=captured).
    type: str
  public_key:
    description: Public key of SSH that may log in as the image's default user. Required for O(state=opened).
    type: str
  path:
    description: File that gets the disk. Required for O(state=captured).
    type: path
  max_age:
    description:
      - How old a builder of this image is at most. Older ones were left by a run that was killed, and are removed.
      - Where O(state=opened) or O(state=captured), no shorter than O(timeout), or a build would remove builders that others have open.
      - With O(state=absent), a shorter one is a clean-up that somebody asks for. It removes those that others have open, too.
    type: str
    default: 4h
  timeout:
    description: How long the task may take, in seconds or as V(30m).
    type: str
    default: 30m
  events_file:
    description: File that gets one JSON object per line for everything that happens, as it happens. It is appended to.
    type: path
  stop_file:
    description: File that the caller holds an exclusive C(flock) on. As soon as the module can take that lock, the caller has died, and the
      task stops. Its action plugin sets it.
    type: path
seealso:
  - module: immutable.fleet.golden_image_build
    description: Checks the file and boots it.
  - module: immutable.fleet.golden_image
    description: Publishes it.
"""

EXAMPLES = r"""
- name: Build on a machine of the cloud
  block:
    - name: Open a builder
      immutable.fleet.golden_image_builder:
        name: web
        public_key: "{{ lookup('ansible.builtin.file', '~/.ssh/bakery.pub') }}"
        openstack:
          cloud: production
          image: debian-12
          flavor: m1.small
          networks:
            - network: builders
      register: opened

    - name: It is a host of this play
      ansible.builtin.add_host:
        name: builder
        ansible_host: "{{ opened.addresses[0] }}"
        ansible_user: debian
        ansible_ssh_private_key_file: ~/.ssh/bakery

    - name: It answers some time after it runs
      ansible.builtin.wait_for_connection:
      delegate_to: builder

    - name: Apply the roles
      ansible.builtin.include_role:
        name: web
        apply:
          delegate_to: builder
          delegate_facts: true
          become: true

    - name: Last of all, take away what is this machine's alone, and would not pass the hygiene gate
      ansible.builtin.shell: >-
        cloud-init clean --machine-id --logs && rm -rf /etc/ssh/ssh_host_*_key* ~debian/.ssh ~root/.ssh
      delegate_to: builder
      become: true
      changed_when: true

    - name: Fetch its disk
      immutable.fleet.golden_image_builder:
        name: web
        state: captured
        builder: "{{ opened.builder }}"
        path: /var/lib/golden-images/web.captured
        openstack:
          cloud: production

    - name: Check it and boot it
      immutable.fleet.golden_image_build:
        name: web
        path: /var/lib/golden-images
        file: /var/lib/golden-images/web.captured
        hygiene:
          users: [debian]
          sudoers: [debian]
      become: true
  always:
    - name: Nothing of the builder stays
      immutable.fleet.golden_image_builder:
        name: web
        state: absent
        builder: "{{ opened.builder }}"
        openstack:
          cloud: production
      when: opened.builder is defined
"""

RETURN = r"""
name:
  description: Name of the image.
  returned: always, unless an option was refused
  type: str
  sample: web
builder:
  description: Name of the builder.
  returned: when O(state=opened), also on failure
  type: str
  sample: bake-web-1d0dd2-0-x7k2p
id:
  description: The cloud's word for it.
  returned: when O(state=opened)
  type: str
  sample: 2d1c6f3a-9a1b-4c53-8d5f-4e0a4c7c9b1e
addresses:
  description: Its addresses, in the order of its interfaces.
  returned: when O(state=opened)
  type: list
  elements: str
  sample: [10.0.0.17]
image_file:
  description: File with its disk.
  returned: when O(state=captured)
  type: str
  sample: /var/lib/golden-images/web.captured
steps:
  description: What was done, of what, and why. In check mode what would be, by the same loop over a copy of what is there.
  returned: always, unless an option was refused
  type: list
  elements: dict
  sample: [{"step": "create", "of": "bake-web-1d0dd2-0-x7k2p", "why": "there is none yet"}]
events_file:
  description: File with everything that happened, one JSON object per line.
  returned: when O(events_file) is given
  type: str
failure:
  description: Why the task failed, for programs, with the same keys as that of M(immutable.fleet.node_pool).
  returned: on failure
  type: dict
  sample: {"code": "builder", "what": "the cloud put it to ERROR: No valid host was found"}
"""


def main() -> None:
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import interpreter

    interpreter.require()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import builder_specs, building, faces

    module = builder_specs.GOLDEN_IMAGE_BUILDER.create_module()
    with faces.reporting(module, builder_specs.GOLDEN_IMAGE_BUILDER) as face:
        building.refuse_nonsense(module.params)
        face.conclude(building.run(module.params, face, check=module.check_mode), None)


if __name__ == "__main__":
    main()
