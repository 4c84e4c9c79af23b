# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to vCenter's Automation API: one session, made anew when it ended, and failures as our errors."""

from __future__ import annotations

import io
import json
import ssl
import urllib.error
import urllib.request
import urllib.response
from datetime import timedelta
from email.message import Message
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.automation import TRIES, Automation
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Invalid, NotFound, Transient
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import CONNECTION


class Opener:
    """Answers in their order: a value, an HTTP status, or an error to raise."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.sessions: list[str | None] = []

    def open(self, request: urllib.request.Request, timeout: float) -> io.BytesIO:
        self.asked.append(f"{request.get_method()} {request.full_url.removeprefix('https://vc.example.com:443')}")
        self.sessions.append(request.get_header("Vmware-api-session-id"))
        assert timeout == 20
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            raise urllib.error.HTTPError(request.full_url, answer, "refused", Message(), io.BytesIO(b'{"messages": []}'))
        return io.BytesIO(json.dumps(answer).encode())


class Elsewhere(urllib.request.BaseHandler):
    """A network in which every question is sent on to another host."""

    handler_order = 0

    def __init__(self) -> None:
        self.asked: list[str] = []

    def https_open(self, request: urllib.request.Request) -> Any:
        self.asked.append(request.full_url)
        headers = Message()
        headers["Location"] = "https://elsewhere.example.com/"
        answer = urllib.response.addinfourl(io.BytesIO(), headers, request.full_url, 302)
        answer.msg = "Found"  # type: ignore[attr-defined]  # as http.client names the reason
        return answer


def automation(*answers: Any) -> tuple[Automation, Opener]:
    made = Automation(parse_options(CONNECTION).connection, ssl.create_default_context(), timedelta(seconds=20))
    opener = Opener(*answers)
    made._opener = opener  # type: ignore[assignment]  # in the place of the network
    return made, opener


def test_all_questions_share_a_session_that_is_ended() -> None:
    asked, opener = automation("token", ["l-1"], {"type": "ovf"}, None)
    assert asked.ask("/api/content/library?action=find", {"name": "images"}) == ["l-1"]
    assert asked.ask("/api/content/library/item/i-1") == {"type": "ovf"}
    asked.close()
    asked.close()
    assert opener.asked == [
        "POST /api/session",
        "POST /api/content/library?action=find",
        "GET /api/content/library/item/i-1",
        "DELETE /api/session",
    ]
    assert opener.sessions == [None, "token", "token", "token"]


def test_a_session_that_ended_is_made_anew() -> None:
    asked, opener = automation("first", 401, "second", ["l-1"])
    assert asked.ask("/api/x") == ["l-1"]
    assert opener.sessions == [None, "first", None, "second"]


def test_a_wrong_password_is_denied_at_its_options_and_not_tried_again() -> None:
    asked, opener = automation(401)
    with pytest.raises(Denied) as refused:
        asked.ask("/api/x")
    assert (refused.value.where, opener.asked) == ("vsphere.username, vsphere.password", ["POST /api/session"])


def test_what_an_account_may_not_is_not_asked_again_and_its_session_is_ended() -> None:
    """A new session may no more, and the one that was forgotten would stay in vCenter's count until it is idle for long."""
    asked, opener = automation("token", 403, None)
    with pytest.raises(Denied):
        asked.ask("/api/x")
    asked.close()
    assert opener.asked == ["POST /api/session", "GET /api/x", "DELETE /api/session"]


def test_a_password_is_sent_to_nobody_else() -> None:
    asked = Automation(parse_options(CONNECTION).connection, ssl.create_default_context(), timedelta(seconds=20))
    network = Elsewhere()
    asked._opener.add_handler(network)
    with pytest.raises(Invalid, match=r"\(302\) \[POST /api/session\]"):
        asked.ask("/api/x")
    assert network.asked == ["https://vc.example.com:443/api/session"]


def test_what_broke_on_the_way_is_asked_again_and_not_for_ever() -> None:
    """It only reads."""
    asked, _opener = automation("token", ConnectionResetError(), 503, {"found": 1})
    assert asked.ask("/api/x") == {"found": 1}
    asked, opener = automation("token", *[ConnectionResetError()] * TRIES)
    with pytest.raises(Transient, match="no answer"):
        asked.ask("/api/x")
    assert len(opener.asked) == 1 + TRIES


@pytest.mark.parametrize(("status", "error"), [(400, Invalid), (404, NotFound)])
def test_a_refusal_is_told_with_its_status_and_call(status: int, error: type[Exception]) -> None:
    asked, _opener = automation("token", status)
    with pytest.raises(error, match=rf"\({status}\) \[GET /api/x\]"):
        asked.ask("/api/x")


def test_a_certificate_that_nobody_vouches_for_is_no_matter_of_trying_again() -> None:
    asked, opener = automation(urllib.error.URLError(ssl.SSLCertVerificationError("self-signed")))
    with pytest.raises(Invalid) as refused:
        asked.ask("/api/x")
    assert (refused.value.where, len(opener.asked)) == ("vsphere.ca_cert, vsphere.validate_certs", 1)
