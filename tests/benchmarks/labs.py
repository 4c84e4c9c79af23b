# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to the labs. One that is down skips what needs it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE, Client
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError
from ansible_collections.immutable.fleet.tests.benchmarks.figures import Skipped
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site as KubernetesSite
from ansible_collections.immutable.fleet.tests.labs.openstack.site import Site as OpenStackSite
from ansible_collections.immutable.fleet.tests.labs.vsphere.simulator import Simulator

CALL_TIMEOUT = timedelta(seconds=60)


def kubernetes_or_skip() -> Kube:
    """The Kubernetes lab's own client."""
    if find_spec("kubernetes") is None:
        raise Skipped("the Kubernetes client is not installed: make bench installs it")
    site = KubernetesSite.from_environment()
    try:
        kube = Kube(site.kubeconfig, agent="bench")
        if kube.raw("GET", "/readyz")[0] == 200:
            return kube
    except OSError:
        pass
    raise Skipped("the Kubernetes lab is not up: tests/labs/lab up kubernetes")


def openstack_or_skip(cloud: str = "user") -> Client:
    """The OpenStack lab past the adapter, as one of its users; the SDK is pointed to it from now on."""
    if find_spec("openstack") is None:
        raise Skipped("openstacksdk is not installed: make bench installs it")
    clouds = OpenStackSite.from_environment().home / "clouds.yaml"
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(clouds)
    client = Client({"cloud": cloud}, CALL_TIMEOUT, lambda: datetime.now(UTC))
    try:
        client.request("GET", COMPUTE, "/limits")
    except FleetError as error:
        raise Skipped(f"the OpenStack lab is not up: tests/labs/lab up openstack ({error})") from error
    return client


def vsphere_or_skip() -> Simulator:
    """The control side of the vSphere lab, with nothing left in it of what ran before."""
    if find_spec("pyVmomi") is None:
        raise Skipped("pyvmomi is not installed: make bench installs it")
    simulator = Simulator()
    try:
        simulator.reset()
    except OSError as error:
        raise Skipped(f"the vSphere lab is not up: tests/labs/lab up vsphere ({error})") from error
    return simulator
