# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators steer a pool with node_pool_control: between runs, and from another terminal while a run goes on."""

from __future__ import annotations

from typing import Any

from ansible_collections.immutable.fleet.tests.playbooks.conftest import Site

SHORT = {"startup_timeout": "5m"}


def control(site: Site, state: str, *, register: str = "", failing: bool = False, **options: Any) -> dict[str, Any]:
    """A task that steers the pool "web"."""
    where = {"name": "web", "state": state, "simulated": {"world": str(site.world)}}
    return site.task("node_pool_control", {**where, **options}, register=register, failing=failing)


def test_a_pause_holds_over_runs_until_it_is_resumed(site: Site) -> None:
    """A paused pool is no failure: the run says what it left, and why. Twice the same wish changes nothing."""
    run = site.run(
        [
            site.make_world(),
            site.pool("v1", register="made"),
            control(site, "paused", register="paused"),
            control(site, "paused", register="paused_again"),
            site.pool("v2", register="held"),
            control(site, "resumed", register="resumed"),
            site.pool("v2", register="rolled"),
        ]
    )
    assert run.code == 0, run.text
    changed = {name: run[name]["changed"] for name in ("paused", "paused_again", "held", "resumed", "rolled")}
    assert changed == {"paused": True, "paused_again": False, "held": False, "resumed": True, "rolled": True}
    assert "3 machines are not as asked for; to go on: ansible localhost " in run["held"]["pending"]
    assert "[WARNING]: pool web is not as asked for: paused by " in run.text.replace("\n", " ")
    assert "pending" not in run["rolled"]


def test_a_plan_under_a_pause_says_so(site: Site) -> None:
    """In its last line, in its answer, and in its report."""
    site.run([site.make_world(), site.pool("v1"), control(site, "paused")])
    report = site.folder / "report.html"
    plan = site.run([site.pool("v2", register="plan", report_file=str(report))], "--check")
    assert "end: the plan ends here, pending: paused by " in plan.text
    assert ">pending</dt><dd>paused by " in report.read_text()
    held = site.run([site.pool("v2", register="held", report_file=str(report))])
    assert [wait["code"] for wait in held["held"]["waits"]] == ["paused"]
    assert held["held"]["blockers"] == []
    assert ">pending</span>" in report.read_text()


def test_a_rollback_stays_rolled_back_until_the_variables_change(site: Site) -> None:
    """The scheduled run asks for v2 again and again, and the pool stays on v1; another image supersedes the rollback."""
    run = site.run(
        [
            site.make_world(),
            site.pool("v1", register="first"),
            site.pool("v2", register="second"),
            control(site, "rolled_back", register="back"),
            site.pool("v2", register="rolled_back"),
            site.pool("v2", register="scheduled"),
            site.pool("v1", register="superseded"),
        ]
    )
    assert run.code == 0, run.text
    ids = {name: run[name]["revision"]["id"] for name in ("first", "second", "rolled_back", "scheduled", "superseded")}
    assert ids["rolled_back"] == ids["scheduled"] == ids["superseded"] == ids["first"] != ids["second"]
    assert [run[name]["changed"] for name in ("rolled_back", "scheduled", "superseded")] == [True, False, False]


def test_a_bad_image_costs_one_machine_and_is_not_tried_again(site: Site) -> None:
    """The message names the image, the machine and both commands, and the command to go back works."""
    how = {**SHORT, "steps": [1, "50%"], "max_surge": 2}
    run = site.run(
        [
            site.make_world(),
            site.pool("v1", replicas=6),
            site.pool("bad", register="refused", failing=True, replicas=6, strategy=how),
            site.pool("bad", register="scheduled", failing=True, replicas=6, strategy=how),
            control(site, "rolled_back"),
            site.pool("bad", register="back", replicas=6, strategy=how),
        ]
    )
    refused, again = run["refused"], run["scheduled"]
    assert (refused["failed"], refused["summary"]["created"], len(refused["machines"])) == (True, 1, 6)
    failure = refused["failure"]
    assert failure["code"] == "refused"
    assert "image bad" in failure["what"]
    assert "machine web-" in failure["what"]
    assert "state=resumed" in failure["forward"]
    assert "to image v1" in failure["back"]
    assert (again["failed"], again["changed"]) == (True, False)
    back = run["back"]["summary"]
    assert (back["created"], back["deleted"], len(run["back"]["machines"])) == (0, 0, 6)


def test_the_commands_that_a_failure_names_can_be_pasted(site: Site) -> None:
    """As they stand, with the pool's own world and not some cluster of the terminal's."""
    site.run([site.make_world(), site.pool("v1")])
    failed = site.run([site.pool("bad", register="refused", failing=True, strategy=SHORT)])["refused"]["failure"]
    for line in (failed["forward"], failed["back"]):
        command = line[line.index("ansible localhost") :]
        assert "CHANGED" in site.paste(command), command
    done = site.run([site.pool("bad", register="back", strategy=SHORT)])
    info = site.task("node_pool_info", {"name": "web", "simulated": {"world": str(site.world)}}, register="info")
    record = site.run([info])["info"]["record"]
    assert (done["back"]["summary"]["created"], done["back"]["revision"]["fields"]["image"]) == (0, record["current"]["digest"])


def test_a_wish_can_be_taken_back_and_a_second_one_changes_nothing(site: Site) -> None:
    """Also where all that is different since is that another one is over."""
    made = site.run([site.make_world(), site.pool("v1", register="made")])
    first, second = (machine["name"] for machine in made["made"]["machines"][:2])
    run = site.run(
        [
            control(site, "replaced", register="replaced", machine=first),
            control(site, "replaced", register="not_replaced", machine=first, lasts="0"),
            site.pool("v1", register="kept"),
            control(site, "paused"),
            control(site, "protected", machine=second, lasts="1m"),
            site.change_world(skip="2m"),
            control(site, "paused", register="again"),
        ]
    )
    assert run.code == 0, run.text
    assert {name: run[name]["changed"] for name in run.results} == {"replaced": True, "not_replaced": True, "kept": False, "again": False}
    assert (run["not_replaced"]["steering"], run["again"]["changes"]) == ({}, [])


def test_a_module_without_live_lines_works_in_the_background_too(site: Site) -> None:
    """`async`, which keeps its own place after the task has returned"""
    asked = site.task("node_pool_info", {"name": "web", "simulated": {"world": str(site.world)}}, register="info")
    run = site.run([site.make_world(), site.pool("v1"), {**asked, "async": 60, "poll": 1}])
    assert run.code == 0, run.text
    assert (bool(run["info"]["finished"]), len(run["info"]["machines"])) == (True, 3)


def test_an_abort_from_another_terminal_ends_a_run(site: Site) -> None:
    """The run sees it, says who asked, gives back what it had chosen, and ends; the pool serves."""
    site.run([site.make_world(speed=20), site.pool("v1", replicas=6)])
    rolling = site.start([site.pool("v2", replicas=6)])
    try:
        lines = iter(rolling.stdout or ())
        seen = next(line for line in lines if " drain " in line)
        said = site.run([control(site, "aborted", register="aborted")])
        assert said.code == 0, said.text
        text = seen + "".join(lines)
    finally:
        rolling.kill()
        rolling.communicate()
    assert "asked: abort by " in text
    assert "state=resumed" in text
    found = site.run([site.task("node_pool_info", {"name": "web", "simulated": {"world": str(site.world)}}, register="info")])
    assert found["info"]["lock"]["holder"] == ""


def test_wrong_wishes_are_refused_with_their_path(site: Site) -> None:
    """Before anything is touched."""
    made = site.run([site.make_world(), site.pool("v1", register="made")])
    name = made["made"]["machines"][0]["name"]
    run = site.run(
        [
            control(site, "paused", register="no_pool", failing=True, name="wbe"),
            control(site, "paused", register="whole", failing=True, machine=name),
            control(site, "replaced", register="typo", failing=True, machine=f"{name[:-1]}-"),
            control(site, "replaced", register="gone", failing=True, machine="web-9-aaaaa"),
            control(site, "protected", register="foreign", failing=True, machine="api-0-aaaaa"),
            control(site, "paused", register="image", failing=True, image="v2"),
            control(site, "rolled_back", register="unknown", failing=True),
        ]
    )
    wrong = {
        "no_pool": "name",
        "whole": "machine",
        "typo": "machine",
        "gone": "machine",
        "foreign": "machine",
        "image": "image",
        "unknown": "pool web",
    }
    assert {name: run[name]["failure"]["where"] for name in wrong} == wrong
    assert run["no_pool"]["failure"]["what"].endswith("expected one of web")
    assert "state=retargeted image=NAME" in run["unknown"]["failure"]["forward"]
