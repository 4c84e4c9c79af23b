# SPDX-License-Identifier: GPL-3.0-or-later
"""The transport where it needs no server: the rest is shown against the lab (tests/system/test_openstack_cloud.py)."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import Client
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import LibraryMissing

# What the SDK does when it is imported is its own business: 1.0 asks for modules that newer Pythons would rather not have.
pytestmark = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:openstack\.")

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
