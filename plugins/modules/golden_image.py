#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: golden_image
short_description: Publish a version of a golden image, revoke one, or remove versions that nobody needs
version_added: 0.1.0
author: immutable.fleet contributors (@immutable)
description:
  - A version is an image file with a manifest that says where it comes from. It never changes. The same file published again is no
    change, and another file under the same version is refused.
  - The file's digest is computed before the upload and compared after it with that of the image service, or of vCenter. Only then the
    version counts as published. An upload that was cut off is gone on with, or replaced, when the same task is run again.
  - A revoked version makes no machines any more, and neither does one that was built upon it. Pools refuse it, channels point past it,
    and machines that run it are outdated for every pool that follows a channel.
extends_documentation_fragment:
  - immutable.fleet._attributes
  - immutable.fleet._image_store
options:
  name:
    description: Name of the golden image, as V(ubuntu-24.04).
    type: str
    required: true
  state:
    description:
      - V(published) uploads O(path) as O(version).
      - V(revoked) lets nobody make machines of O(version) any more, and hides it. What was built upon it is revoked with it.
      - V(retained) removes versions of O(name) that no machine runs, that are not among the last O(keep) of any channel, that are
        older than O(min_age), and that nothing that stays was built upon.
    type: str
    choices: [published, revoked, retained]
    default: published
  version:
    description: Which build of the image this is, in any form that the estate likes. O(manifest) says it where it is given.
    type: str
  path:
    description: File of the image. Required for O(state=published).
    type: path
  manifest:
    description:
      - File of a manifest that was written when the image was built. It takes the place of O(format), O(parent), O(git_commit) and
        O(inputs).
      - Its digest has to be that of O(path).
    type: path
  format:
    description: Format of the file, as C(qemu-img) calls it.
    type: str
    choices: [qcow2, raw, vmdk, vhd, vhdx, vdi, iso]
    default: qcow2
  parent:
    description: The version that it was built upon, as V(ubuntu-24.04@20261101.1).
    type: str
    default: ''
  git_commit:
    description: Commit of the repository that describes the image.
    type: str
    default: ''
  inputs:
    description: All that went into the build, each with a digest or a version. Builds from the same inputs and parent can be recognised.
    type: dict
    default: {}
  sbom:
    description: File or URL of the bill of materials (CycloneDX or SPDX, as JSON). The digest of a file is put into the manifest.
    type: str
    default: ''
  sign_with:
    description:
      - File of an SSH key that signs the manifest; of a public key where an agent has the private one. Needs C(ssh-keygen) 8.2 or later.
      - A version that is published already keeps the signature that it has.
    type: path
  visibility:
    description: Which projects see the image in OpenStack. V(public) usually takes an administrator.
    type: str
    choices: [private, shared, public]
    default: private
  properties:
    description: More properties of the image in OpenStack, such as C(hw_disk_bus) or C(os_distro).
    type: dict
    default: {}
  reason:
    description: Why the version is revoked. Shown wherever it is refused.
    type: str
    default: ''
  keep:
    description:
      - How many versions of each channel always stay, counted from its newest promotion, at least 3.
      - As many that may be used and were not rolled back from stay too, so that there is something to go back to.
    type: int
    default: 3
  min_age:
    description: Younger versions stay in any case; one of them may be about to be promoted.
    type: str
    default: 7d
  in_use:
    description: More versions that stay, by C(name@version), ID or digest, for example what pools of other projects run.
    type: list
    elements: str
    default: []
seealso:
  - module: immutable.fleet.golden_image_channel
  - module: immutable.fleet.golden_image_info
"""

EXAMPLES = r"""
- name: Publish what was built
  immutable.fleet.golden_image:
    name: ubuntu-24.04
    version: "20261121.1"
    path: build/ubuntu-24.04.qcow2
    git_commit: 0a1b2c3d
    parent: ubuntu-base@20261101.1
    inputs:
      roles: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    sbom: build/ubuntu-24.04.cdx.json
    sign_with: ~/.ssh/bakery
    openstack:
      cloud: production

- name: Publish it with the manifest that was written when it was built
  immutable.fleet.golden_image:
    name: web
    path: /var/lib/golden-images/web/5f0c4b1d9a37/image.qcow2
    manifest: /var/lib/golden-images/web/5f0c4b1d9a37/manifest.json
    openstack:
      cloud: production

- name: Nobody may use it any more
  immutable.fleet.golden_image:
    name: ubuntu-24.04
    version: "20261121.1"
    state: revoked
    reason: CVE-2026-4711
    openstack:
      cloud: production

- name: Clean up
  immutable.fleet.golden_image:
    name: ubuntu-24.04
    state: retained
    keep: 5
    openstack:
      cloud: production
"""

RETURN = r"""
name:
  description: Name of the golden image.
  returned: always
  type: str
  sample: ubuntu-24.04
ref:
  description: Name and version in one word.
  returned: when O(state=published) or O(state=revoked)
  type: str
  sample: ubuntu-24.04@20261121.1
version:
  description: The version.
  returned: when O(state=published) or O(state=revoked)
  type: str
  sample: "20261121.1"
id:
  description: ID of the image in the store.
  returned: when O(state=published) or O(state=revoked)
  type: str
  sample: 7f6b1d9e-0f0e-5d0c-8f2e-2f4d2c1b0a99
digest:
  description: Digest of the image's bytes.
  returned: when O(state=published) or O(state=revoked)
  type: str
  sample: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
inputs_digest:
  description: Equal for builds from the same inputs and parent; empty where none were given.
  returned: when O(state=published) or O(state=revoked)
  type: str
  sample: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
is_signed:
  description: Whether the manifest has a signature.
  returned: when O(state=published) or O(state=revoked)
  type: bool
revoked:
  description: Versions that were revoked by this task, the one named and those built upon it.
  returned: when O(state=revoked)
  type: list
  elements: str
  sample: ["ubuntu-24.04@20261121.1"]
machines:
  description: Machines that run one of them and have to be replaced.
  returned: when O(state=revoked)
  type: list
  elements: str
  sample: [web-3-x7k2p]
removed:
  description: Versions that were removed.
  returned: when O(state=retained)
  type: list
  elements: str
  sample: ["ubuntu-24.04@20260901.1"]
kept:
  description: Versions that stay, each with the reason.
  returned: when O(state=retained)
  type: dict
  sample: {"ubuntu-24.04@20261114.2": "web-3-x7k2p runs it"}
failure:
  description: Why the task failed, for programs, with the same keys as that of M(immutable.fleet.node_pool).
  returned: on failure
  type: dict
  sample: {"code": "invalid", "what": "the file cannot be read", "where": "path"}
"""


def main() -> None:
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import interpreter

    interpreter.require()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import faces, golden_image, image_specs, image_stores

    module = image_specs.GOLDEN_IMAGE.create_module()
    with faces.reporting(module, image_specs.GOLDEN_IMAGE) as face:
        golden_image.refuse_nonsense(module.params)
        shelf = image_stores.shelf(module.params, module.params["visibility"], module.params["properties"])
        face.conclude(golden_image.bring_about(module.params, shelf, check=module.check_mode), None)


if __name__ == "__main__":
    main()
