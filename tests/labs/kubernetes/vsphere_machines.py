# SPDX-License-Identifier: GPL-3.0-or-later
"""vSphere as a source of VMs. Needs pyvmomi. The zone is guestinfo.lab_zone, or the name of the VM's cluster (no tags are read)."""

import base64
import binascii
import gzip
import re
import ssl
from typing import Any

from .guests import VM

PROPERTIES = ["name", "runtime.powerState", "runtime.host", "config.uuid", "config.template", "config.extraConfig", "guest.ipAddress"]
GUESTINFO = "guestinfo."
TIMEOUT_SECONDS = 30
OBSERVER = {"X-Lab-Observer": "1"}  # a test that counts the calls of its subject does not count ours


class VSphereMachines:
    """One property collector call a look, over all VMs. A session that was ended is replaced."""

    def __init__(self, where: str) -> None:
        match = re.fullmatch(r"(.*?):(.*)@(.*?):(\d+)", where)
        if not match:
            raise ValueError(f"{where} is not USER:PASSWORD@HOST:PORT")
        self.user, self.password, self.host, self.port = match.groups()
        self.clusters: dict[str, str] = {}  # host -> cluster
        self.log_in()

    def log_in(self) -> None:
        from pyVim.connect import SmartConnect
        from pyVmomi import vim, vmodl

        unverified = ssl._create_unverified_context()
        self.instance: Any = SmartConnect(
            host=self.host,
            port=int(self.port),
            user=self.user,
            pwd=self.password,
            sslContext=unverified,
            customHeaders=OBSERVER,
            httpConnectionTimeout=TIMEOUT_SECONDS,
        )
        content, collector = self.instance.content, vmodl.query.PropertyCollector
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], recursive=True)
        traversal = collector.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)
        self.collector = content.propertyCollector
        self.filter = collector.FilterSpec(
            objectSet=[collector.ObjectSpec(obj=view, skip=True, selectSet=[traversal])],
            propSet=[collector.PropertySpec(type=vim.VirtualMachine, pathSet=PROPERTIES)],
        )

    def close(self) -> None:
        """Ends the session."""
        from pyVim.connect import Disconnect

        Disconnect(self.instance)

    def servers(self) -> list[VM]:
        from pyVmomi import vmodl

        try:
            answers = self.look()
        except (vmodl.fault.ManagedObjectNotFound, vmodl.fault.SecurityError):  # the view went with its session
            self.log_in()
            answers = self.look()
        machines = [{item.name: item.val for item in answer.propSet} for answer in answers]
        return [self.convert(machine) for machine in machines if machine.get("config.uuid") and not machine.get("config.template")]

    def look(self) -> list[Any]:
        """The answer for each VM; SecurityError also where it is only in missingSet, for else all VMs would seem gone."""
        from pyVmomi import vmodl

        answers = self.collector.RetrieveContents([self.filter])
        for missing in (missing for answer in answers for missing in answer.missingSet):
            if isinstance(missing.fault, vmodl.fault.SecurityError):
                raise missing.fault
        return list(answers)

    def convert(self, machine: dict[str, Any]) -> VM:
        extra = {item.key: str(item.value) for item in machine.get("config.extraConfig") or []}
        known = {key.removeprefix(GUESTINFO): value for key, value in extra.items()}
        meta = {key: value for key, value in known.items() if key.startswith("lab_") or key == "kubelet_version"}
        address = machine.get("guest.ipAddress")
        return VM(
            id=machine["config.uuid"],
            name=machine["name"],
            on=machine["runtime.powerState"] == "poweredOn",
            zone=meta.get("lab_zone") or self.cluster(machine.get("runtime.host")),
            kind="vsphere-vm",
            addresses=(address,) if address else (),
            provider_id=f"vsphere://{machine['config.uuid']}",
            user_data=plain(known.get("userdata", ""), known.get("userdata.encoding", "")),
            meta=meta,
        )

    def cluster(self, host: Any) -> str:
        """The name of the host's cluster, asked for once."""
        if host is None:
            return ""
        if host._moId not in self.clusters:
            self.clusters[host._moId] = str(host.parent.name)
        return self.clusters[host._moId]


def plain(text: str, encoding: str) -> str:
    """User data as cloud-init decodes it; as it stands where it does not decode."""
    if encoding not in ("base64", "b64", "gzip+base64", "gz+b64"):
        return text
    try:
        data = base64.b64decode(text)
        return (gzip.decompress(data) if encoding.startswith("gz") else data).decode(errors="replace")
    except (binascii.Error, OSError):
        return text
