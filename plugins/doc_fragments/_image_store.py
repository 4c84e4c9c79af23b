# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where golden images lie."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.doc_fragments._openstack import CONNECTION


class ModuleDocFragment:
    """Twin of entry/image_specs.py, IMAGE_STORE."""

    DOCUMENTATION = (
        r"""
options:
  openstack:
    description:
      - Images are those of the image service (Glance) of an OpenStack project. Exactly one store has to be given.
      - The connection is configured as for the modules of C(openstack.cloud), with C(clouds.yaml), the C(OS_*) environment
        variables or O(openstack.auth). Needs C(openstacksdk) >= 1.0.0.
    type: dict
    suboptions:
"""
        + CONNECTION
        + r"""
  simulated:
    description:
      - Images are those of a simulated world, which M(immutable.fleet.simulated_world) makes. It keeps manifests, and no bytes.
      - Exactly one store has to be given.
    type: dict
    suboptions:
      world:
        description: File of the world. Several runs and processes may use one at the same time.
        type: path
        required: true
"""
    )
