# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused of the options of a HAProxy, before anything is touched."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy.options import Options, parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

GIVEN: dict[str, Any] = {"socket": "/run/haproxy/admin.sock", "backend": "shop", "port": 8080}


@pytest.mark.parametrize(
    ("more", "where", "words"),
    [
        pytest.param({"socket": ""}, "socket", "no runtime socket", id="no socket"),
        pytest.param({"socket": "admin.sock"}, "socket", "no runtime socket", id="a relative path"),
        pytest.param({"socket": "lb1:0"}, "socket", "no runtime socket", id="no port"),
        pytest.param({"backend": ""}, "backend", "no name", id="no backend"),
        pytest.param({"backend": "shop;disable frontend web"}, "backend", "no name", id="a second command in a name"),
        pytest.param({"slots": "web shop"}, "slots", "no name", id="two words"),
        pytest.param({"port": None}, "port", "no port", id="no port of the machines"),
        pytest.param({"port": 70000}, "port", "1 to 65535", id="a port too high"),
        pytest.param({"weight": 0}, "weight", "1 to 256", id="a weight that takes no traffic"),
        pytest.param({"server_options": "check\ndel server shop/a"}, "server_options", "no list", id="a second line"),
        pytest.param({"server_options": "check;quit"}, "server_options", "no list", id="a second command"),
        pytest.param({"slots": "web", "server_options": "check"}, "server_options", "one of the two", id="options for slots"),
    ],
)
def test_refusals_name_the_option(more: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refusal:
        parse_options(GIVEN | more)
    assert refusal.value.where == f"balancer.haproxy.{where}"


@pytest.mark.parametrize("socket", ["/run/haproxy/admin.sock", "lb1.example.org:9999", "[2001:db8::1]:9999"])
def test_a_socket_is_a_path_or_a_host_with_a_port(socket: str) -> None:
    assert parse_options(GIVEN | {"socket": socket}) == Options(socket=socket, backend="shop", port=8080)
