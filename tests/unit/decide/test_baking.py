# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stage comes next, and what a booted image has to show."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide import baking
from ansible_collections.immutable.fleet.plugins.module_utils.decide.baking import (
    EMULATE,
    HEALTH,
    SCAN,
    USER_DATA,
    BootPolicy,
    Guest,
    Verdict,
    judge,
)
from ansible_collections.immutable.fleet.tests.unit.builders import NOW


@pytest.mark.parametrize(
    ("order", "made", "stage"),
    [
        pytest.param(baking.MADE_HERE, [], "base", id="nothing is there"),
        pytest.param(baking.MADE_HERE, ["base"], "tree", id="the base was kept from another image"),
        pytest.param(baking.MADE_HERE, ["base", "tree", "hygiene"], "bill", id="killed behind the gate"),
        pytest.param(baking.MADE_HERE, ["base", "hygiene", "bill"], "tree", id="somebody took the tree away"),
        pytest.param(baking.MADE_HERE, ["base", "tree", "hygiene", "bill", "disk"], "boot", id="only the test is left"),
        pytest.param(baking.MADE_HERE, ["disk", "manifest"], "", id="finished, and cleared away"),
        pytest.param(baking.FROM_ELSEWHERE, [], "disk", id="an image from elsewhere"),
        pytest.param(baking.FROM_ELSEWHERE, ["disk"], "tree", id="which is looked into"),
    ],
)
def test_the_first_stage_whose_product_is_missing(order: tuple[str, ...], made: list[str], stage: str) -> None:
    """Where a bake was killed does not matter: the disk says what is left."""
    assert baking.next_stage(order, dict.fromkeys(made, True)) == stage


POLICY = BootPolicy(awaited=(USER_DATA, HEALTH), ports=frozenset({80}), ssh=False, limit=timedelta(minutes=2))
READY = frozenset({USER_DATA, HEALTH})


def guest(*, seen: frozenset[str] = READY, ports: set[int] | None = None, **more: bool) -> Guest:
    return Guest(began_at=NOW, seen=seen, ports=None if ports is None else frozenset(ports), **more)


@pytest.mark.parametrize(
    ("seen", "after", "verdict"),
    [
        pytest.param(guest(seen=frozenset()), 5, Verdict(look=USER_DATA), id="it boots"),
        pytest.param(guest(seen=frozenset(), uses_kvm=True, has_begun=False), 11, Verdict(look=EMULATE), id="KVM that does not work"),
        pytest.param(guest(seen=frozenset(), uses_kvm=True, has_begun=False), 9, Verdict(look=USER_DATA), id="a busy host"),
        pytest.param(guest(seen=frozenset(), has_begun=False), 21, Verdict(look=USER_DATA), id="an emulator takes its time"),
        pytest.param(guest(seen=frozenset({USER_DATA})), 5, Verdict(look=HEALTH), id="its service starts"),
        pytest.param(guest(), 5, Verdict(look=SCAN), id="it is healthy"),
        pytest.param(guest(), 121, Verdict(look=SCAN), id="the limit is for the boot, not for the look at the ports"),
        pytest.param(guest(), 720, Verdict(look=SCAN), id="a slow look at the ports"),
        pytest.param(
            guest(),
            721,
            Verdict(
                wrong="its ports were not seen 12m1s after it was started (boot.limit 2m, and 10m for its ports): "
                "it has to get an address by DHCP"
            ),
            id="no DHCP client",
        ),
        pytest.param(guest(ports={80}), 721, Verdict(), id="a look that ended late"),
        pytest.param(guest(ports={80}), 6, Verdict(), id="as declared"),
        pytest.param(guest(ports={80, 111}), 6, Verdict(wrong="port 111 listens and is not declared"), id="a port too many"),
        pytest.param(guest(ports=set()), 6, Verdict(wrong="port 80 is declared and does not listen"), id="a port that is closed"),
        pytest.param(guest(ports={22, 80}), 6, Verdict(wrong="port 22 listens, and SSH is to be off"), id="SSH"),
        pytest.param(
            guest(seen=frozenset({USER_DATA})),
            121,
            Verdict(wrong="not ready 2m1s after it was started (boot.limit 2m); not seen: it is healthy"),
            id="too slow",
        ),
        pytest.param(
            guest(seen=frozenset(), has_ended=True),
            3,
            Verdict(wrong="the machine ended 3s after it was started; not seen: its user data was applied; not seen: it is healthy"),
            id="it panicked",
        ),
        pytest.param(
            guest(has_ended=True), 3, Verdict(wrong="the machine ended 3s after it was started"), id="ended while it was looked at"
        ),
    ],
)
def test_what_a_booted_image_has_to_show(seen: Guest, after: int, verdict: Verdict) -> None:
    """One look at a time; ports only once it is healthy."""
    assert judge(seen, POLICY, NOW + timedelta(seconds=after)) == verdict
