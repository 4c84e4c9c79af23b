#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: golden_image_build
short_description: Bake a golden image from an estate's own roles, check it, boot it, and say what is in it
version_added: 0.1.0
author: immutable.fleet contributors (@immutable)
description:
  - Afterwards there is an image with a manifest below O(path), made of exactly these inputs. It has passed the hygiene gate and a boot
    test. An image that did not pass has no manifest.
  - The same inputs make the same version. When it is there, nothing is done.
  - An image is made offline from packages and roles (O(chroot)), or taken from another tool (O(file)), and then checked in the same way.
  - A task that was killed at any moment leaves nothing mounted and nothing running. The next one goes on behind the last stage that was
    finished. Versions of the same image that were begun and never finished are removed by it.
  - Works on the host that the task is for, mostly C(localhost), as root. Needs C(unshare) and C(setpriv) of C(util-linux), C(qemu-img),
    C(sfdisk) and C(tar). To make an image it needs C(mmdebstrap), C(mke2fs), C(grub-mkimage) with C(grub-pc-bin), and, where there are
    O(roles), C(ansible-playbook) and the collection C(community.general). To boot it needs C(qemu-system-x86_64), which uses KVM where
    that is there, and C(xorrisofs). What is missing is named before anything is touched.
extends_documentation_fragment:
  - immutable.fleet._attributes
attributes:
  action:
    description: Has an action plugin on the controller, which shows progress while the module works.
    support: full
options:
  name:
    description: Name of the image.
    type: str
    required: true
  version:
    description: Version of the image. Where it is not given, it is made of the inputs. One that exists and has other inputs is refused.
    type: str
  path:
    description: Folder that keeps images and bases. It is made where it is not there.
    type: path
    required: true
  format:
    description: Format of the image's file. V(vmdk) is stream-optimized, as vSphere imports it.
    type: str
    choices: [qcow2, raw, vmdk]
    default: qcow2
  chroot:
    description:
      - Make a Debian or Ubuntu system of packages with C(mmdebstrap), and apply O(roles) to it through C(community.general.chroot).
      - The system of packages is kept in O(path), and taken from there by every image with the same options. Newer packages come with
        another input, for example a date among O(variables).
      - What every build leaves behind (host keys, the machine's id, caches, logs, temporary files) is cleared away.
      - The disk has one partition with ext4 and starts by BIOS.
    type: dict
    suboptions:
      suite:
        description: Name of the release, for example V(bookworm).
        type: str
        required: true
      mirror:
        description: Address of a mirror, or a file with sources. The distribution's own where it is not given.
        type: str
      components:
        description: Components of the archive.
        type: list
        elements: str
        default: [main]
      variant:
        description: How much is installed without being named.
        type: str
        choices: [minbase, apt, important, standard]
        default: minbase
      packages:
        description:
          - Packages to install. The image needs a kernel, C(systemd-sysv), C(cloud-init) and something that configures its network.
            With O(roles) it needs C(python3), which C(cloud-init) brings.
        type: list
        elements: str
        default: []
      apt_options:
        description: Settings of apt, for example a proxy. They do not become part of the image.
        type: list
        elements: str
        default: []
      size:
        description: Size of the disk, for example V(4G). As large as needed where it is not given, with some room. It grows at the first
          boot, where C(cloud-init) does that.
        type: str
  file:
    description:
      - File of an image that another tool made, in any format that C(qemu-img) reads. It is copied and checked, and not changed.
      - Its root file system has to be a partition, or the whole disk, of a kind that this host's kernel mounts.
    type: path
  roles:
    description:
      - Roles to apply, in this order, by name, by fully qualified name, or as a path with a slash.
      - A role's files are inputs, and so are those of roles that it names.
    type: list
    elements: str
  roles_path:
    description: Folders that are looked for roles first, then C(ANSIBLE_ROLES_PATH), C(ANSIBLE_COLLECTIONS_PATH) and Ansible's own.
    type: list
    elements: path
    default: []
  variables:
    description: Variables for the roles. An image is no place for secrets.
    type: dict
  extra_inputs:
    description: Files and folders that roles take things from, beyond their own. A change of them makes another version.
    type: list
    elements: path
    default: []
  parent:
    description: The version that this image was built upon, as V(name@version), for the manifest.
    type: str
    default: ''
  git_commit:
    description: The commit that the image is made of, for the manifest. That of the first role's folder where it is not given.
    type: str
  hygiene:
    description:
      - What the image may hold. Whatever else the gate finds fails the task, with the file and the way to mend it.
      - It looks for SSH host keys, the machine's id, C(cloud-init)'s data of an instance, histories of shells, secrets (by form and by
        entropy), large logs, caches of packages, leftovers of the build, ports, SSH, users, sudo rules and something that sets the clock.
    type: dict
    suboptions:
      ports:
        description: TCP ports that the image's services listen on for other machines. SSH's is declared by O(hygiene.ssh).
        type: list
        elements: int
        default: []
      ssh:
        description: Whether SSH may be on.
        type: bool
        default: true
      users:
        description: Users that the image has. Services' own, below 1000, need no declaration.
        type: list
        elements: str
        default: []
      sudoers:
        description: Users that may become root.
        type: list
        elements: str
        default: []
      clock_sync:
        description: Whether something that sets the clock has to start with the machine.
        type: bool
        default: true
      allow:
        description: Findings that are meant to be there.
        type: list
        elements: dict
        default: []
        suboptions:
          rule:
            description: The rule that finds it.
            type: str
            required: true
            choices:
              - ssh_host_keys
              - machine_id
              - instance_data
              - shell_history
              - secrets
              - logs
              - package_caches
              - leftovers
              - ports
              - ssh
              - users
              - sudo
              - clock
          path:
            description: Pattern of paths in the image. C(*) stays within a folder, C(**) does not.
            type: str
            required: true
          reason:
            description: Why it is meant to be there, for whoever reads it.
            type: str
            required: true
  boot:
    description:
      - How the image is tried. A machine without any network is started from it, with C(cloud-init) user data in a NoCloud seed.
      - Its user data has to be applied, it has to be healthy within the limit, and then exactly the declared ports may answer, of all
        65535, asked from outside.
    type: dict
    suboptions:
      test:
        description: Whether it is booted at all.
        type: bool
        default: true
      limit:
        description: How long the first boot may take, until the machine is healthy. Without KVM it takes some two minutes of a processor's
          time, on a host that is busy with other things several times as long.
        type: str
        default: 15m
      health:
        description: Where the machine says that it is well. Without it, applied user data is all that is waited for.
        type: dict
        suboptions:
          port:
            description: A port of O(hygiene.ports), or 22 where O(hygiene.ssh) allows it.
            type: int
            required: true
          path:
            description: Path of a URL whose answer has to be below 400. Where it is empty, the port has to take connections.
            type: str
            default: ''
  timeout:
    description: How long the task may take, in seconds or as V(2h). No limit where it is not given. The same task goes on later.
    type: str
  events_file:
    description: File that gets one JSON object per line for everything that happens, as it happens. It is appended to.
    type: path
  stop_file:
    description: File that the caller holds an exclusive C(flock) on. As soon as the module can take that lock, the caller has died, and the
      task stops. Its action plugin sets it.
    type: path
seealso:
  - module: immutable.fleet.golden_image
    description: Publishes what was baked, with its manifest.
  - module: immutable.fleet.node_pool
"""

EXAMPLES = r"""
- name: Bake the web servers' image from the estate's own roles
  immutable.fleet.golden_image_build:
    name: web
    path: /var/lib/golden-images
    chroot:
      suite: bookworm
      packages: [linux-image-cloud-amd64, systemd-sysv, cloud-init, ifupdown, isc-dhcp-client, chrony]
    roles: [base, web]
    roles_path: ['{{ playbook_dir }}/roles']
    variables:
      web_port: 8080
      packages_of: 2026-11-21  # another date, newer packages
    hygiene:
      ports: [8080]
      ssh: false
    boot:
      health:
        port: 8080
        path: /healthz
  become: true
  register: image

- name: Check what another tool made, and take it as vSphere wants it
  immutable.fleet.golden_image_build:
    name: appliance
    version: '4.2'
    path: /var/lib/golden-images
    format: vmdk
    file: /srv/packer/output/appliance.qcow2
    hygiene:
      users: [admin]
      sudoers: [admin]
      allow:
        - rule: secrets
          path: /etc/ssl/private/ssl-cert-snakeoil.key
          reason: the vendor's, made anew at the first boot
  become: true
"""

RETURN = r"""
name:
  description: Name of the image.
  returned: always, unless an option was refused
  type: str
  sample: web
version:
  description: Its version.
  returned: always, unless an option was refused
  type: str
  sample: 5f0c4b1d9a37
image_file:
  description: File of the image.
  returned: success, not in check mode
  type: str
  sample: /var/lib/golden-images/web/5f0c4b1d9a37/image.qcow2
digest:
  description: SHA-256 of that file.
  returned: success, not in check mode
  type: str
  sample: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
manifest_file:
  description: File of the manifest.
  returned: success, not in check mode
  type: str
  sample: /var/lib/golden-images/web/5f0c4b1d9a37/manifest.json
sbom_file:
  description: File of the bill of materials, CycloneDX JSON.
  returned: success, not in check mode
  type: str
  sample: /var/lib/golden-images/web/5f0c4b1d9a37/bill.cdx.json
manifest:
  description: What the image is and what it was made of.
  returned: success, not in check mode
  type: dict
  sample: {"name": "web", "version": "5f0c4b1d9a37", "format": "qcow2", "inputs": {"role web": "sha256:60303ae22b998861..."}}
stages:
  description: What was done, and how long it took.
  returned: always, unless an option was refused
  type: list
  elements: dict
  sample: [{"stage": "base", "seconds": 21.4}, {"stage": "tree", "seconds": 14.2}]
plan:
  description: Stages that would be gone through.
  returned: in check mode
  type: list
  elements: str
  sample: [tree, hygiene, bill, disk, boot, manifest]
findings:
  description: What the hygiene gate found.
  returned: always, unless an option was refused
  type: list
  elements: dict
  sample:
    - rule: ssh_host_keys
      path: /etc/ssh/ssh_host_rsa_key
      what: a host key that every machine would share
      fix: rm /etc/ssh/ssh_host_rsa_key /etc/ssh/ssh_host_rsa_key.pub
events_file:
  description: File with everything that happened, one JSON object per line.
  returned: when O(events_file) is given
  type: str
failure:
  description: Why the task failed, for programs, with the same keys as that of M(immutable.fleet.node_pool).
  returned: on failure
  type: dict
  sample: {"code": "hygiene", "what": "the image may not be used: 1 finding: /etc/app.pem: line 1 holds a private key"}
"""


def main() -> None:
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import interpreter

    interpreter.require()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import baking, build_specs, faces

    module = build_specs.GOLDEN_IMAGE_BUILD.create_module()
    with faces.reporting(module, build_specs.GOLDEN_IMAGE_BUILD) as face:
        face.conclude(baking.run(module.params, face, check=module.check_mode), None)


if __name__ == "__main__":
    main()
