# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine joins, and pods start on it, while the views of a run are old."""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate
from ansible_collections.immutable.fleet.tests.simulation.witnesses import Witness

OLD_VIEWS = timedelta(seconds=40)  # less than max_staleness: decisions may rest on them


def test_FM05_what_joined_since_the_view_is_not_deleted_under_its_pods() -> None:
    """To the view it never joined, and is the first of the surplus to go; a direct look knows better, and it is drained."""
    estate = Estate()
    pool = estate.pool(2)
    witness = Witness(estate.world, pool)
    estate.watched = witness.around  # type: ignore[method-assign]
    estate.run(pool)
    estate.world.inject(Fault(kind="stale", target="cluster", age=OLD_VIEWS, lasts=timedelta(minutes=5)))
    estate.run(estate.pool(3), timeout=timedelta(seconds=25))
    estate.workload("cart", 9)
    estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=10))
    (young,) = [name for name in witness.vms() if name.startswith("web-2-")]
    assert witness.nodes()[young].pods
    result = estate.run(pool)
    assert result is not None
    assert (result.failure, witness.converged()) == (None, [])
    assert {step.machine for step in result.steps if step.verb == "choose"} == {young}
