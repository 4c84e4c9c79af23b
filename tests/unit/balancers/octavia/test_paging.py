# SPDX-License-Identifier: GPL-3.0-or-later
"""Octavia's list of members in pages, as an operator may have made them small, and as a server may get them wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia.balancer import OctaviaBalancer
from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia.options import Options
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import NotFound, PortError, Transient
from ansible_collections.immutable.fleet.tests.unit.builders import NOW

MEMBERS = [
    {"id": f"m{number}", "name": "", "address": f"192.0.2.{number}", "protocol_port": 80, "weight": 1, "operating_status": "ONLINE"}
    for number in range(5)
]
MORE = [{"rel": "next", "href": "http://octavia.example/next"}]


@dataclass
class Pages:
    """A server with two members to a page. `ignores_marker`: each page is the first one; `loses_marker`: the second is refused."""

    ignores_marker: bool = False
    loses_marker: PortError | None = None
    asked: list[str] = field(default_factory=list)

    def request(
        self, _method: str, _service: str, path: str, *, query: Sequence[tuple[str, str]] = (), body: Mapping[str, Any] | None = None
    ) -> Any:
        del body
        if path == "/lbaas/pools":
            return {"pools": [{"id": "p1", "loadbalancers": [{"id": "lb1"}]}]}
        if not path.endswith("/members"):
            return {
                "loadbalancer": {"name": "shop", "provisioning_status": "ACTIVE"},
                "pool": {"name": "shop", "provisioning_status": "ACTIVE"},
            }
        marker = dict(query).get("marker", "")
        self.asked.append(marker)
        if marker and self.loses_marker is not None:
            raise self.loses_marker
        begin = 0 if self.ignores_marker else next((i + 1 for i, each in enumerate(MEMBERS) if each["id"] == marker), 0)
        page = MEMBERS[begin : begin + 2]
        return {"members": page, "members_links": MORE if begin + 2 < len(MEMBERS) else []}


def balancer(pages: Pages) -> OctaviaBalancer:
    return OctaviaBalancer("web", Options(pool="shop", port=80), transport=pages, now=lambda: NOW)


def test_all_pages_are_read() -> None:
    """Each after the last member of the one before."""
    pages = Pages()
    assert [member.id for member in balancer(pages).list_members().members] == ["m0", "m1", "m2", "m3", "m4"]
    assert pages.asked == ["", "m1", "m3"]


def test_a_list_that_never_ends_is_no_list() -> None:
    """A server that does not know the marker sends its first page for ever: told after the second one."""
    pages = Pages(ignores_marker=True)
    with pytest.raises(Transient, match="round in a circle"):
        balancer(pages).list_members()
    assert len(pages.asked) == 2


def test_a_marker_that_was_removed_meanwhile_is_no_lost_pool() -> None:
    """The next list will do."""
    with pytest.raises(Transient, match="changed while it was read"):
        balancer(Pages(loses_marker=NotFound(what="no such member"))).list_members()
