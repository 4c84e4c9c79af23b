# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Machines that exist in a file only."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/cloud_specs.py, SIMULATED."""

    DOCUMENTATION = r"""
options:
  simulated:
    description:
      - Machines and nodes are those of a simulated world, which M(immutable.fleet.simulated_world) makes. Everything behaves as with
        a real provider, including faults, and nothing needs to be installed. So an estate can test its rollout policy in CI.
      - Exactly one provider has to be given. A cluster given beside it takes the place of the world's own cluster.
    type: dict
    suboptions:
      world:
        description: File of the world. Several runs and processes may use one at the same time.
        type: path
        required: true
      image:
        description: Name of the image that machines are made from. Required for a pool that is declared.
        type: str
      flavor:
        description: Name of the flavor.
        type: str
      networks:
        description: Names of the networks. Nothing in the world uses them; a change of them replaces machines, as it would elsewhere.
        type: list
        elements: str
"""
