# SPDX-License-Identifier: GPL-3.0-or-later
"""`node_health` and the role `remediate` in a real ansible-playbook."""

from __future__ import annotations

from typing import Any

from ansible_collections.immutable.fleet.tests.playbooks.conftest import Site
from ansible_collections.immutable.fleet.tests.playbooks.test_bad_days import end, has_lock, modules_of, wait_for

SLOW = 10  # of the world: a task that takes seconds takes less than a minute of it
SILENT = [{"kind": "vm_lost", "target": "web-1-*"}]


def check(site: Site, register: str, *, failing: bool = False, **options: Any) -> dict[str, Any]:
    """A task that looks after the pool "web"."""
    where = {"world": str(site.world), "image": "v1"}
    return site.task("node_health", {"name": "web", "replicas": 3, "simulated": where, **options}, register=register, failing=failing)


def names(result: dict[str, Any]) -> list[str]:
    return sorted(machine["name"] for machine in result["machines"])


def test_passes_of_a_job_that_comes_every_two_minutes(site: Site) -> None:
    """The first ones find it silent and leave it; one after five minutes replaces it; then there is nothing to do."""
    run = site.run(
        [
            site.make_world(speed=SLOW),
            site.pool(),
            check(site, "well"),
            site.change_world(faults=SILENT, skip="2m"),
            check(site, "first"),
            site.change_world(skip="6m"),
            check(site, "told", health={"remediate": False}),
            check(site, "plan") | {"check_mode": True},
            check(site, "third"),
            check(site, "last"),
        ]
    )
    assert run.code == 0
    assert [run[name]["changed"] for name in ("well", "first", "told", "plan", "third", "last")] == [False, False, False, True, True, False]
    (wait,) = run["first"]["waits"]
    assert (wait["code"], wait["what"]) == ("remediation", "Ready is Unknown: unhealthy after 5m")
    assert "Ready is Unknown" in run["first"]["pending"]
    assert [blocker["code"] for blocker in run["told"]["blockers"]] == ["unhealthy"]
    (replaced,) = run["third"]["replaced"]
    assert replaced["machine"].startswith("web-1-")
    assert replaced["reason"].startswith("unhealthy: Ready is Unknown for ")
    assert replaced["machine"] not in names(run["third"])
    assert (len(names(run["last"])), run["last"]["passes"]) == (3, 1)


def test_a_storm_fails_the_check_and_says_what_it_counted(site: Site) -> None:
    """And touches nothing."""
    run = site.run(
        [
            site.make_world(),
            site.pool(),
            site.change_world(faults=[{"kind": "vm_lost", "target": "web-[01]-*", "count": 2}], skip="8m"),
            check(site, "storm", failing=True),
        ]
    )
    assert run["storm"]["failed"]
    assert run["storm"]["failure"]["code"] == "blocked"
    assert "2 of 3 machines are not well (67%), max_unhealthy 34% allows 1" in run["storm"]["failure"]["what"]
    assert run["storm"]["replaced"] == []


def test_a_wrong_option_is_refused_with_its_path(site: Site) -> None:
    """Before anything is touched."""
    run = site.run(
        [
            site.make_world(),
            check(site, "count", failing=True, health={"max_unhealthy": "most"}),
            check(site, "every", failing=True, every="0"),
            check(site, "wait", failing=True, wait=False),
        ]
    )
    assert [run[name]["failure"]["where"] for name in ("count", "every", "wait")] == ["health.max_unhealthy", "every", "wait"]


def test_a_check_that_finds_a_run_at_work_does_not_fail(site: Site) -> None:
    """It says who looks after the pool meanwhile, and has changed nothing."""
    patient = {"startup_timeout": "10h", "progress_deadline": "10h"}
    assert site.run([site.make_world(durations={"create": 30_000, "ready": 600, "delete": 10})]).code == 0
    first = site.start([site.pool("v1", strategy=patient)])
    try:
        wait_for(lambda: modules_of(site) != [] and has_lock(site), "the first run to take the lock")
        run = site.run([check(site, "held", strategy=patient)])
    finally:
        end(first)
    assert (run.code, run["held"]["changed"], run["held"]["replaced"]) == (0, False, [])
    assert "another run holds the pool" in run["held"]["run"]["what"]


def test_a_check_with_another_pools_replicas_is_refused(site: Site) -> None:
    """A wrong number of replicas is no reason to take most of a pool away."""
    run = site.run(
        [
            site.make_world(),
            site.pool(replicas=4),
            check(site, "wrong", failing=True, replicas=1),
            check(site, "right", replicas=4),
        ]
    )
    assert run["wrong"]["failure"]["what"] == "from 4 to 1 replicas takes 3 machines away; max_scale_down 50% allows 2"
    assert "node_pool" in run["wrong"]["failure"]["forward"]
    assert (run["wrong"]["changed"], len(names(run["right"]))) == (False, 4)
