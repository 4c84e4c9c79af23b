# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate that is a URL: any 2xx passes.

A redirect does not, and is not followed: the login page it may lead to answers 200.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from http.client import HTTPException, HTTPResponse
from typing import cast
from urllib.parse import quote
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Question
from ansible_collections.immutable.fleet.plugins.module_utils.model.user_data import render
from ansible_collections.immutable.fleet.plugins.module_utils.probes.answer import last_line

BODY_BYTES = 2048
SPEAKING = ("text/plain", "application/json", "application/problem+json")  # what a person can read in one line
OK, REDIRECT = 200, 300


class HttpProbe:
    """Gets `url`, its placeholders filled. Proxies and certificates are those of the environment."""

    def __init__(self, url: str, timeout: timedelta, redact: Callable[[str], str]) -> None:
        self._url, self._timeout, self._redact = url, timeout, redact
        self._opener = OpenerDirector()  # without what follows redirects and what raises for 404
        for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
            self._opener.add_handler(handler)

    def ask(self, question: Question) -> tuple[bool, str]:
        """See ports.Probe."""
        url = render(self._url, {name: quote(value, safe="") for name, value in question.values().items()})
        shown = self._redact(url.partition("?")[0])  # a query may hold a token
        try:
            request = Request(url, headers={"User-Agent": "immutable.fleet", "Accept": "*/*"})  # noqa: S310  # parse lets http(s) through
            opened = self._opener.open(request, timeout=self._timeout.total_seconds())
            if opened is None:
                return False, f"{shown} cannot be called"
            with cast("HTTPResponse", opened) as response:
                said = self._said(response)
                status, reason = response.status, response.reason
        except (OSError, HTTPException, ValueError) as error:
            return False, f"{shown} does not answer: {last_line(str(error).encode(), self._redact)}"
        answered = f"{shown} answered {status} {self._redact(reason or '')}".rstrip()
        return OK <= status < REDIRECT, answered + (f": {said}" if said else "")

    def _said(self, response: HTTPResponse) -> str:
        """The end of a short text; a page is not for a line of a log."""
        kind = (response.headers.get_content_type() or "").lower()
        return last_line(response.read(BODY_BYTES), self._redact) if kind in SPEAKING else ""
