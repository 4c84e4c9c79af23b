# SPDX-License-Identifier: GPL-3.0-or-later
"""What the vCenter can do besides making and losing VMs: disks, datastore clusters, rules, marks, crowds, guests."""

import base64
import json
import ssl
import time
import urllib.request
import uuid
from typing import Any

from ..kubernetes.vsphere_machines import VSphereMachines
from .client import Estate, ensure, find, raised
from .simulator import Simulator
from .site import IP, PASSWORD, READER, USER, Site

CROWD = 1000


def same_uuid(estate: Estate, lab: Simulator) -> str:
    wanted = str(uuid.uuid4())
    for name in ("check-one", "check-other"):
        spec = estate.spec(on=False)
        spec.config.instanceUuid = wanted
        estate.made(name, spec)
    found = [vm["instance_uuid"] for vm in lab.vms().values()]
    ensure(found.count(wanted) == 1, f"asked for {wanted} twice, got {found}")
    before = lab.vms()["check-one"]["uuid"]
    lab.destroy("check-one")
    estate.made("check-one", estate.spec(on=False))
    ensure(lab.vms()["check-one"]["uuid"] != before, "a new VM with an old name has the old uuid")
    return "the second VM gets another one; a new VM with an old name has new ones"


def disks(estate: Estate, lab: Simulator) -> str:
    from pyVmomi import vim

    spec = estate.spec(on=False)
    root = next(one for one in estate.template.config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk))
    root.capacityInKB = 20 << 20
    root.capacityInBytes = None
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(diskMode="independent_persistent", fileName="", thinProvisioned=True)
    data = vim.vm.device.VirtualDisk(key=-1, controllerKey=root.controllerKey, unitNumber=1, capacityInKB=8 << 20, backing=backing)
    change = vim.vm.device.VirtualDeviceSpec
    spec.config.deviceChange = [change(operation="edit", device=root), change(operation="add", fileOperation="create", device=data)]
    estate.made("check-disks", spec)
    found = [(disk["gib"], disk["mode"]) for disk in lab.vms()["check-disks"]["disks"]]
    ensure(found == [(20, "persistent"), (8, "independent_persistent")], f"its disks: {found}")
    root.capacityInKB = 2 << 20
    smaller = estate.error(estate.clone("check-small", spec))
    ensure(smaller == "InvalidDeviceSpec", f"a smaller one: {smaller}")
    return f"grown and added in the clone; a smaller one: {smaller}"


def linked_clone(estate: Estate, lab: Simulator) -> str:
    spec = estate.spec(on=False)
    spec.location.diskMoveType, spec.snapshot = "createNewChildDiskBacking", estate.template.snapshot.currentSnapshot
    estate.made("check-linked", spec)
    ensure([disk["linked"] for disk in lab.vms()["check-linked"]["disks"]] == [True], "it has disks of its own")
    spec.snapshot = type(spec.snapshot)("snapshot-none", estate.instance._stub)
    gone = estate.error(estate.clone("check-snapshotless", spec))
    ensure(gone == "ManagedObjectNotFound", f"a snapshot that is gone: {gone}")
    return f"with its parent; a snapshot that is gone: {gone}"


def first_class_disk(estate: Estate, lab: Simulator) -> str:
    from pyVmomi import vim

    manager = vim.vslm.vcenter.VStorageObjectManager("VStorageObjectManager", estate.instance._stub)
    where = vim.vslm.CreateSpec.DiskFileBackingSpec(datastore=find(estate.instance, vim.Datastore, "ds-shared"), provisioningType="thin")
    spec = vim.vslm.CreateSpec(name="check", capacityInMB=1024, backingSpec=where, keepAfterDeleteVm=True)
    disk = estate.ended(manager.CreateDisk_Task(spec)).config.id
    vm = estate.made("check-csi", estate.spec(on=False))
    estate.ended(vm.AttachDisk_Task(disk, where.datastore, None, None))
    attached = [one["first_class"] for one in lab.vms()["check-csi"]["disks"]]
    seen = [one.vDiskId.id for one in vm.config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk) and one.vDiskId]
    estate.ended(vm.DetachDisk_Task(disk))
    ensure(attached == ["", disk.id] and seen == [disk.id], f"attached: {attached}, seen: {seen}")
    ensure(len(lab.vms()["check-csi"]["disks"]) == 1, "it is still there after its detachment")
    return "attached with its vDiskId, detached"


def datastore_cluster(estate: Estate, lab: Simulator) -> str:
    from pyVmomi import vim

    pod = find(estate.instance, vim.StoragePod, "dsc-fast")
    spec = estate.spec(on=False)
    spec.location.datastore = None
    placement = vim.storageDrs.StoragePlacementSpec(
        type="clone",
        cloneName="check-pod",
        vm=estate.template,
        folder=estate.folder,
        cloneSpec=spec,
        podSelectionSpec=vim.storageDrs.PodSelectionSpec(
            storagePod=pod, initialVmConfig=[vim.storageDrs.PodSelectionSpec.VmPodConfig(storagePod=pod)]
        ),
    )
    advice = estate.instance.content.storageResourceManager.RecommendDatastores(placement).recommendations
    spec.location.datastore = advice[0].action[0].destination
    estate.made("check-pod", spec)
    found = lab.vms()["check-pod"]["datastores"]
    ensure(found[0] in ("dsc-fast-1", "dsc-fast-2"), f"on {found}")
    return f"RecommendDatastores names its {len(advice)} members"


def rules(estate: Estate, lab: Simulator) -> str:
    from pyVmomi import vim

    cluster, vms = estate.clusters["fd-a"], [estate.made(f"check-rule-{number}", estate.spec(on=False)) for number in (1, 2)]
    rule = vim.cluster.AntiAffinityRuleSpec(name="check-apart", enabled=True, vm=vms)
    change = vim.cluster.ConfigSpecEx(rulesSpec=[vim.cluster.RuleSpec(operation="add", info=rule)])
    estate.ended(cluster.ReconfigureComputeResource_Task(change, modify=True))
    estate.ended(vms[0].Destroy_Task())
    (left,) = cluster.configurationEx.rule
    ensure(list(left.vm) == [vms[1]], f"the rule has {left.vm}")
    lab.reset()
    ensure(not cluster.configurationEx.rule, "a reset left the rule")
    return "kept, without VMs that are gone; nothing is moved by them"


def marks(estate: Estate, lab: Simulator) -> str:
    from pyVmomi import vim

    fields = estate.instance.content.customFieldsManager
    known = {one.name: one.key for one in fields.field or []}
    key = known.get("check-owner") or fields.AddFieldDefinition("check-owner", vim.VirtualMachine).key
    vm = estate.made("check-marks", estate.spec(on=False))
    fields.SetField(vm, key, "web")
    ensure([one.value for one in vm.customValue if one.key == key] == ["web"], "the custom attribute was lost")
    token = rest(estate.site, "POST", "session")
    category = {"name": f"check-{time.time()}", "description": "", "cardinality": "MULTIPLE", "associable_types": []}
    made = rest(estate.site, "POST", "cis/tagging/category", category, token)
    tag = rest(estate.site, "POST", "cis/tagging/tag", {"name": "web", "description": "", "category_id": made}, token)
    targets = {"object_ids": [{"type": "VirtualMachine", "id": vm._moId}]}
    rest(estate.site, "POST", f"cis/tagging/tag-association/{tag}?action=attach-tag-to-multiple-objects", targets, token)
    listed = rest(estate.site, "POST", "cis/tagging/tag-association?action=list-attached-tags-on-objects", targets, token)
    ensure([one["tag_ids"] for one in listed] == [[tag]], f"attached: {listed}")
    rest(estate.site, "DELETE", f"cis/tagging/category/{made}", None, token)
    return "custom attributes by SOAP, tags by REST"


def rest(site: Site, method: str, path: str, body: object = None, token: str = "") -> Any:
    """A call of /api; a session is asked for by name and password."""
    known = (
        {"vmware-api-session-id": token}
        if token
        else {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
    )
    data = None if body is None else json.dumps(body).encode()
    url = f"https://{IP}:{site.port('vcenter')}/api/{path}"
    request = urllib.request.Request(url, data, {**known, "Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=str(site.ca_file))) as answer:
        return json.loads(answer.read() or "null")


def crowd(estate: Estate, lab: Simulator) -> str:
    from pyVmomi import vim, vmodl

    began = time.monotonic()
    lab.make(
        {"name": f"check-{number:04}", "cluster": f"fd-{'abc'[number % 3]}", "extra_config": {"n": str(number)}} for number in range(CROWD)
    )
    made = time.monotonic() - began
    content, query = estate.instance.content, vmodl.query.PropertyCollector
    view = content.viewManager.CreateContainerView(estate.folder, [vim.VirtualMachine], recursive=True)
    walk = query.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)
    paths = ["name", "runtime.powerState", "config.instanceUuid", "guest.ipAddress", 'config.extraConfig["n"].value']
    wanted = [query.PropertySpec(type=vim.VirtualMachine, pathSet=paths)]
    spec = query.FilterSpec(objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[walk])], propSet=wanted)
    began, count, pages = time.monotonic(), 0, 1
    answer = content.propertyCollector.RetrievePropertiesEx([spec], query.RetrieveOptions(maxObjects=500))
    while True:
        count += sum({item.name: item.val for item in one.propSet}["name"].startswith("check-") for one in answer.objects)
        if not answer.token:
            break
        answer, pages = content.propertyCollector.ContinueRetrievePropertiesEx(answer.token), pages + 1
    listed = time.monotonic() - began
    view.Destroy()
    ensure((count, pages) == (CROWD, 2), f"{count} in {pages} pages")
    began = time.monotonic()
    lab.reset()
    return f"{CROWD} VMs made in {made:.1f} s, listed in {listed:.2f} s by {pages} calls, gone in {time.monotonic() - began:.1f} s"


def joiner(estate: Estate, lab: Simulator) -> str:
    user_data = base64.b64encode(b"#cloud-config\n# --node-labels=pool=web\n").decode()
    extra = {"guestinfo.userdata": user_data, "guestinfo.userdata.encoding": "base64", "guestinfo.lab_join": "notready"}
    estate.made("check-guest", estate.spec(domain="fd-b", extra=extra))
    source = VSphereMachines(f"{READER}:{PASSWORD}@{IP}:{estate.site.port('vcenter')}")
    (found,) = source.servers()
    ensure(found.provider_id == f"vsphere://{lab.vms()['check-guest']['uuid']}", found.provider_id)
    ensure((found.name, found.on, found.zone) == ("check-guest", True, "fd-b"), f"{found}")
    ensure("--node-labels=pool=web" in found.user_data and found.meta["lab_join"] == "notready", f"{found}")
    lab.end_sessions()
    ensure(raised(source.servers) == "" and [vm.name for vm in source.servers()] == ["check-guest"], "a lost session lost the VMs")
    with lab.counted() as calls:
        source.servers()
    ensure(not calls, f"its calls are counted: {calls}")
    source.close()
    return "sees VMs with zone, user data and facts, also after its session was ended"


STEPS = (same_uuid, disks, linked_clone, first_class_disk, datastore_cluster, rules, marks, joiner, crowd)
