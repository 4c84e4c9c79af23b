# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API server's refusals mean: an HTTP answer -> one of our errors. Pure.

Sources: apimachinery pkg/api/errors (which code carries which reason and causes), pkg/registry/core/pod/storage/eviction.go
(what an eviction answers), both of Kubernetes 1.36; the codes have been the same since policy/v1 exists (1.21).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    Invalid,
    NotFound,
    PortError,
    Throttled,
    Transient,
)

SAID_LENGTH_MAX = 500  # of the server's words in a message: an admission webhook may answer pages
NAMESPACE_ENDING_AFTER = timedelta(seconds=5)  # kubectl drain waits as long before it looks again

# eviction.go; there is no reason or cause to go by, and no other 500 of an eviction has this text
TWO_BUDGETS = "more than one PodDisruptionBudget"


class Expired(Transient):
    """410: the version that a watch or a page would go on from is no longer kept. List again."""


def error_of(status: int, headers: Mapping[str, str], body: bytes | str, where: str) -> PortError:
    """The error that says what this answer means; `where` names the object or option."""
    answer = _status_object(body)
    what = f"{_said(answer)} (HTTP {status})"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        if "NamespaceTerminating" in _causes(answer):  # nothing is created in it any more, evictions neither; its pods go anyway
            return Throttled(what=what, where=where, after=NAMESPACE_ENDING_AFTER)
        return Denied(what=what, where=where)
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(what=what, where=where)
    if status == HTTPStatus.CONFLICT:
        return Conflict(what=what, where=where)
    if status == HTTPStatus.GONE:
        return Expired(what=what, where=where)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        budget = _causes(answer).get("DisruptionBudget", "")
        return Throttled(what=budget or what, where=where, after=_retry_after(headers))
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.REQUEST_TIMEOUT:
        return Invalid(what=what, where=where)
    return Transient(what=what, where=where)


def _status_object(body: bytes | str) -> dict[str, Any]:
    """The answer's `Status`; an answer of something else (a proxy's page) becomes one with its text as message."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    return {"message": body.decode(errors="replace") if isinstance(body, bytes) else body}


def _said(answer: Mapping[str, Any]) -> str:
    said = str(answer.get("message") or answer.get("reason") or "no reason given")
    return said if len(said) <= SAID_LENGTH_MAX else said[:SAID_LENGTH_MAX] + " ..."


def _causes(answer: Mapping[str, Any]) -> dict[str, str]:
    """`{reason: message}`"""
    causes = (answer.get("details") or {}).get("causes") or []
    return {str(cause.get("reason", "")): str(cause.get("message", "")) for cause in causes}


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    seconds = headers.get("Retry-After") or ""
    return timedelta(seconds=int(seconds)) if seconds.isdigit() else None
