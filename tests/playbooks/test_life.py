# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool's life as a playbook tells it: provisioned, left alone, rolled, scaled, looked at, removed."""

from __future__ import annotations

import json
import re

import pytest

from ansible_collections.immutable.fleet.tests.playbooks.conftest import Site

SHOP = {"name": "cart", "namespace": "shop", "replicas": 6, "budget": {"max_unavailable": 1}, "stop": "5s"}


@pytest.mark.smoke
def test_a_pool_lives_and_goes(site: Site) -> None:
    """Each task says whether it changed anything, and the machines are what was asked for."""
    info = {"name": "web", "simulated": {"world": str(site.world), "image": "v2"}}
    run = site.run(
        [
            site.make_world(workloads=[SHOP]),
            site.pool("v1", register="made", failure_domains=["az1", "az2"], labels={"tier": "web"}),
            site.pool("v1", register="again", failure_domains=["az1", "az2"], labels={"tier": "web"}),
            site.pool("v2", register="rolled", failure_domains=["az1", "az2"], strategy={"max_surge": 2}),
            site.pool("v2", register="grown", failure_domains=["az1", "az2"], replicas=5),
            site.pool("v2", register="shrunk", failure_domains=["az1", "az2"], replicas=3),
            site.task("node_pool_info", info, register="info"),
            site.pool("v2", register="removed", state="absent", drain={"timeout": "1m", "on_timeout": "force"}),
            site.pool("v2", register="removed_again", state="absent"),
        ]
    )
    assert run.code == 0, run.text
    changed = {name: result["changed"] for name, result in run.results.items()}
    assert changed == {
        "made": True,
        "again": False,
        "rolled": True,
        "grown": True,
        "shrunk": True,
        "info": False,
        "removed": True,
        "removed_again": False,
    }
    sizes = {name: len(result["machines"]) for name, result in run.results.items()}
    assert sizes == {
        "made": 3,
        "again": 3,
        "rolled": 3,
        "grown": 5,
        "shrunk": 3,
        "info": 3,
        "removed": 0,
        "removed_again": 0,
    }
    assert run["rolled"]["summary"]["created"] == run["rolled"]["summary"]["deleted"] == 3
    assert {machine["revision"] for machine in run["rolled"]["machines"]} == {run["rolled"]["revision"]["id"]}
    assert run["info"]["counts"] == {"available": 3}
    assert (run["info"]["drift"], run["info"]["orphans"], run["info"]["lock"]["holder"]) == ({}, [], "")
    assert len(str(run["rolled"])) < 5000, "results stay small"


def test_progress_is_shown_a_line_per_change(site: Site) -> None:
    """Names, what happened and why, within 80 columns."""
    run = site.run([site.make_world(), site.pool(register="made")])
    created = re.findall(r"^ +\w+  (web-\d-\w{5}) +create +\d exist < ceiling 4$", run.text, flags=re.MULTILINE)
    assert sorted(created) == sorted(machine["name"] for machine in run["made"]["machines"])
    assert re.search(r"^ +\S+  end: done$", run.text, flags=re.MULTILINE)
    live = [line for line in run.text.splitlines() if re.match(r" +\d+\w* ", line)]
    assert max(map(len, live)) <= 80


def test_several_pools_at_once_say_whose_line_it_is(site: Site) -> None:
    """Under forks and strategy free, each pool an inventory host with a name and a world of its own."""
    inventory = site.folder / "inventory"
    inventory.write_text("alpha ansible_connection=local\nbeta ansible_connection=local\n")
    world = str(site.folder / "{{ inventory_hostname }}.sqlite")
    make = site.make_world()
    make["immutable.fleet.simulated_world"]["world"] = world
    pool = site.pool(name="{{ inventory_hostname }}", simulated={"world": world, "image": "v1"})
    run = site.run([make, pool], "-i", str(inventory), hosts="all", strategy="free")
    assert run.code == 0, run.text
    for name in ("alpha", "beta"):
        assert len(re.findall(rf"^\[{name}\] +\S+  {name}-\d-\w{{5}} +create", run.text, flags=re.MULTILINE)) == 3


def test_two_pools_of_one_cluster_leave_each_other_alone(site: Site) -> None:
    """A node of another pool is not a leftover of ours."""
    run = site.run(
        [
            site.make_world(),
            site.pool(register="first", name="alpha"),
            site.pool(register="second", name="beta", replicas=1),
            site.pool(register="again", name="alpha"),
        ]
    )
    assert run.code == 0, run.text
    assert run["again"]["changed"] is False


def test_the_role_and_its_playbook_take_variables(site: Site) -> None:
    """For estates that only set variables."""
    inventory = site.folder / "inventory"
    inventory.write_text("web ansible_connection=local\n")
    assert site.run([site.make_world()]).code == 0
    variables = {
        "node_pool_name": "web",
        "node_pool_replicas": 2,
        "node_pool_simulated": {"world": str(site.world), "image": "v1"},
        "node_pool_labels": {"tier": "web"},
    }
    run = site.run_named("immutable.fleet.node_pool", "-i", str(inventory), variables=variables)
    assert run.code == 0, run.text
    assert "changed=1" in run.text
    wrong = site.run_named("immutable.fleet.node_pool", "-i", str(inventory), variables={**variables, "node_pool_state": "gone"})
    assert "value of node_pool_state must be one of: present, absent, got: gone" in wrong.text


def test_check_mode_returns_the_plan_and_changes_nothing(site: Site) -> None:
    """The very decisions of the run, in order and with reasons; the diff names the field; asked twice, nothing happened."""
    run = site.run(
        [
            site.make_world(workloads=[SHOP]),
            site.pool("v1", register="made"),
            {**site.pool("v1", register="same"), "check_mode": True},
            {**site.pool("v2", register="plan"), "check_mode": True, "diff": True},
            {**site.change_world(), "register": "world"},
            site.pool("v2", register="rolled"),
        ]
    )
    assert run.code == 0, run.text
    assert (run["same"]["changed"], run["same"]["plan"]) == (False, [])
    assert run["plan"]["changed"] is True
    verbs = [step["verb"] for step in run["plan"]["plan"]]
    assert [verbs.count(verb) for verb in ("create", "choose", "delete")] == [3, 3, 3]
    assert run["plan"]["plan"][0]["reason"] == "3 exist < ceiling 4"
    assert run["plan"]["machines"][0]["phase"] == "available"
    assert {machine["image"] for machine in run["world"]["machines"]} == {"v1"}
    assert re.search(r"^-image: sha512:\w+\.\.\.  \(3 machines\)$", run.text, flags=re.MULTILINE)
    assert re.search(r"^\+image: sha512:\w+\.\.\.  \(v2\)$", run.text, flags=re.MULTILINE)
    assert re.search(r"^ +0s  plan: nothing is changed; times are estimates$", run.text, flags=re.MULTILINE)


def test_check_mode_forecasts_from_the_machines_that_are_there(site: Site) -> None:
    """How long, from what it was learned, how far capacity falls, who is moved how often: returned, and told in lines."""
    run = site.run(
        [
            site.make_world(workloads=[SHOP]),
            site.pool("v1", register="made", failure_domains=["az1", "az2"], replicas=6),
            {**site.pool("v2", register="plan", failure_domains=["az1", "az2"], replicas=6), "check_mode": True},
            {**site.change_world(), "register": "world"},
        ]
    )
    assert run.code == 0, run.text
    forecast = run["plan"]["forecast"]
    assert (forecast["failures"], forecast["replays"] >= 1, forecast["p50_seconds"] > 0) == (0, True, True)
    assert forecast["durations"]["create"] == {"machines": 6, "median": "20s"}
    assert {kind for kind, source in forecast["durations"].items() if not source["machines"]} == {"empty", "delete"}
    assert forecast["capacity"].keys() == {"az1", "az2"}
    assert forecast["evictions"]["owners"] == 1
    assert {machine["image"] for machine in run["world"]["machines"]} == {"v1"}
    assert re.search(r"^ +\w+  plan: takes \w+ \(p50; .*\) by \d+ replays?$", run.text, flags=re.MULTILINE)
    assert re.search(r"^ +\w+  plan: fewest available: az1 \d of 3, az2 \d of 3$", run.text, flags=re.MULTILINE)
    assert len(str(forecast)) < 1500, "results stay small"


ELSEWHERE = '''
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: elsewhere
short_description: A host that does not share our files, as far as anybody can tell
description: The local connection under another name.
"""


class Connection(Local):
    transport = "elsewhere"
'''


def test_events_of_another_host_come_at_the_end(site: Site) -> None:
    """Where the module's files are not ours: one line says so, and the story is told afterwards."""
    plugins = site.folder / "connection_plugins"
    plugins.mkdir()
    (plugins / "elsewhere.py").write_text(ELSEWHERE)
    inventory = site.folder / "inventory"
    inventory.write_text("far ansible_connection=elsewhere\n")
    run = site.run([site.make_world(), site.pool(register="made")], "-i", str(inventory), hosts="all")
    assert run.code == 0, run.text
    said = run.text.index("[far] no live lines here; what happened is shown at the end")
    created = re.findall(r"^\[far\] +\S+  web-\d-\w{5} +create", run.text[said:], flags=re.MULTILINE)
    assert len(created) == len(run["made"]["machines"]) == 3
    assert "events_file" not in run["made"]


def test_an_event_file_that_the_user_names_is_kept(site: Site) -> None:
    """Every event of every run, for programs; docs/events.md has the schema."""
    events = site.folder / "events.jsonl"
    run = site.run([site.make_world(), site.pool(events_file=str(events), register="made"), site.pool(events_file=str(events))])
    assert run["made"]["events_file"] == str(events)
    kinds = [json.loads(line)["kind"] for line in events.read_text().splitlines()]
    assert (kinds.count("create"), kinds.count("end")) == (3, 2)
    assert run.text.count("  create ") == 3, "the second task shows no line of the first"
