# SPDX-License-Identifier: GPL-3.0-or-later
"""Which adapters go through the suite. A lab's harness is a file of its own here, listed with `marks=pytest.mark.lab`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.tests.conformance.on_glance import OnGlance
from ansible_collections.immutable.fleet.tests.conformance.on_haproxy import dynamic_servers, slots
from ansible_collections.immutable.fleet.tests.conformance.on_kubernetes import Kubernetes
from ansible_collections.immutable.fleet.tests.conformance.on_octavia import OnOctavia
from ansible_collections.immutable.fleet.tests.conformance.on_openstack import OpenStack
from ansible_collections.immutable.fleet.tests.conformance.on_vsphere import Vsphere
from ansible_collections.immutable.fleet.tests.conformance.on_vsphere_images import OnVsphere
from ansible_collections.immutable.fleet.tests.conformance.simulated import InFile, InMemory, Simulated
from ansible_collections.immutable.fleet.tests.system import openstack_lab


def in_memory(folder: Path) -> Simulated:
    return Simulated(InMemory(folder))


def in_file(folder: Path) -> Simulated:
    return Simulated(InFile(folder))


CLOUDS_OF_PARTS: list[object] = [  # their create makes a port first, and may die before it makes the VM
    pytest.param(in_memory, id="memory"),
    pytest.param(in_file, id="file"),
    pytest.param(OpenStack, id="openstack", marks=openstack_lab.MARKS),
]
CLOUDS: list[object] = [
    *CLOUDS_OF_PARTS,
    pytest.param(Vsphere, id="vsphere", marks=pytest.mark.lab),  # one call makes all of a machine: there is nothing beside the VM
]
# The lab's client keeps a connection per thread and closes none.
KUBERNETES_MARKS = [pytest.mark.lab, pytest.mark.filterwarnings("ignore::ResourceWarning")]
KUBERNETES = pytest.param(Kubernetes, id="kubernetes", marks=KUBERNETES_MARKS)
CLUSTERS: list[object] = [pytest.param(in_memory, id="memory"), pytest.param(in_file, id="file"), KUBERNETES]
LOCKS: list[object] = [pytest.param(in_memory, id="memory"), pytest.param(in_file, id="file"), KUBERNETES]
LOCKS.append(pytest.param(OpenStack, id="openstack", marks=[*openstack_lab.MARKS, *KUBERNETES_MARKS]))
IMAGE_STORES: list[object] = [pytest.param(in_memory, id="memory"), pytest.param(in_file, id="file")]
IMAGE_STORES.append(pytest.param(OnGlance, id="glance", marks=openstack_lab.MARKS))
IMAGE_STORES.append(pytest.param(OnVsphere, id="vsphere", marks=pytest.mark.lab))
BALANCERS: list[object] = [pytest.param(in_memory, id="memory"), pytest.param(in_file, id="file")]
BALANCERS += [pytest.param(make, id=f"haproxy-{make.__name__}", marks=pytest.mark.lab) for make in (dynamic_servers, slots)]
BALANCERS.append(pytest.param(OnOctavia, id="octavia", marks=openstack_lab.MARKS))
