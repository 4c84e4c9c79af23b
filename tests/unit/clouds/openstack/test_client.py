# SPDX-License-Identifier: GPL-3.0-or-later
"""The transport where it needs no server: the rest is shown against the lab (tests/system/test_openstack_cloud.py)."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE, Client
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import LibraryMissing, Transient

# What the SDK does when it is imported is its own business: 1.0 asks for modules that newer Pythons would rather not have, and
# newer ones miss some of their own.
pytestmark = [pytest.mark.filterwarnings(rf"ignore::{kind}:openstack\.") for kind in ("DeprecationWarning", "PendingDeprecationWarning")]

NOW = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)


def client() -> Client:
    return Client({"cloud": "any"}, timedelta(seconds=20), lambda: NOW)


def test_a_missing_sdk_is_named_with_its_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked; the face turns it into Ansible's missing_required_lib."""
    monkeypatch.setitem(sys.modules, "openstack.config", None)
    monkeypatch.setitem(sys.modules, "openstack", None)
    with pytest.raises(LibraryMissing) as missing:
        client()
    assert missing.value.library == "openstacksdk>=1.0.0"


@pytest.mark.parametrize(
    ("date", "began", "skew"),
    [
        ("Sat, 21 Nov 2026 09:00:01 GMT", NOW, 0),
        ("Sat, 21 Nov 2026 09:01:00 GMT", NOW, 60),
        ("Sat, 21 Nov 2026 08:00:00 GMT", NOW, -3600),
        ("Sat, 21 Nov 2026 08:59:41 GMT", NOW - timedelta(seconds=20), 0),
        ("yesterday", NOW, 0),
        (None, NOW, 0),
    ],
    ids=["whole seconds", "ahead", "behind", "a slow answer explains it", "no date", "no header"],
)
def test_the_servers_clock_is_compared_with_ours(date: str | None, began: datetime, skew: int) -> None:
    """Only what neither the header's whole seconds nor the time under way explain counts."""
    transport = client()
    transport._compare_clocks(date, began)
    assert transport.skew == timedelta(seconds=skew)


def test_a_skew_that_was_found_stands_still() -> None:
    """A second more or less would make every machine look changed."""
    transport = client()
    seen = []
    for second in (0, 1, 59, 0):
        transport._compare_clocks(f"Sat, 21 Nov 2026 09:05:{second:02} GMT", NOW)
        seen.append(transport.skew.total_seconds())
    assert seen == [300, 300, 360, 300]


@pytest.fixture
def nobody() -> Iterator[str]:
    """The URL of a port that is bound, and where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"auth": {"auth_url": "URL", "username": "me", "password": "s3cret", "project_name": "p"}}, "openstack.auth.auth_url"),
        ({"cloud": "here"}, "openstack.cloud"),
        ({"cloud": "here", "auth": {"password": "s3cret"}}, "openstack.cloud"),
        ({"cloud": "here", "auth": {"auth_url": "URL"}}, "openstack.auth.auth_url"),
        ({}, "openstack.auth.auth_url"),
        ({"auth_type": "none", "auth": {"endpoint": "URL"}}, ""),
    ],
    ids=["auth", "cloud", "cloud and password", "cloud and auth_url", "environment", "Nova is silent, not Keystone"],
)
def test_an_identity_service_that_does_not_answer_is_named_by_its_option(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nobody: str, given: dict[str, Any], where: str
) -> None:
    """Whichever was given, OS_* counting as `auth`; what is silent behind it is no option's fault."""
    login = {"auth_url": nobody, "username": "me", "password": "s3cret", "project_name": "p", "user_domain_name": "Default"}
    login |= {"project_domain_name": "Default"}
    file = tmp_path / "clouds.yaml"
    file.write_text(json.dumps({"clouds": {"here": {"auth": login}} if "cloud" in given else {}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    if not given:
        for name, value in login.items():
            monkeypatch.setenv(f"OS_{name.upper()}", value)
    auth = {name: nobody if value == "URL" else value for name, value in given.get("auth", {}).items()}
    connection = {**given, **({"auth": auth} if auth else {})}
    with pytest.raises(Transient) as raised:
        Client(connection, timedelta(seconds=20), lambda: NOW).request("GET", COMPUTE, "/servers")
    assert raised.value.where == where
    assert "s3cret" not in str(raised.value)
