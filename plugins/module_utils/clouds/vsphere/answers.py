# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers to property reads as plain values, without an object of pyvmomi's for each element.

A list of a thousand machines has 36,000 elements, and nearly all of what a run that changes nothing costs on the client is to make objects
of them and to take those apart. What such a list consists of (texts, numbers, instants, states, references, one option) is read
here. An answer with anything else in it, or with a fault, is left to pyvmomi as a whole. Pure but for the stub at the end.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from typing import Any
from xml.etree import ElementTree as ET

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Ref, data

READS = ("RetrievePropertiesEx", "ContinueRetrievePropertiesEx")
OK, FAULT = 200, 500
_VIM = "{urn:vim25}"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_TRUE = ("1", "true")


class Unknown(Exception):
    """Something that pyvmomi has to read."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: objects with what was read of them, and where the next page is."""

    objects: tuple[tuple[Ref, dict[str, Any]], ...]
    token: str


def page_of(body: bytes, kind_of: Callable[[str], str]) -> Page | None:
    """The answer in a SOAP envelope; None where nothing was found. Raises `Unknown`.

    `kind_of` tells pyvmomi's name of a managed object's WSDL type, "enum" for an enumeration, "" for anything else.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314  # what vCenter itself says; pyvmomi reads it by the same parser
        result = root.find(f"*/*/{_VIM}returnval")
        if result is None:
            return None
        objects = tuple(_object(element, kind_of) for element in result.iterfind(f"{_VIM}objects"))
        return Page(objects, result.findtext(f"{_VIM}token", ""))
    except (ET.ParseError, ValueError) as exc:
        raise Unknown from exc


def _object(element: ET.Element, kind_of: Callable[[str], str]) -> tuple[Ref, dict[str, Any]]:
    managed, *properties = element
    values: dict[str, Any] = {}
    for each in properties:
        if each.tag != f"{_VIM}propSet":
            raise Unknown
        name, value = each
        values[str(name.text)] = _value(value, kind_of)
    return _reference(managed, kind_of), values


def _value(element: ET.Element, kind_of: Callable[[str], str]) -> Any:
    kind, text = element.get(_TYPE, "").rpartition(":")[2], element.text or ""
    read = _READERS.get(kind)
    if read is not None:
        return read(text)
    if kind == "ManagedObjectReference":
        return _reference(element, kind_of)
    if kind == "ArrayOfString":
        return [each.text or "" for each in element]
    if kind == "ArrayOfManagedObjectReference":
        return [_reference(each, kind_of) for each in element]
    if kind == "OptionValue":
        return data("vim.option.OptionValue", **dict(_fields(element, kind_of)))
    if kind_of(kind) == "enum":
        return text
    raise Unknown


def _fields(element: ET.Element, kind_of: Callable[[str], str]) -> Iterator[tuple[str, Any]]:
    for each in element:
        yield each.tag.removeprefix(_VIM), _value(each, kind_of) if each.get(_TYPE) else each.text or ""


def _reference(element: ET.Element, kind_of: Callable[[str], str]) -> Ref:
    kind = kind_of(element.get("type", "").rpartition(":")[2])
    if not kind.startswith("vim."):
        raise Unknown
    return Ref(kind, element.text or "")


def _boolean(text: str) -> bool:
    return text.lower() in _TRUE


_READERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "boolean": _boolean,
    **dict.fromkeys(("byte", "short", "int", "long"), int),
    **dict.fromkeys(("float", "double"), float),
    "dateTime": datetime.fromisoformat,
    "base64Binary": base64.b64decode,
}


def quick_stub(soap: Any, types: Any) -> Any:
    """A stub of pyvmomi's that reads answers to property reads here. `soap`, `types`: its modules SoapAdapter and VmomiSupport."""
    known: dict[str, str] = {}

    def kind_of(name: str) -> str:
        if name not in known:
            try:
                found = types.GetWsdlType(types.XMLNS_VMODL_BASE, name)
            except KeyError:
                raise Unknown from None
            is_managed, is_enum = issubclass(found, types.ManagedObject), issubclass(found, types.Enum)
            known[name] = found.__name__ if is_managed else "enum" if is_enum else ""
        return known[name]

    class QuickStub(soap.SoapStubAdapter):  # type: ignore[misc]  # pyvmomi has no types
        """As its parent, but for READS."""

        def InvokeMethod(self, mo: Any, info: Any, args: Any, outerStub: Any = None) -> Any:  # noqa: N802, N803  # pyvmomi's names
            if info.wsdlName not in READS:
                return super().InvokeMethod(mo, info, args, outerStub)
            status, body = self._post(self.SerializeRequest(mo, info, args))
            if status == OK:
                try:
                    return page_of(body, kind_of)
                except Unknown:
                    pass
            answer = soap.SoapResponseDeserializer(self).Deserialize(io.BytesIO(body), info.result)
            if status == OK:
                return answer
            raise answer

        def _post(self, request: bytes) -> tuple[int, bytes]:
            """Status and body; a connection that broke is not used again."""
            headers = {"Cookie": self.cookie, "SOAPAction": self.versionId, "Content-Type": "text/xml; charset=UTF-8"}
            connection = self.GetConnection()
            try:
                connection.request("POST", self.path, request, headers)
                response = connection.getresponse()
                body = response.read()
            except BaseException:
                connection.close()
                self.DropConnections()
                raise
            self.ReturnConnection(connection)
            if response.status not in (OK, FAULT):
                raise HTTPException(f"{response.status} {response.reason}")
            return response.status, body

    return QuickStub
