# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer of 400 and above means: which of our errors, in the service's own words.

Pure. The statuses overlap between services, hence the words: 403 is a quota in Nova and a policy everywhere, 409 a quota in
Neutron and a race everywhere, 413 a quota in Cinder and a rate limit in old Nova.
Sources: nova/api/openstack/compute/servers.py (create), neutron_lib/exceptions (OverQuota, IpAddressGenerationFailure),
cinder/exception.py (QuotaError).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    PortError,
    Throttled,
    Transient,
)

WORDS_MAX = 400  # of a service's message; schema errors go on for pages

_QUOTA_STATUSES = {HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
_SHORT = re.compile(r"quota|exceed|limit reached|too many|no more ip|not enough|insufficient", re.IGNORECASE)
_NEUTRON_SHORT = {"OverQuota", "IpAddressGenerationFailure", "IpAddressGenerationFailureNoMatchingSubnet", "NoNetworkAvailable"}
# Nova's schema errors quote the value that they refuse, which may be user data: "... attribute user_data. Value: <it>. <why>"
_QUOTED_VALUE = re.compile(r"Value:.*", re.DOTALL)
_MARKUP = re.compile(r"<(?:title|style)>.*?</(?:title|style)>|<[^>]+>", re.DOTALL)


def refusal(call: str, status: int, body: bytes, headers: Mapping[str, str]) -> PortError:
    """The error for the answer to `call` ("POST compute /servers"). `headers` finds names in any case."""
    kind, said = _words(body)
    number = headers.get("x-openstack-request-id") or headers.get("x-compute-request-id") or ""
    what = f"{said or 'no reason given'} [{status} to {call}{', ' + number if number else ''}]"
    # A read uses up nothing: where one is denied and its words have "quota" in them, that is what was asked for.
    is_short = not call.startswith("GET ") and (kind in _NEUTRON_SHORT or bool(_SHORT.search(said)))
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and not is_short):
        return Throttled(what=what, after=_retry_after(headers))
    if status in _QUOTA_STATUSES and is_short:
        return Exhausted(what=what)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Denied(what=what)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return NotFound(what=what)
    if status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
        return Conflict(what=what)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return Transient(what=what)
    return Invalid(what=what)


def _words(body: bytes) -> tuple[str, str]:
    """`(kind, message)` of `{"NeutronError": {"type", "message"}}`, `{"forbidden": {"message"}}`, `{"error": ...}`, or HTML.

    Octavia says `{"faultcode", "faultstring", "debuginfo"}`.
    """
    text = body.decode("utf-8", "replace")
    try:
        parsed: Any = json.loads(text)
    except ValueError:
        return "", _tidy(text)
    inner: Any = parsed
    if isinstance(parsed, dict) and len(parsed) == 1:
        inner = next(iter(parsed.values()))
    if isinstance(inner, dict):
        return str(inner.get("type", "")), _tidy(str(inner.get("message") or inner.get("faultstring") or ""))
    return "", _tidy(str(inner))


def _tidy(text: str) -> str:
    one_line = " ".join(_QUOTED_VALUE.sub("(its value is not shown)", _MARKUP.sub(" ", text)).split())
    return one_line if len(one_line) <= WORDS_MAX else one_line[:WORDS_MAX] + "..."


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    seconds = headers.get("retry-after") or ""
    return timedelta(seconds=int(seconds)) if seconds.isdigit() else None
