# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which golden image a pool is made of."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/specs.py, IMAGE."""

    DOCUMENTATION = r"""
options:
  image:
    description:
      - The golden image that machines are made from, instead of O(openstack.image), O(vsphere.template) or O(simulated.image). A version of
        M(immutable.fleet.golden_image), named outright or by a channel that points to it.
      - A version that is revoked, or was built upon one that is, is refused before anything is touched.
    type: dict
    suboptions:
      channel:
        description:
          - Channel to follow, as V(ubuntu-24.04/stable). It is asked once, at the start of the run.
          - A channel that points elsewhere is a change of this variable. An override by M(immutable.fleet.node_pool_control) ends with it.
        type: str
      name:
        description: Name of a golden image; with O(image.version).
        type: str
      version:
        description: Version of it.
        type: str
      signed_by:
        description:
          - Who has to have signed the version's manifest, as the file of O(image.allowed_signers) names him. What the image service says of
            the image's bytes is compared with that manifest.
          - No signature is asked for where it is not given.
        type: str
      allowed_signers:
        description: File that says whose SSH keys count, as C(ssh-keygen) wants it for C(-Y verify). Required with O(image.signed_by).
        type: path
"""
