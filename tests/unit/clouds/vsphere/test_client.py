# SPDX-License-Identifier: GPL-3.0-or-later
"""The transport over pyvmomi's own types, with a stub in the place of the network."""

from __future__ import annotations

import gc
import ssl
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
from pyVmomi import SoapAdapter, vim, vmodl

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import automation, client
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.client import TRIES, Client
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import ROOT, VM, Ref, Wanted, data
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Denied,
    Exhausted,
    Invalid,
    LibraryMissing,
    NotFound,
    Transient,
)
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import CONNECTION, NOW

ONE = Ref(VM, "vm-1")
ALL_VMS = Wanted(kind=VM, paths=("name",), within=ROOT)
PC = vmodl.query.PropertyCollector


class Vcenter:
    """What a stub answers, by method: a value, what makes one of the stub, an error to raise, or a list of those."""

    def __init__(self, **answers: Any) -> None:
        self.calls: list[str] = []
        self.arguments: list[Any] = []
        self.answers = {
            "Login": vim.UserSession(userName="fleet", loginTime=NOW),
            "CreateContainerView": vim.view.ContainerView("view-1"),
            **answers,
        }

    def client(self, monkeypatch: pytest.MonkeyPatch, **given: Any) -> Client:
        def invoke(stub: Any, _mo: Any, info: Any, args: Any, **_more: Any) -> Any:
            return self.answer(stub, info.wsdlName, args)

        monkeypatch.setattr(SoapAdapter.SoapStubAdapter, "InvokeMethod", invoke)
        monkeypatch.setattr(client, "quick_stub", lambda soap, _types: soap.SoapStubAdapter)
        return Client(parse_options({**CONNECTION, **given}).connection, timedelta(seconds=20), lambda: NOW)

    def answer(self, stub: Any, method: str, arguments: Any) -> Any:
        self.calls.append(method)
        self.arguments.append(arguments)
        if method == "RetrieveServiceContent":
            names = {"propertyCollector": PC, "viewManager": vim.view.ViewManager, "sessionManager": vim.SessionManager}
            managed = {name: kind(name, stub) for name, kind in names.items()}
            return vim.ServiceInstanceContent(rootFolder=vim.Folder("group-d1", stub), **managed)
        answer = self.answers.get(method)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(stub) if callable(answer) else answer


VIEW = PC.ObjectContent(obj=vim.view.ContainerView("view-1"), propSet=[], missingSet=[])


def page(*names: str, token: str | None = None, missing: Any = None) -> Any:
    """VMs of these names, and the view that they were found by."""
    objects = [
        PC.ObjectContent(
            obj=vim.VirtualMachine(f"vm-{index}"),
            propSet=[vmodl.DynamicProperty(name="name", val=name)],
            missingSet=[PC.MissingProperty(path="name", fault=missing)] if missing else [],
        )
        for index, name in enumerate(names)
    ]
    return PC.RetrieveResult(objects=[VIEW, *objects], token=token)


def test_a_run_has_one_session_and_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The view of a container is made once a session."""
    vcenter = Vcenter(RetrievePropertiesEx=[page("a"), page("a")])
    client = vcenter.client(monkeypatch)
    assert vcenter.calls == []
    client.read(ALL_VMS)
    client.read(ALL_VMS)
    client.close()
    client.close()
    lists = ["CreateContainerView", "RetrievePropertiesEx", "RetrievePropertiesEx"]
    assert vcenter.calls == ["RetrieveServiceContent", "Login", *lists, "Logout"]


def test_a_session_outlives_who_asked_for_it_and_ends_with_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module leaves by an exception that unwinds everything: the adapter is gone when the process ends."""
    at_exit: list[Any] = []
    monkeypatch.setattr("atexit.register", at_exit.append)
    vcenter = Vcenter(RetrievePropertiesEx=page("a"))
    vcenter.client(monkeypatch).read(ALL_VMS)
    gc.collect()
    for end in at_exit:
        end()
    assert vcenter.calls[-1] == "Logout"


def test_a_list_comes_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    vcenter = Vcenter(RetrievePropertiesEx=page("a", "b", token="more"), ContinueRetrievePropertiesEx=page("a", "b", "c"))
    assert vcenter.client(monkeypatch).read(ALL_VMS) == {Ref(VM, f"vm-{index}"): {"name": name} for index, name in enumerate("abc")}


@pytest.mark.parametrize("how", ["raised", "missing", "the view is gone"])
def test_a_session_that_ended_is_made_anew(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Also when a read does not fail: it says of each property that nobody is logged in, or lists nothing, for its view is no more."""
    ended = vim.fault.NotAuthenticated()
    answers = {
        "raised": ended,
        "missing": page("a", missing=ended),
        "the view is gone": None,
    }
    first = answers[how]
    vcenter = Vcenter(RetrievePropertiesEx=[first, page("a")])
    assert vcenter.client(monkeypatch).read(ALL_VMS) == {Ref(VM, "vm-0"): {"name": "a"}}
    assert vcenter.calls.count("Login") == vcenter.calls.count("CreateContainerView") == 2


def test_a_write_that_was_refused_for_its_session_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was done: whoever is not logged in does nothing."""
    vcenter = Vcenter(Destroy_Task=[vim.fault.NotAuthenticated(), vim.Task("task-1")])
    assert vcenter.client(monkeypatch).call(ONE, "Destroy_Task") == Ref("vim.Task", "task-1")
    assert vcenter.calls.count("Destroy_Task") == 2


def test_a_session_that_ends_at_once_is_no_endless_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Transient):
        Vcenter(Destroy_Task=vim.fault.NotAuthenticated()).client(monkeypatch).call(ONE, "Destroy_Task")


def test_a_read_whose_connection_broke_is_tried_again_and_a_write_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the write worked nobody knows."""
    vcenter = Vcenter(
        RetrievePropertiesEx=[ConnectionResetError()] * (TRIES - 1) + [page("a")], Destroy_Task=[ConnectionResetError(), None]
    )
    client = vcenter.client(monkeypatch)
    assert client.read(ALL_VMS)
    with pytest.raises(Transient, match="ConnectionResetError"):
        client.call(ONE, "Destroy_Task")
    assert vcenter.calls.count("Destroy_Task") == 1


@pytest.mark.parametrize(
    ("login", "error", "where"),
    [
        (vim.fault.InvalidLogin(msg="no"), Denied, "vsphere.username, vsphere.password"),
        (ssl.SSLCertVerificationError("self-signed"), Invalid, "vsphere.ca_cert, vsphere.validate_certs"),
        (TimeoutError("timed out"), Transient, ""),
    ],
)
def test_why_nobody_gets_in_is_said_at_its_option(monkeypatch: pytest.MonkeyPatch, login: Exception, error: Any, where: str) -> None:
    with pytest.raises(error) as raised:
        Vcenter(Login=login).client(monkeypatch).read(ALL_VMS)
    assert raised.value.where == where


def test_a_file_that_is_no_certificate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid) as raised:
        Vcenter().client(monkeypatch, ca_cert="/dev/null/none").read(ALL_VMS)
    assert raised.value.where == "vsphere.ca_cert"


def test_a_fault_is_one_of_our_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    vcenter = Vcenter(CloneVM_Task=vim.fault.NoDiskSpace(msg="full", file="x", datastore="ds-a"))
    spec = data("vim.vm.CloneSpec", location=data("vim.vm.RelocateSpec"), powerOn=True, template=False)
    with pytest.raises(Exhausted, match=r"full: datastore ds-a \(NoDiskSpace\) \[CloneVM_Task of VirtualMachine vm-1\]"):
        vcenter.client(monkeypatch).call(ONE, "CloneVM_Task", folder=Ref("vim.Folder", "group-v3"), name="web-0-aaaaa", spec=spec)


def test_values_are_sent_as_they_were_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that a template has is edited: what is not known of it goes back unchanged."""
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName="[ds]", diskMode="persistent", datastore=vim.Datastore("datastore-2"))
    disk = vim.vm.device.VirtualDisk(key=2000, backing=backing, capacityInKB=4 << 20, unitNumber=0)
    answer = PC.RetrieveResult(
        objects=[
            VIEW,
            PC.ObjectContent(
                obj=vim.VirtualMachine("vm-1"),
                propSet=[vmodl.DynamicProperty(name="config.hardware.device", val=vim.vm.device.VirtualDevice.Array([disk]))],
                missingSet=[],
            ),
        ]
    )
    vcenter = Vcenter(RetrievePropertiesEx=answer, ReconfigVM_Task=vim.Task("task-1"))
    client = vcenter.client(monkeypatch)
    (read,) = client.read(Wanted(kind=VM, paths=("config.hardware.device",), objects=(ONE,)))[ONE]["config.hardware.device"]
    assert (read["_type"], read["backing"]["datastore"]) == ("vim.vm.device.VirtualDisk", Ref("vim.Datastore", "datastore-2"))
    change = data("vim.vm.device.VirtualDeviceSpec", operation="edit", device=read)
    client.call(ONE, "ReconfigVM_Task", spec=data("vim.vm.ConfigSpec", deviceChange=[change]))
    sent = vcenter.arguments[-1][0].deviceChange[0].device
    assert (sent.key, sent.capacityInKB, sent.backing.fileName, sent.backing.datastore._GetMoId()) == (2000, 4 << 20, "[ds]", "datastore-2")


@pytest.mark.parametrize(("ahead", "skew"), [(0.0, 0), (1.5, 0), (90.0, 90), (-3600.0, -3600)])
def test_clocks_are_compared_at_the_login(monkeypatch: pytest.MonkeyPatch, ahead: float, skew: int) -> None:
    """What the way of the answer explains counts as none."""
    login = vim.UserSession(userName="fleet", loginTime=NOW + timedelta(seconds=ahead))
    client = Vcenter(Login=login).client(monkeypatch)
    assert (client.user(), client.skew) == ("fleet", timedelta(seconds=skew))


def test_a_missing_sdk_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyVmomi", None)
    with pytest.raises(LibraryMissing) as raised:
        Client(parse_options(CONNECTION).connection, timedelta(seconds=20), lambda: NOW)
    assert raised.value.library.startswith("pyvmomi>=")


def update(state: str) -> Any:
    """What a collector tells of a task."""
    change = PC.Change(name="info.state", op="assign", val=state)
    each = PC.ObjectUpdate(kind="modify", obj=vim.Task("task-1"), changeSet=[change])
    return PC.UpdateSet(version="1", filterSet=[PC.FilterUpdate(filter=PC.Filter("filter-1"), objectSet=[each])])


@pytest.mark.parametrize("last", [update("success"), None])
def test_an_object_is_waited_for_by_one_call_that_vcenter_keeps_open(monkeypatch: pytest.MonkeyPatch, last: Any) -> None:
    """Its collector goes with the wait, however that ends; one that takes too long is `Transient`."""
    waits = [update("queued"), update("running"), last]
    vcenter = Vcenter(
        CreatePropertyCollector=lambda stub: PC("session-1", stub), CreateFilter=PC.Filter("filter-1"), WaitForUpdatesEx=waits
    )
    client = vcenter.client(monkeypatch)
    task, paths = Ref("vim.Task", "task-1"), ("info.state", "info.error")
    if last is None:
        with pytest.raises(Transient, match="it is running for more than 10 s"):
            client.settled(task, paths, ("queued", "running"))
    else:
        assert client.settled(task, paths, ("queued", "running")) == {"info.state": "success"}
    assert vcenter.calls[2:] == ["CreatePropertyCollector", "CreateFilter", *["WaitForUpdatesEx"] * 3, "DestroyPropertyCollector"]


COLLECTOR = Ref("vmodl.query.PropertyCollector", "session-1")


def watching(monkeypatch: pytest.MonkeyPatch, *waits: Any) -> tuple[Vcenter, Client]:
    vcenter = Vcenter(WaitForUpdatesEx=list(waits))
    client = vcenter.client(monkeypatch)
    client.user()
    vcenter.calls.clear()
    return vcenter, client


def test_a_wait_is_one_call_that_is_shorter_than_a_calls_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole seconds, upwards; what came is plain, and nothing where nothing came."""
    vcenter, client = watching(monkeypatch, update("success"), None)
    answer = client.wait(COLLECTOR, "0", 300.0)
    assert answer is not None
    (each,) = answer["filterSet"][0]["objectSet"]
    assert (answer["version"], each["obj"], each["changeSet"][0]["val"]) == ("1", Ref("vim.Task", "task-1"), "success")
    assert client.wait(COLLECTOR, "1", 2.1) is None
    assert [(version, options.maxWaitSeconds) for version, options in vcenter.arguments[-2:]] == [("0", 10), ("1", 3)]


def test_a_wait_whose_connection_broke_asks_for_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    vcenter, client = watching(monkeypatch, *[ConnectionResetError()] * (TRIES - 1), update("success"))
    assert client.wait(COLLECTOR, "7", 1.0) is not None
    assert [version for version, _options in vcenter.arguments[-TRIES:]] == ["7"] * TRIES


def test_a_wait_begins_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it waits at has ended with the one that it was made in; also when the process is about to log out."""
    vcenter, client = watching(monkeypatch, vim.fault.NotAuthenticated())
    for _twice in range(2):
        with pytest.raises(NotFound):
            client.wait(COLLECTOR, "", 1.0)
    assert vcenter.calls == ["WaitForUpdatesEx"]


def test_a_question_to_the_automation_api_keeps_no_other_call_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is on its way, a write goes out."""
    vcenter = Vcenter(Destroy_Task=vim.Task("task-1"))
    client = vcenter.client(monkeypatch)
    monkeypatch.setattr(automation.Automation, "ask", lambda _self, _path, _body: client.call(ONE, "Destroy_Task"))
    asked = threading.Thread(target=client.ask, args=("/api/content/library",), daemon=True)
    asked.start()
    asked.join(10)
    assert "Destroy_Task" in vcenter.calls
