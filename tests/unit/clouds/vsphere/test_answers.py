# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers to property reads, as vCenter writes them: what is read here is what pyvmomi reads, and the rest is left to it."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import answers
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.client import Client
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import VM, Ref, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Transient
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import CONNECTION, NOW

ONE = Ref(VM, "vm-1")
ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>{}</soapenv:Body></soapenv:Envelope>"""
ANSWER = '<RetrievePropertiesExResponse xmlns="urn:vim25">{}</RetrievePropertiesExResponse>'
OBJECT = '<returnval>{}<objects><obj type="VirtualMachine">vm-1</obj>{}</objects></returnval>'
PROPERTY = '<propSet><name>{}</name><val xsi:type="{}"{}>{}</val></propSet>'
VALUES = {  # type, attributes, text
    "a text": ("xsd:string", "", "caf\u00e9 &lt;a&gt;"),
    "none": ("xsd:string", "", ""),
    "true": ("xsd:boolean", "", "true"),
    "false": ("xsd:boolean", "", "0"),
    "a number": ("xsd:int", "", "-7"),
    "a long number": ("xsd:long", "", str(1 << 40)),
    "a fraction": ("xsd:double", "", "0.25"),
    "an instant": ("xsd:dateTime", "", "2026-11-21T22:38:06.985612Z"),
    "an instant without a fraction": ("xsd:dateTime", "", "2026-11-21T22:38:06Z"),
    "a state": ("VirtualMachinePowerState", "", "poweredOn"),
    "a reference": ("ManagedObjectReference", ' type="HostSystem"', "host-9"),
    "texts": ("ArrayOfString", "", "<string>a</string><string></string>"),
    "references": ("ArrayOfManagedObjectReference", "", '<ManagedObjectReference type="Network">net-1</ManagedObjectReference>'),
    "an option": ("OptionValue", "", '<key>k</key><value xsi:type="xsd:string">v</value>'),
}
OTHERS = {
    "a structure": ("VirtualMachineSummary", "", "<overallStatus>green</overallStatus>"),
    "structures": ("ArrayOfOptionValue", "", '<OptionValue><key>k</key><value xsi:type="xsd:string">v</value></OptionValue>'),
}
MISSING = '<missingSet><path>name</path><fault><fault xsi:type="{}"/><localizedMessage>no</localizedMessage></fault></missingSet>'
FAULT = """<soapenv:Fault xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><faultcode>ServerFaultCode</faultcode>
<faultstring>no</faultstring><detail><NoPermissionFault xmlns="urn:vim25" xsi:type="NoPermission">
<object type="VirtualMachine">vm-1</object><privilegeId>System.Read</privilegeId></NoPermissionFault></detail></soapenv:Fault>"""


class Connection:
    """Answers each request in turn: status and body."""

    def __init__(self, *bodies: tuple[int, str]) -> None:
        self.bodies = list(bodies)
        self.requests: list[tuple[str, Any]] = []

    def request(self, _method: str, _path: str, body: bytes, headers: dict[str, str]) -> None:
        self.requests.append((headers["Cookie"], body))

    def getresponse(self) -> Any:
        self.status, body = self.bodies.pop(0)
        self.read = io.BytesIO(body.encode()).read
        return self

    reason = "reason"

    def close(self) -> None:
        self.requests.append(("closed", b""))


def client(monkeypatch: pytest.MonkeyPatch, *bodies: tuple[int, str]) -> tuple[Client, Connection]:
    """One with a session, whose reads are answered so."""
    made = Client(parse_options(CONNECTION).connection, timedelta(seconds=20), lambda: NOW)
    connection = Connection(*bodies)
    stub = made._soap(host="vc.example.com", version="vim.version.v7_0")
    stub.cookie = "vmware_soap_session=1"
    monkeypatch.setattr(stub, "GetConnection", lambda: connection)
    monkeypatch.setattr(stub, "ReturnConnection", lambda _connection: None)
    collector = made._types.GetVmodlType("vmodl.query.PropertyCollector")("propertyCollector", stub)
    content = type("Content", (), {"propertyCollector": collector})

    class Session:
        def __init__(self) -> None:
            self.stub, self.content = stub, content

    monkeypatch.setattr(made, "_open", Session)
    return made, connection


def answer(*properties: tuple[str, str, str], token: str = "") -> str:
    written = "".join(PROPERTY.format(f"path-{index}", *each) for index, each in enumerate(properties))
    return ENVELOPE.format(ANSWER.format(OBJECT.format(f"<token>{token}</token>" if token else "", written)))


def read(made: Client) -> dict[str, Any]:
    return made.read(Wanted(kind=VM, paths=("name",), objects=(ONE,)))[ONE]


@pytest.mark.parametrize("what", [*VALUES, *OTHERS])
def test_a_value_is_what_pyvmomi_makes_of_it(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Of what a list of machines consists of no object is made."""
    body = answer({**VALUES, **OTHERS}[what])
    quick, _connection = client(monkeypatch, (200, body))
    left: list[bytes] = []
    real = answers.page_of

    def told(given: bytes, kind_of: Any) -> Any:
        try:
            return real(given, kind_of)
        except answers.Unknown:
            left.append(given)
            raise

    monkeypatch.setattr(answers, "page_of", told)
    found = read(quick)
    assert bool(left) == (what in OTHERS)

    def refuse(_given: bytes, _kind_of: Any) -> None:
        raise answers.Unknown

    monkeypatch.setattr(answers, "page_of", refuse)
    slow, _connection = client(monkeypatch, (200, body))
    assert read(slow) == found


def test_pages_are_one_answer_in_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with the session's cookie; nothing found is no page."""
    first = answer(VALUES["a text"], token="more")
    second = answer(VALUES["a text"], VALUES["true"]).replace("RetrievePropertiesEx", "ContinueRetrievePropertiesEx")
    made, connection = client(monkeypatch, (200, first), (200, second))
    assert read(made) == {"path-0": "caf\u00e9 <a>", "path-1": True}
    assert [cookie for cookie, _body in connection.requests] == ["vmware_soap_session=1"] * 2
    assert b">more</token>" in connection.requests[1][1]
    made, _connection = client(monkeypatch, (200, ENVELOPE.format(ANSWER.format(""))))
    assert made.read(Wanted(kind=VM, paths=("name",), objects=(ONE,))) == {}


def test_a_path_that_may_not_be_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As pyvmomi has it; a session that ended says so there, too, which test_client.py has."""
    body = ENVELOPE.format(ANSWER.format(OBJECT.format("", PROPERTY.format("a", *VALUES["true"]) + MISSING.format("NoPermission"))))
    assert read(client(monkeypatch, (200, body))[0]) == {"a": True}


def test_a_fault_is_pyvmomis(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Denied, match=r"System\.Read is missing on VirtualMachine vm-1"):
        read(client(monkeypatch, (500, ENVELOPE.format(FAULT)))[0])


@pytest.mark.parametrize("bad", [(503, ""), (200, "<html>"), (200, "")])
def test_what_is_no_answer_is_tried_again_and_then_unknown(monkeypatch: pytest.MonkeyPatch, bad: tuple[int, str]) -> None:
    made, connection = client(monkeypatch, bad, bad, bad)
    with pytest.raises(Transient):
        read(made)
    assert sum(cookie != "closed" for cookie, _body in connection.requests) == 3
