# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the vCenter do what the tests rely on? A VM comes and goes, and each fault that they need strikes once."""

import threading
import time
from typing import Any

from ..processes import Progress
from . import check_features
from .client import Estate, attempt, connect, ensure, failure, find, raised, until, wait
from .simulator import Simulator
from .site import READER, Site


def check(site: Site, say: Progress) -> None:
    """A minute. Leaves nothing behind."""
    lab = Simulator(site.control)
    lab.reset()
    try:
        for step in (*STEPS, *check_features.STEPS):
            say(f"{step.__name__.replace('_', ' ')}: {step(Estate(site), lab)}")
            lab.reset()
    finally:
        lab.reset()
        lab.end_sessions()


def machine(estate: Estate, lab: Simulator) -> str:
    metadata = "local-hostname: web-7\nnetwork: {version: 2, ethernets: {nic0: {addresses: [10.60.0.7/24]}}}\n"
    vm = estate.made("check-machine", estate.spec(extra={"guestinfo.metadata": metadata, "fleet.owner": "web"}))
    found = until(lambda: lab.vms()["check-machine"]["ip"] and lab.vms()["check-machine"])
    ensure(found["power"] == "poweredOn" and found["ip"] == "10.60.0.7", f"it is {found['power']} with {found['ip']}")
    ensure(found["extra_config"]["fleet.owner"] == "web", "extraConfig was lost")
    ensure(vm.guest.hostName == "web-7", f"its host name is {vm.guest.hostName}")
    estate.made("check-twin", estate.spec(extra={"guestinfo.metadata": metadata}))
    until(lambda: lab.conflicts() == [{"address": "10.60.0.7", "vms": ["check-machine", "check-twin"]}])
    estate.ended(vm.PowerOffVM_Task())
    estate.ended(vm.Destroy_Task())
    ensure("check-machine" not in lab.vms(), "a destroyed VM is still there")
    return "came with its static address and went; a second guest on that address is seen"


def lost_reply(estate: Estate, lab: Simulator) -> str:
    rule = lab.rule("drop", "CloneVM_Task", count=1)
    answer = raised(lambda: estate.clone("check-lost"))
    until(lambda: "check-lost" in lab.vms())
    again = estate.error(estate.clone("check-lost"))
    ensure(lab.hits(rule) == 1 and again == "DuplicateName", f"the same name again: {again}")
    return f"the client met {answer}, the VM is there; the same name again: {again}"


def no_session(estate: Estate, lab: Simulator) -> str:
    lab.rule("missing", "RetrievePropertiesEx", count=1)
    injected = missing(estate)
    ensure(injected == {"NotAuthenticated"}, f"the rule gave {injected}")
    ensure(missing(estate) == set(), "the rule struck twice")
    lab.end_sessions()
    ensure(missing(estate) == {"NotAuthenticated"}, "a read without a session raised nothing and missed nothing")
    write = raised(lambda: estate.clone("check-none"))
    ensure(write == "NotAuthenticated" and not lab.vms(), f"a write without a session: {write}")
    return "reads raise nothing and have NotAuthenticated in missingSet, writes raise it"


def missing(estate: Estate) -> set[str]:
    """Why properties of the folder are missing."""
    from pyVmomi import vim, vmodl

    query = vmodl.query.PropertyCollector
    wanted = [query.PropertySpec(type=vim.Folder, pathSet=["name"])]
    spec = query.FilterSpec(propSet=wanted, objectSet=[query.ObjectSpec(obj=estate.folder)])
    (answer,) = estate.instance.content.propertyCollector.RetrievePropertiesEx([spec], query.RetrieveOptions()).objects
    return {type(one.fault).__name__.rpartition(".")[2] for one in answer.missingSet}


def task_failed(estate: Estate, lab: Simulator) -> str:
    lab.rule("task-fault", "CloneVM_Task", contains="check-broken", fault="SystemError", message="no luck")
    lab.rule("task-fault-after", "CloneVM_Task", contains="check-late", fault="SystemError")
    ensure(estate.error(estate.clone("check-broken")) == "SystemError", "the task did not fail")
    ensure(estate.error(estate.clone("check-late")) == "SystemError", "the task did not fail after its work")
    ensure(list(lab.vms()) == ["check-late"], f"there are {list(lab.vms())}")
    return "with nothing done, and with a VM left behind"


def session_killed(estate: Estate, lab: Simulator) -> str:
    lab.set(task_ms={"CloneVM_Task": 800})
    task = estate.clone("check-killed")
    lab.end_sessions()
    ensure(raised(lambda: estate.folder.Rename_Task("x")) == "NotAuthenticated", "a write went through")
    ensure(raised(lambda: wait(estate.instance, [task])) == "NotAuthenticated", "a wait went through")
    again = Estate(estate.site)
    task = type(task)(task._moId, again.instance._stub)
    ensure(again.ended(task).name == "check-killed", "the task is not known to the new session")
    return "the task under way goes on and is known to the next session"


def maintenance(estate: Estate, lab: Simulator) -> str:
    lab.host("esx-a1.lab", maintenance=True)
    estate.made("check-other")
    host = lab.vms()["check-other"]["host"]
    lab.host("esx-a2.lab", connected=False)
    none = estate.error(estate.clone("check-nowhere"))
    ensure((host, none) == ("esx-a2.lab", "NoCompatibleHost"), f"{host}, {none}")
    return "the other host is taken; with none left NoCompatibleHost"


def datastore_full(estate: Estate, lab: Simulator) -> str:
    lab.free("ds-a", 5000)
    vm = estate.made("check-fits", estate.spec(datastore="ds-a", on=False))
    full = estate.error(estate.clone("check-full", estate.spec(datastore="ds-a")))
    estate.ended(vm.Destroy_Task())
    until(lambda: vm_free(estate) == 5000)
    estate.made("check-again", estate.spec(datastore="ds-a"))
    ensure(full == "NoDiskSpace", f"the second clone: {full}")
    return "NoDiskSpace, until a VM is destroyed"


def vm_free(estate: Estate) -> int:
    """MiB on ds-a."""
    from pyVmomi import vim

    return int(find(estate.instance, vim.Datastore, "ds-a").summary.freeSpace) >> 20


def template_gone(estate: Estate, lab: Simulator) -> str:
    spec = estate.spec()
    lab.destroy("golden-base-v2")
    gone = raised(lambda: estate.clone("check-orphan", spec))
    lab.reset()
    Estate(estate.site).made("check-restored")
    ensure(gone == "ManagedObjectNotFound", f"its clone: {gone}")
    return f"{gone}; a reset brings it back"


def restart(estate: Estate, lab: Simulator) -> str:
    lab.set(task_ms={"CloneVM_Task": 500})
    task = estate.clone("check-restart")
    lab.restart(0.3)
    away = raised(lambda: estate.folder.name)
    again = until(lambda: attempt(lambda: Estate(estate.site)))
    task = type(task)(task._moId, again.instance._stub)
    forgotten = raised(lambda: task.info)
    until(lambda: "check-restart" in lab.vms())
    again.clone("check-lost-work")
    lab.restart(0, lose_work=True)
    ensure(away != "" and forgotten == "ManagedObjectNotFound", f"{away}, {forgotten}")
    time.sleep(0.8)
    ensure("check-lost-work" not in lab.vms(), "work that was to be lost was done")
    return f"away ({away}), then the VMs of before, no session, no task; work under way is finished or lost"


def resets(estate: Estate, lab: Simulator) -> str:
    search = estate.instance.content.searchIndex
    rule = lab.rule("reset", probability=0.05)
    failed = sum(raised(lambda: search.FindByUuid(None, "none", vmSearch=True, instanceUuid=True)) != "" for _turn in range(200))
    ensure(1 <= failed <= 40 and failed <= lab.hits(rule), f"{failed} of 200 calls met a reset")
    return f"5%: {failed} of 200 calls"


def privilege(estate: Estate, lab: Simulator) -> str:
    wanted = "VirtualMachine.Inventory.CreateFromExisting"
    lab.deny(wanted, on="fleet")
    manager, session = estate.instance.content.authorizationManager, estate.instance.content.sessionManager.currentSession
    (told,) = manager.HasPrivilegeOnEntities([estate.folder], session.key, [wanted, "System.Read"])
    ensure([one.isGranted for one in told.privAvailability] == [False, True], f"told: {told}")
    refused = failure(lambda: estate.clone("check-denied"))
    said = (getattr(refused, "privilegeId", ""), getattr(refused, "object", None))
    ensure(said == (wanted, estate.folder), f"refused: {refused!r}")
    lab.grant_all()
    spec, template = estate.spec(), type(estate.template)(estate.template._moId, connect(estate.site, READER)._stub)
    ensure(raised(lambda: template.CloneVM_Task(estate.folder, "check-reader", spec)) == "NoPermission", "the reader may clone")
    return "NoPermission names privilege and object; HasPrivilegeOnEntities tells beforehand"


def many_in_flight(estate: Estate, lab: Simulator) -> str:
    lab.set(task_ms={"CloneVM_Task": 300}, slots_host=0, slots_all=8)
    spec, began = estate.spec(), time.monotonic()
    with lab.counted() as calls:
        tasks = [estate.clone(f"check-many-{number:02}", spec) for number in range(40)]
        states = [values["info.state"] for values in wait(estate.instance, tasks).values()]
    ensure(states == ["success"] * 40 and calls["CloneVM_Task"] == 40, f"{states}, {calls}")
    ensure(calls["WaitForUpdatesEx"] <= 42, f"{calls}")
    return f"40 clones of 0.3 s, 8 at once, in {time.monotonic() - began:.1f} s with {sum(calls.values())} calls"


def two_waiters(estate: Estate, lab: Simulator) -> str:
    vm, woken = estate.made("check-two", estate.spec(on=False)), []
    others = [threading.Thread(target=lambda: woken.append(power_change(estate.site, vm))) for _turn in range(2)]
    for other in others:
        other.start()
    time.sleep(0.5)
    estate.ended(vm.PowerOnVM_Task())
    for other in others:
        other.join()
    ensure(woken == ["poweredOn"] * 2, f"woken: {woken}")
    return "two sessions wait on their default collectors, both are woken"


def power_change(site: Site, vm: Any) -> str:
    """What a session of its own hears by its default collector."""
    from pyVmomi import vim, vmodl

    query, instance = vmodl.query.PropertyCollector, connect(site)
    collector = instance.content.propertyCollector
    wanted = [query.PropertySpec(type=vim.VirtualMachine, pathSet=["runtime.powerState"])]
    target = vim.VirtualMachine(vm._moId, instance._stub)
    collector.CreateFilter(query.FilterSpec(objectSet=[query.ObjectSpec(obj=target)], propSet=wanted), partialUpdates=True)
    version = collector.WaitForUpdatesEx("").version
    update = collector.WaitForUpdatesEx(version, query.WaitOptions(maxWaitSeconds=5))
    return str(update.filterSet[0].objectSet[0].changeSet[0].val) if update else "nothing"


STEPS = (
    machine,
    lost_reply,
    no_session,
    task_failed,
    session_killed,
    maintenance,
    datastore_full,
    template_gone,
    restart,
    resets,
    privilege,
    many_in_flight,
    two_waiters,
)
