#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: golden_image_info
short_description: Show versions of golden images, their channels and ancestry, who runs what, and where a package is
version_added: 0.1.0
author: immutable.fleet contributors (@immutable)
description:
  - Shows all versions of golden images that the account sees, what each comes from and was built upon, which channels point to it, and
    which machines run it. Nothing is changed.
  - With O(package) it also reads the bills of materials of these versions, and says which versions have the package, and which machines.
extends_documentation_fragment:
  - immutable.fleet._attributes
  - immutable.fleet._attributes.reads
  - immutable.fleet._image_store
options:
  name:
    description: Name of one golden image. All are shown where it is not given.
    type: str
  package:
    description: Name of a package to look for, exactly as the bill of materials has it.
    type: str
  package_version:
    description: Exact version of the package. Every version is found where it is not given.
    type: str
seealso:
  - module: immutable.fleet.golden_image
  - module: immutable.fleet.golden_image_channel
"""

EXAMPLES = r"""
- name: What is stable now, and who runs something else?
  immutable.fleet.golden_image_info:
    name: ubuntu-24.04
    openstack:
      cloud: production
  register: images

- name: Which machines have the vulnerable library?
  immutable.fleet.golden_image_info:
    package: libssl3
    package_version: 3.0.13-0ubuntu3.4
    openstack:
      cloud: production
  register: images
"""

RETURN = r"""
versions:
  description: The versions, newest first.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the golden image.
      type: str
    version:
      description: The version.
      type: str
    ref:
      description: Both in one word.
      type: str
      sample: ubuntu-24.04@20261121.1
    id:
      description: ID of the image in the store.
      type: str
    digest:
      description: Digest of the image's bytes.
      type: str
    state:
      description: V(published); V(uploading) where its upload did not end; V(broken) where its bytes are not those of the manifest.
      type: str
    parent:
      description: The version that it was built upon.
      type: str
    ancestry:
      description: All versions that it was built upon, nearest first.
      type: list
      elements: str
    git_commit:
      description: Commit of the repository that describes the image.
      type: str
    inputs:
      description: All that went into the build.
      type: dict
    inputs_digest:
      description: Equal for builds from the same inputs and parent.
      type: str
    sbom:
      description: Where its bill of materials is.
      type: str
    created_at:
      description: When it was built, in UTC.
      type: str
    is_signed:
      description: Whether the manifest has a signature.
      type: bool
    revoked:
      description: Which version is revoked, it or one that it was built upon, by whom, since when and why; empty where it may be used.
      type: str
    channels:
      description: Channels that point to it.
      type: list
      elements: str
    machines:
      description: Machines that run it.
      type: list
      elements: str
channels:
  description: What each channel points to, and its history as M(immutable.fleet.golden_image_channel) returns it.
  returned: always
  type: dict
  sample: {"ubuntu-24.04/stable": {"version": "20261121.1", "history": []}}
package:
  description: Where the package is.
  returned: when O(package) is given
  type: dict
  contains:
    name:
      description: Name of the package.
      type: str
    found:
      description: Versions of images that have it, each with the package's version and the machines that run the image.
      type: list
      elements: dict
      sample: [{"ref": "ubuntu-24.04@20261121.1", "version": "3.0.13", "machines": [web-3-x7k2p]}]
    unknown:
      description: Versions of images whose bill of materials cannot be read, each with the reason.
      type: dict
failure:
  description: Why the task failed, for programs, with the same keys as that of M(immutable.fleet.node_pool).
  returned: on failure
  type: dict
  sample: {"code": "denied", "what": "the credentials have expired", "where": "openstack.cloud"}
"""


def main() -> None:
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import interpreter

    interpreter.require()
    from ansible_collections.immutable.fleet.plugins.module_utils.entry import faces, golden_info, image_specs, image_stores

    module = image_specs.GOLDEN_IMAGE_INFO.create_module()
    with faces.reporting(module, image_specs.GOLDEN_IMAGE_INFO) as face:
        golden_info.refuse_nonsense(module.params)
        face.conclude(golden_info.look(module.params, image_stores.shelf(module.params)), None)


if __name__ == "__main__":
    main()
