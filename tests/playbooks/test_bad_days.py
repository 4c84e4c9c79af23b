# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person is told when it does not go well: wrong options, blocked drains, locks, killed runs."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.tests.playbooks.conftest import Site

TIGHT = {"name": "cart", "namespace": "shop", "replicas": 3, "budget": {"min_available": 3}}

# options of the task, the path that the refusal has to name, and what it has to say
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"strategy": {"max_surge": 0, "max_unavailable": 0}}, "strategy.max_surge, strategy.max_unavailable", "expected one above 0"),
    ({"strategy": {"max_surge": "two"}}, "strategy.max_surge", "expected a number or a percentage"),
    ({"strategy": {"min_ready": "soon"}}, "strategy.min_ready", "expected seconds or a text such as 90s"),
    ({"replicas": 0}, "replicas", "allow_scale_to_zero"),
    ({"replicas": -3}, "replicas", "expected 0 or more"),
    ({"replicas": None}, "replicas", "expected the number of machines"),
    ({"simulated": None}, "openstack, vsphere, simulated", "expected exactly one of them"),
    ({"name": "Web!"}, "name", "expected up to 46"),
    ({"drain": {"timeout": "15 minutes"}}, "drain.timeout", "expected seconds"),
    ({"drain": {"grace_period": -1}}, "drain.grace_period", "expected 0 or more"),
    ({"lock_ttl": "30s"}, "call_timeout", "expected less than half"),
    ({"labels": {"immutable.fleet/pool": "x"}}, "labels.immutable.fleet/pool", "expected another key"),
    ({"failure_domains": ["az1", "az1"]}, "failure_domains", "expected each name once"),
    ({"user_data": "token=${bootstrap_tokn}"}, "user_data", "${bootstrap_token}"),
    ({"events_file": "/proc/none/events"}, "events_file", "cannot be written"),
    ({"simulated": {"world": "/nowhere/world.sqlite", "image": "v1"}}, "simulated.world", "no such world"),
    ({"simulated": {"world": "@world", "image": "v9"}}, "image", "v9"),
    ({"simulated": {"world": "@world"}}, "simulated.image", "expected the name of an image"),
]

# What Ansible itself refuses: it names the option in the message.
WRONG_BY_SPEC: list[tuple[dict[str, Any], str]] = [
    ({"replicas": "many"}, "replicas"),
    ({"replica": 3}, "replica"),
    ({"strategy": {"surge": 1}}, "strategy.surge"),
    ({"drain": {"on_timeout": "explode"}}, "on_timeout"),
    ({"taints": [{"key": "a", "effect": "Sometimes"}]}, "effect"),
    ({"openstack": {"cloud": "x"}}, "openstack|vsphere|simulated"),
]


def test_a_wrong_option_is_refused_before_anything_is_touched(site: Site) -> None:
    """With its path, what was expected, and how to go on; never with a traceback."""
    tasks = [site.make_world()]
    for number, (options, _where, _expected) in enumerate(WRONG):
        given = dict(options)
        if (given.get("simulated") or {}).get("world") == "@world":
            given["simulated"] = {**given["simulated"], "world": str(site.world)}
        tasks.append(site.pool(register=f"wrong_{number}", failing=True, **given))
    for number, (options, _said) in enumerate(WRONG_BY_SPEC):
        tasks.append(site.pool(register=f"spec_{number}", failing=True, **options))
    tasks.append({**site.change_world(), "register": "world"})
    run = site.run(tasks)
    for number, (options, where, expected) in enumerate(WRONG):
        result = run[f"wrong_{number}"]
        assert result["failed"], options
        assert where in result["failure"]["where"], (options, result["failure"])
        assert expected in result["failure"]["what"], (options, result["failure"])
        assert result["failure"]["forward"], options
    for number, (options, said) in enumerate(WRONG_BY_SPEC):
        assert run[f"spec_{number}"]["failed"], options
        assert said in run[f"spec_{number}"]["msg"], (options, run[f"spec_{number}"]["msg"])
    assert run["world"]["machines"] == []


def test_a_large_scale_down_is_refused(site: Site) -> None:
    """A typing error takes no more than half of a pool; who means it says so."""
    run = site.run(
        [
            site.make_world(),
            site.pool(replicas=5),
            site.pool(replicas=1, register="typo", failing=True),
            site.pool(replicas=1, register="meant", max_scale_down="100%"),
        ]
    )
    assert run["typo"]["changed"] is False
    assert run["typo"]["failure"]["what"] == "from 5 to 1 replicas takes 4 machines away; max_scale_down 50% allows 3"
    assert len(run["meant"]["machines"]) == 1


def test_FM01_a_budget_that_never_allows_is_named(site: Site) -> None:
    """The rollout goes on elsewhere; what is left names the budget, the pod and how to go on."""
    run = site.run(
        [
            site.make_world(workloads=[TIGHT]),
            site.pool("v1"),
            site.pool("v2", register="rolled", failing=True, drain={"timeout": "2m"}, strategy={"progress_deadline": "10m"}),
        ]
    )
    failure = run["rolled"]["failure"]
    assert failure["code"] in ("blocked", "stalled")
    assert "PDB shop/cart" in failure["what"]
    assert failure["forward"]
    assert "what:    " in run["rolled"]["msg"]
    assert any(blocker["code"] == "pdb" for blocker in run["rolled"]["blockers"]) or "BLOCKED" in run.text


def test_FM27_a_quota_that_cannot_hold_a_surge_is_refused_before_anything_is_touched(site: Site) -> None:
    """With what is short, whose limit it is, how far to raise it and the way without; a machine that leaves first makes room."""
    run = site.run(
        [
            site.make_world(quotas={"machines": 3}),
            site.pool("v1", replicas=4, register="too_large", failing=True),
            site.pool("v1"),
            {**site.change_world(), "register": "before"},
            site.pool("v2", register="refused", failing=True),
            {**site.change_world(), "register": "after"},
            site.pool("v2", register="rolled", strategy={"max_surge": 0, "max_unavailable": 1}),
        ]
    )
    assert run["too_large"]["failure"]["what"] == "no room for 4 machines, 3 fit: machines: 0 of 3 used, 4 more take 4"
    refused = run["refused"]
    assert refused["changed"] is False
    failure = {key: refused["failure"][key] for key in ("code", "what", "where", "forward", "back")}
    assert failure == {
        "code": "exhausted",
        "what": "no room for one more machine: machines: 3 of 3 used, one more takes 1",
        "where": "pool web, quotas of the simulated cloud",
        "forward": "set quotas.machines to 5, then run the same playbook again"
        "; or set strategy.max_unavailable to 1, so that a machine leaves first",
        "back": "nothing to take back: nothing was changed",
    }
    assert [machine["name"] for machine in run["after"]["machines"]] == [machine["name"] for machine in run["before"]["machines"]]
    assert all(node["schedulable"] for node in run["after"]["nodes"])
    assert run["rolled"]["summary"]["up_to_date"] == 3


def test_FM27_room_for_less_than_the_surge_is_told(site: Site) -> None:
    """The roll goes on, slower, and ends well; the result says what to raise."""
    run = site.run(
        [site.make_world(quotas={"machines": 4}), site.pool("v1"), site.pool("v2", register="rolled", strategy={"max_surge": 3})]
    )
    assert (run.code, run["rolled"]["summary"]["up_to_date"]) == (0, 3)
    (tight,) = run["rolled"]["blockers"]
    assert (tight["code"], tight["forward"]) == ("room", "set quotas.machines to 7")
    assert tight["what"].startswith("room for 1 of 4 more machines, so it goes slower than max_surge 3 allows")


def test_a_second_run_finds_the_lock(site: Site) -> None:
    """And says who holds it since when; nothing is changed by it."""
    assert site.run([site.make_world(durations={"create": 600, "ready": 600, "delete": 10})]).code == 0
    first = site.start([site.pool("v1")])
    try:
        wait_for(lambda: modules_of(site) != [] and has_lock(site), "the first run to take the lock")
        second = site.run([site.pool("v1", register="second", failing=True)])["second"]
        assert second["failure"]["code"] == "lock_held"
        assert re.search(r"\S+@\S+ pid \d+ \([0-9a-f]{4}\)", second["failure"]["what"])
        assert second["failure"]["since"].startswith("20")
        assert second["changed"] is False
    finally:
        end(first)


def interrupt(run: subprocess.Popen[str]) -> None:
    """Ctrl-C, as a terminal sends it, and again where it does not end: ansible-core does not always hand the first one on to its worker."""
    while run.poll() is None:
        os.killpg(run.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(5)


@pytest.mark.parametrize("end_it", [subprocess.Popen.kill, interrupt], ids=["SIGKILL", "Ctrl-C"])
def test_FM41_a_run_whose_ansible_playbook_died_stops_and_is_resumed(site: Site, end_it: Callable[[subprocess.Popen[str]], None]) -> None:
    """The module left behind stops by itself, gives the lock back, and the same task goes on, as the run said before it was ended."""
    assert site.run([site.make_world(speed=20), site.pool("v1")]).code == 0
    ended = site.start([site.pool("v2")])
    seen = told_until(ended, " create ")
    end_it(ended)
    seen += told_until(ended)
    assert "Ctrl-C stops it at a safe point; the same playbook goes on" in seen, seen
    assert "Traceback" not in seen
    wait_for(lambda: modules_of(site) == [], "the module to stop by itself")
    assert not has_lock(site)
    resumed = site.run(
        [site.pool("v2", register="resumed"), site.pool("v2", register="again"), {**site.change_world(), "register": "world"}]
    )
    assert resumed.code == 0, resumed.text
    assert len(resumed["world"]["machines"]) == 3
    assert (resumed["resumed"]["changed"], resumed["again"]["changed"]) == (True, False), seen
    assert {machine["image"] for machine in resumed["world"]["machines"]} == {"v2"}
    assert all(node["schedulable"] for node in resumed["world"]["nodes"])


def test_a_module_that_is_signalled_twice_ends_at_once_and_the_next_run_goes_on(site: Site) -> None:
    """As it happens to one that a wrapper runs: the lock is left behind, and runs out."""
    assert site.run([site.make_world(speed=20), site.pool("v1")]).code == 0
    rolling = site.start([site.pool("v2")])
    told_until(rolling, " create ")
    (module,) = modules_of(site)
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):  # both are there when it goes on
        os.kill(module, number)
    seen = told_until(rolling)
    assert "ended at once, on a second signal" in seen, seen
    assert "run the same task again: it goes on from what is there" in seen
    assert site.run([site.pool("v2", register="resumed")])["resumed"]["summary"]["up_to_date"] == 3


def test_lines_come_while_the_run_works(site: Site) -> None:
    """Not at its end: the first line is there long before the last machine is."""
    assert site.run([site.make_world(speed=20)]).code == 0
    seen: dict[str, float] = {}
    with site.start([site.pool("v1")]) as run:
        for line in run.stdout or ():
            for word in ("create", "end: done"):
                if word in line:
                    seen.setdefault(word, time.monotonic())
    assert run.returncode == 0
    assert seen["end: done"] - seen["create"] > 2.0, "90 s of the world at 20 times its speed"


def told_until(run: subprocess.Popen[str], word: str = "") -> str:
    """What a playbook says from here to the first line with `word`, or to its end."""
    lines = []
    for line in run.stdout or ():
        lines.append(line)
        if word and word in line:
            return "".join(lines)
    with run:  # it is at its end
        return "".join(lines)


def has_lock(site: Site) -> bool:
    """Whether somebody holds the pool, by the world file itself."""
    import sqlite3

    with sqlite3.connect(f"file:{site.world}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT value FROM rows WHERE kind = 'lease' AND value IS NOT NULL").fetchall()
    return any(re.search(r"pid \d+", row[0]) for row in rows)


def modules_of(site: Site) -> list[int]:
    """Processes that have the world file open: what ansible-playbook started, however it is called."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            files = [str(link.readlink()) for link in (process / "fd").iterdir()]
        except OSError:
            continue
        if str(site.world) in files:
            found.append(int(process.name))
    return found


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Poll: the tests have nothing that would wake them."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.1)


def end(run: subprocess.Popen[str]) -> None:
    """Kill a run and what it started: it leads a process group of its own; its module stops by itself."""
    run.kill()
    run.communicate()
