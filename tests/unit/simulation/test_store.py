# SPDX-License-Identifier: GPL-3.0-or-later
"""A world in a file: shared by processes, and never half-written."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Exhausted, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.describe import describe
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.furnish import world_from
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.store import StoreSession, create_world, open_world
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import POOL, new_machine

WAIT_SECONDS = 10.0  # bound of every wait here; what is waited for takes milliseconds
DESCRIPTION: dict[str, Any] = {
    "images": {"v1": {}},
    "nodes": ["n1", "n2"],
    "workloads": [
        {"name": "cart", "namespace": "shop", "replicas": 2, "budget": {"max_unavailable": 1}},
        {"name": "db", "kind": "StatefulSet", "replicas": 1, "volume": True},
    ],
    "durations": {"create": {"median": 20, "sigma": 0.3}},
}


def described(**more: Any) -> World:
    return world_from(describe({**DESCRIPTION, **more}), datetime.now(UTC))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "world")


@pytest.fixture
def sessions(path: str) -> Iterator[tuple[StoreSession, StoreSession]]:
    """The same world as two processes have it."""
    one = create_world(path, described())
    other = open_world(path)
    yield one, other
    one.close()
    other.close()


def everything(world: World) -> dict[str, Any]:
    """All rows, settings and counters."""
    state = world.state
    rows = {kind: dict(table) for kind, table in state.tables.items()}
    return rows | {"serial": state.serial, "chance": state.chance.state, "settings": state.settings, "profile": state.profile}


def test_two_processes_see_one_world(sessions: tuple[StoreSession, StoreSession]) -> None:
    """What one does, the other has before its next call; indexes included, so it can go on from there."""
    one, other = sessions
    SimulatedCloud(one, POOL, "v1").create(new_machine())
    SimulatedCloud(other, POOL, "v1").create(new_machine("web-1-bbbbb"))
    one.skip(timedelta(minutes=5))
    with other.world() as world:
        theirs = everything(world)
    with one.world() as world:
        assert everything(world) == theirs
        assert sorted(world.state.members) == ["n1", "n2", "web-0-aaaaa", "web-1-bbbbb"]
    cluster = SimulatedCluster(other, POOL)
    cluster.evict(cluster.view().nodes["n1"].pods[0], None)
    mine = SimulatedCluster(one, POOL).view()
    assert mine.budgets["shop/cart"].allowed == 0


def test_a_fresh_process_reads_exactly_what_was(path: str) -> None:
    one = create_world(path, described())
    with one.world() as world:
        world.inject(Fault(kind="vm_lost", target="web-0-*", delay=timedelta(hours=1)))
    SimulatedCloud(one, POOL, "v1").create(new_machine())
    one.skip(timedelta(minutes=2))
    with one.world() as world:
        before = everything(world)
    one.close()
    two = open_world(path)
    with two.world() as world:
        assert everything(world) == before
    two.close()


def test_an_answered_refusal_keeps_what_happened_meanwhile(sessions: tuple[StoreSession, StoreSession]) -> None:
    """A port's error is an answer: the events played before it stay played, and the fault stays used up."""
    one, other = sessions
    with one.world() as world:
        world.inject(Fault(kind="fail", target="create", error="Exhausted"))
    with pytest.raises(Exhausted):
        SimulatedCloud(other, POOL, "v1").create(new_machine())
    SimulatedCloud(one, POOL, "v1").create(new_machine())


def test_a_bug_takes_its_call_back(sessions: tuple[StoreSession, StoreSession]) -> None:
    """Any other exception leaves the file as it was, and the session usable."""
    one, other = sessions

    def bug() -> None:
        with one.world() as world:
            world.hypervisor.create(POOL, "v1", new_machine())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bug()
    for session in (other, one):
        with session.world() as world:
            assert (world.state.hosts, world.hypervisor.vms) == ({}, {})


def test_settings_alone_are_written(sessions: tuple[StoreSession, StoreSession]) -> None:
    one, other = sessions
    with one.world() as world:
        world.state.settings.machines_max = 3
    with other.world() as world:
        assert world.state.settings.machines_max == 3


def test_watchers_hear_of_other_processes_and_of_time(path: str) -> None:
    """A change elsewhere, and an event that becomes due with nobody calling, wake the watcher."""
    one = create_world(path, described(durations={"create": 5}), speed=50)
    other = open_world(path)
    heard = {"vms": threading.Event(), "cluster": threading.Event()}
    stop = one.watch(lambda kind: heard[kind].set())
    SimulatedCloud(other, POOL, "v1").create(new_machine())
    assert heard["vms"].wait(WAIT_SECONDS)
    heard["vms"].clear()
    assert heard["vms"].wait(WAIT_SECONDS)
    heard["cluster"].clear()
    assert heard["cluster"].wait(WAIT_SECONDS)
    stop()
    one.close()
    other.close()


def test_the_clock_runs_at_its_speed(path: str) -> None:
    session = create_world(path, described(), speed=1000)
    first, began = session.now(), time.monotonic()
    time.sleep(0.05)
    passed = (session.now() - first).total_seconds()
    assert 50 <= passed <= 1000 * (time.monotonic() - began) + 1
    again = open_world(path)
    assert again.speed == 1000
    again.close()
    session.close()


WRITER = """
import itertools, sys
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.store import open_world
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import POOL, new_machine
cloud = SimulatedCloud(open_world(sys.argv[1]), POOL, "v1")
for number in itertools.count():
    cloud.create(new_machine(f"web-{number}-aaaaa"))
    if number == 0:
        print("begun", flush=True)
"""


def test_killed_while_it_writes(path: str) -> None:
    """Kill -9 anywhere: the file holds whole calls only, each VM with its port, and the next process goes on."""
    create_world(path, described()).close()
    counts = []
    for _time in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, env=_environment())
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.05)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        session = open_world(path)
        with session.world() as world:
            counts.append((len(world.state.hosts), len(world.state.ports)))
        session.close()
    assert [machines for machines, _ports in counts] == [ports for _machines, ports in counts]
    assert counts[-1][0] > 0


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": "build/collections"}


def test_who_looks_late_reads_everything_anew(sessions: tuple[StoreSession, StoreSession], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tombstones are thrown away after a while; a process that has not seen them must not keep what is gone."""
    one, other = sessions
    store = "ansible_collections.immutable.fleet.plugins.module_utils.simulation.store"
    monkeypatch.setattr(f"{store}.TOMBSTONES_KEPT", 3)
    with other.world() as world:
        assert len(world.state.pods) == 3
    with one.world() as world:
        world.pods.terminate_all("n1", timedelta(0))
    for machines_max in range(20):
        with one.world() as world:
            world.state.settings.machines_max = machines_max
            mine = everything(world)
    with other.world() as world:
        assert everything(world) == mine


def test_no_world_and_no_world_file(path: str) -> None:
    with pytest.raises(Invalid, match="no such world file"):
        open_world(path)
    Path(path).write_text("not a database, but long enough to be looked at" * 10)
    with pytest.raises(Invalid, match="no world file"):
        open_world(path)
    with pytest.raises(Conflict):
        create_world(path, described())


def test_a_world_of_another_schema_is_refused(path: str) -> None:
    create_world(path, described()).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '0' WHERE name = 'schema'")
    connection.close()
    with pytest.raises(Invalid, match="another version"):
        open_world(path)
