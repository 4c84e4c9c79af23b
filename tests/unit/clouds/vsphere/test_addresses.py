# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets which address."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.addresses import Addresses

FOUR = Addresses(given=("a", "b", "c", "d"), prefix_length=24)


@pytest.mark.parametrize(
    ("slot", "taken", "expected"),
    [
        pytest.param(0, "", "a", id="a slot has an address of its own"),
        pytest.param(1, "", "b", id="each another"),
        pytest.param(1, "b", "d", id="while its old machine holds it: one from the end, which spares those of other slots"),
        pytest.param(1, "bd", "c", id="the next from the end"),
        pytest.param(9, "", "d", id="a slot beyond the addresses"),
        pytest.param(1, "abcd", "", id="none left"),
    ],
)
def test_an_address_is_given_once(slot: int, taken: str, expected: str) -> None:
    assert FOUR.choose(slot, set(taken)) == expected
