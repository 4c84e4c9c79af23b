# SPDX-License-Identifier: GPL-3.0-or-later
"""How many more machines fit."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Resource, Room


@pytest.mark.parametrize(
    ("limit", "used", "each", "fits"),
    [
        pytest.param(10, 4, 2, 3, id="whole machines"),
        pytest.param(10, 5, 2, 2, id="the rest is too little for one"),
        pytest.param(10, 12, 1, 0, id="a limit lowered below what is used"),
        pytest.param(0, 0, 1, 0, id="a limit of 0 is none at all"),
    ],
)
def test_how_many_more_fit(limit: int, used: int, each: int, fits: int) -> None:
    assert Resource(name="cores", limit=limit, used=used, each=each, where="quota").fits == fits


def test_the_tightest_resource_decides() -> None:
    """And where nothing has an end nothing does."""
    cores = Resource(name="cores", limit=10, used=0, each=2, where="quota")
    ports = Resource(name="ports", limit=10, used=8, each=1, where="quota")
    assert Room(resources=(cores, ports)).fits == 2
    assert Room(resources=(cores, ports)).short_of(6) == (ports, cores)
    assert Room(unknown=("nobody knows",)).fits is None
