# SPDX-License-Identifier: GPL-3.0-or-later
"""vSphere as a source of VMs. Needs pyvmomi. The zone is guestinfo.lab_zone (no tags are read)."""

import re
import ssl
from typing import Any

from .guests import VM

PROPERTIES = ["name", "runtime.powerState", "config.uuid", "config.template", "config.extraConfig", "guest.ipAddress"]
GUESTINFO = "guestinfo."


class VSphereMachines:
    """One property collector call a look, over all VMs."""

    def __init__(self, where: str) -> None:
        from pyVim.connect import SmartConnect
        from pyVmomi import vim, vmodl

        match = re.fullmatch(r"(.*?):(.*)@(.*?):(\d+)", where)
        if not match:
            raise ValueError(f"{where} is not USER:PASSWORD@HOST:PORT")
        user, password, host, port = match.groups()
        unverified = ssl._create_unverified_context()
        instance: Any = SmartConnect(host=host, port=int(port), user=user, pwd=password, sslContext=unverified)
        content, collector = instance.content, vmodl.query.PropertyCollector
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)  # noqa: FBT003
        traversal = collector.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)
        self.instance, self.collector = instance, content.propertyCollector
        self.filter = collector.FilterSpec(
            objectSet=[collector.ObjectSpec(obj=view, skip=True, selectSet=[traversal])],
            propSet=[collector.PropertySpec(type=vim.VirtualMachine, pathSet=PROPERTIES)],
        )

    def servers(self) -> list[VM]:
        answers = self.collector.RetrieveContents([self.filter])
        machines = [{item.name: item.val for item in answer.propSet} for answer in answers]
        return [self.convert(machine) for machine in machines if machine.get("config.uuid") and not machine.get("config.template")]

    def convert(self, machine: dict[str, Any]) -> VM:
        extra = {item.key: str(item.value) for item in machine.get("config.extraConfig") or []}
        known = {key.removeprefix(GUESTINFO): value for key, value in extra.items()}
        meta = {key: value for key, value in known.items() if key.startswith("lab_") or key == "kubelet_version"}
        address = machine.get("guest.ipAddress")
        return VM(
            id=machine["config.uuid"],
            name=machine["name"],
            on=machine["runtime.powerState"] == "poweredOn",
            zone=meta.get("lab_zone", ""),
            kind="vsphere-vm",
            addresses=(address,) if address else (),
            provider_id=f"vsphere://{machine['config.uuid']}",
            user_data=extra.get("guestinfo.userdata", ""),
            meta=meta,
        )
