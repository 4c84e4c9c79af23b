# SPDX-License-Identifier: GPL-3.0-or-later
"""What the record keeps of remediation, through its text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord, load_record
from ansible_collections.immutable.fleet.plugins.module_utils.model.remedies import Remedies, Remedy, Storm, Suspension, load_remedies
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, ago


@pytest.mark.parametrize(
    "known",
    [
        Remedies(),
        Remedies(
            slots={"3": Remedy("web-3-x7k2p", NOW, 2)}, first_seen={"web-4-aaaaa": {"Node": ago(60)}, "web-5-aaaaa": {"probes": ago(5)}}
        ),
        Remedies(slots={"3": Remedy("web-3-x7k2p", NOW, 2, ago(90))}, suspended=Suspension(NOW, "in vain", ago(90))),
        Remedies(storm=Storm(ago(60))),
        Remedies(storm=Storm(ago(60), NOW), suspended=Suspension(NOW, "slot 3 was replaced 3 times")),
    ],
    ids=["nothing", "machines", "once resumed", "a storm", "one that is over"],
)
def test_what_is_written_is_read(known: Remedies) -> None:
    """Beside the rest of the record."""
    text = PoolRecord(replicas=3, health=known.dump()).dump()
    assert load_remedies(load_record(text).health) == known


@pytest.mark.parametrize(
    "raw",
    [
        [],
        7,
        {"first_seen": 7},
        {"first_seen": {"m1": "long ago"}},
        {"slots": 7},
        {"slots": {"3": ["x"]}},
        {"storm": "long ago"},
        {"suspended": ["x", "y"]},
    ],
    ids=json.dumps,
)
def test_what_is_foreign_counts_as_absent(raw: Any) -> None:
    """Everything can be decided anew."""
    assert load_remedies(load_record(json.dumps({"health": raw})).health) == Remedies()
