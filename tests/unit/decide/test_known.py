# SPDX-License-Identifier: GPL-3.0-or-later
"""A wish is about a pool and a machine that are there."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.control import Wish
from ansible_collections.immutable.fleet.plugins.module_utils.decide.known import doubt
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked, Steering
from ansible_collections.immutable.fleet.tests.unit.builders import NOW

ANA = Asked("ana@laptop", NOW)
NODES = {"web-0-x7k2p": "web", "web-1-q9d1m": "web", "db-0-aaaaa": "db"}
NO = "pool web has no machine "
FREE, AT_WORK, NO_LOCK = LockFact(version="1"), LockFact(version="1", holder="deploy@runner"), LockFact()


def wish(state: str = "paused", machine: str = "", pool: str = "web") -> Wish:
    """Ana's."""
    return Wish(pool=pool, state=state, machine=machine, asked=ANA)


@pytest.mark.parametrize(
    ("seen", "asked", "expected"),
    [
        pytest.param(FREE, wish(), "", id="a pool with a lock"),
        pytest.param(NO_LOCK, wish(), "", id="a pool whose lock was deleted"),
        pytest.param(FREE, wish(pool="new"), "", id="a pool that has no machine now"),
        pytest.param(
            LockFact(token=1, holder="x"), wish(pool="new"), "", id="one whose first run makes it, and nobody asked anything of it"
        ),
        pytest.param(FREE, wish("replaced", "web-0-x7k2p"), "", id="a machine"),
        pytest.param(
            AT_WORK,
            wish("protected", "web-1-zzzzz"),
            "pool web has no node web-1-zzzzz now: this holds if it is a machine that has not joined yet",
            id="one that may be on its way",
        ),
        pytest.param(
            LockFact(version="1", steering=Steering(replace={"web-7-ggggg": ANA})),
            wish("replaced", "web-7-ggggg"),
            "",
            id="one that is gone, and was asked about: to take it back",
        ),
    ],
)
def test_what_is_there_can_be_steered(seen: LockFact, asked: Wish, expected: str) -> None:
    """With a warning where the cluster alone cannot tell."""
    assert doubt(seen, asked, NODES) == expected


@pytest.mark.parametrize(
    ("seen", "asked", "where", "what"),
    [
        pytest.param(
            NO_LOCK, wish(pool="wbe"), "name", "there is no pool wbe here: no lock, no machine; expected one of db, web", id="a pool"
        ),
        pytest.param(FREE, wish("replaced", "web-0-x7k2q"), "machine", NO + "web-0-x7k2q; did you mean web-0-x7k2p?", id="typo"),
        pytest.param(
            AT_WORK,
            wish("protected", "web-1-q9dm1"),
            "machine",
            NO + "web-1-q9dm1; did you mean web-1-q9d1m?",
            id="twist",
        ),
        pytest.param(
            FREE,
            wish("protected", "web-9-zzzzz"),
            "machine",
            NO + "web-9-zzzzz; expected one of web-0-x7k2p, web-1-q9d1m",
            id="nobody makes it",
        ),
        pytest.param(
            AT_WORK,
            wish("released", "web-9-zzzzz"),
            "machine",
            NO + "web-9-zzzzz; expected one of web-0-x7k2p, web-1-q9d1m",
            id="a quarantined machine has a node",
        ),
    ],
)
def test_what_is_not_there_is_refused(seen: LockFact, asked: Wish, where: str, what: str) -> None:
    """With what was expected."""
    with pytest.raises(Invalid) as refused:
        doubt(seen, asked, NODES)
    assert (refused.value.where, refused.value.what) == (where, what)


def test_nodes_with_names_of_their_own_cannot_be_compared() -> None:
    """A kubelet may call its node as it likes."""
    said = doubt(FREE, wish("protected", "web-9-zzzzz"), {"ip-10-0-0-1": "web"})
    assert said == "nodes of pool web are not called after their machines: whether it has a machine web-9-zzzzz is not known here"
