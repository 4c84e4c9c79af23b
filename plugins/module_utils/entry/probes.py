# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes of services as given in a task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.entry.gates import program
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import COMMAND, HTTP, HTTPS, TLS, ServiceProbe
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import duration

PORT_MAX = 65535
STATUS_MIN, STATUS_MAX = 100, 599
STATUS = re.compile(r"(\d{3})(?:-(\d{3}))?")
HOST = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?")
# What belongs to which kind; the rest belongs to all.
KINDS_OF = {
    "port": ("tcp", HTTP, HTTPS, TLS),
    "path": (HTTP, HTTPS),
    "status": (HTTP, HTTPS),
    "body": (HTTP, HTTPS),
    "host": (HTTP, HTTPS, TLS),
    "validate_certs": (HTTPS, TLS),
    "ca_cert": (HTTPS, TLS),
    "expires_in": (HTTPS, TLS),
    "command": (COMMAND,),
}

Params = Mapping[str, Any]


def probes_of(given: Sequence[Params], path: str = "health.probes") -> tuple[ServiceProbe, ...]:
    """All probes, checked as far as that is possible without asking anybody. Raises `Invalid` with the option's path."""
    return tuple(_probe(each, f"{path}[{index}]") for index, each in enumerate(given))


def _probe(given: Params, path: str) -> ServiceProbe:
    kind = given["type"]
    for name, kinds in KINDS_OF.items():
        if given[name] is not None and kind not in kinds:
            raise Invalid(what=f"is not for type {kind}; expected with {' or '.join(kinds)}", where=f"{path}.{name}")
    interval, timeout = _more_than_nothing(given["interval"], f"{path}.interval"), _more_than_nothing(given["timeout"], f"{path}.timeout")
    verifies = given["validate_certs"] is not False
    for name in ("expires_in", "ca_cert"):
        if given[name] is not None and not verifies:
            raise Invalid(what="needs a certificate that is looked at; expected validate_certs: true", where=f"{path}.{name}")
    return ServiceProbe(
        kind=kind,
        port=0 if kind == COMMAND else _number(given["port"], f"{path}.port", PORT_MAX),
        path=_path(given["path"], f"{path}.path"),
        host=_host(given["host"], f"{path}.host"),
        status=_statuses(given["status"], f"{path}.status"),
        body=given["body"] or "",
        verifies=verifies,
        ca_cert=_file(given["ca_cert"], f"{path}.ca_cert"),
        expires_in=_more_than_nothing(given["expires_in"], f"{path}.expires_in") if given["expires_in"] is not None else None,
        command=program(given["command"] or (), f"{path}.command") if kind == COMMAND else (),
        interval=interval,
        timeout=timeout,
        consecutive_ok=_number(given["consecutive_ok"], f"{path}.consecutive_ok"),
        consecutive_failed=_number(given["consecutive_failed"], f"{path}.consecutive_failed"),
    )


def _path(given: str | None, path: str) -> str:
    if given is not None and (not given.startswith("/") or any(letter.isspace() or not letter.isprintable() for letter in given)):
        raise Invalid(what=f"{given.partition('?')[0]!r} is no path; expected a form such as /health", where=path)
    if given is not None and not given.isascii():
        raise Invalid(what="has letters that a request line does not take; expected them written as %C3%A9", where=path)
    return given or "/"


def _host(given: str | None, path: str) -> str:
    if given is not None and not HOST.fullmatch(given):
        raise Invalid(what=f"{given!r} is no host name; expected a form such as shop.example", where=path)
    return given or ""


def _statuses(given: Sequence[str] | None, path: str) -> tuple[tuple[int, int], ...]:
    if given is None:
        return ((200, 299),)
    if not given:
        raise Invalid(what="the list is empty; expected such as 200 or 200-299", where=path)
    return tuple(_status(str(each), f"{path}[{index}]") for index, each in enumerate(given))


def _status(given: str, path: str) -> tuple[int, int]:
    found = STATUS.fullmatch(given)
    least = int(found[1]) if found else 0
    most = int(found[2]) if found and found[2] else least
    if not STATUS_MIN <= least <= most <= STATUS_MAX:
        raise Invalid(what=f"{given!r} is no HTTP status; expected such as 200 or 200-299", where=path)
    return least, most


def _file(given: str | None, path: str) -> str:
    if given is not None and not Path(given).is_file():
        raise Invalid(what=f"there is no file {given}; expected one with the certificates to trust", where=path)
    return given or ""


def _more_than_nothing(given: object, path: str) -> timedelta:
    span = duration(given, path)
    if not span:
        raise Invalid(what="0 leaves no time at all; expected more", where=path)
    return span


def _number(given: object, path: str, most: int | None = None) -> int:
    if given is None:
        raise Invalid(what="missing; expected a number", where=path)
    if not isinstance(given, int) or isinstance(given, bool) or given < 1 or (most is not None and given > most):
        raise Invalid(what=f"{given!r} is not possible; expected 1 {f'to {most}' if most is not None else 'or more'}", where=path)
    return given
