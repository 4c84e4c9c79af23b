# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed at any moment of a rollout, and what the next one makes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube, wait
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.estate import Estate, estate
from ansible_collections.immutable.fleet.tests.system.playbook import Event, alive

pytestmark = openstack_lab.MARKS

REPLICAS, PODS = 3, 12
LOCK = {"lock_ttl": "10s", "call_timeout": "4s"}
IMAGES = ("golden-v2", "golden-v1")
OTHER_THAN = dict(zip(IMAGES, reversed(IMAGES), strict=True))
SECONDS_PER_KILL = 240  # until its moment comes; a wait for a dead holder's TTL is in it

UP = ("booting", "joining", "ready")  # whichever of them a list happens to show first

# What is seen in the event file, and how long after it the kill comes: (kind, what its text begins with, seconds).
MOMENTS: tuple[tuple[str, str | tuple[str, ...], float], ...] = (
    ("create", "", 0.0),
    ("create", "", 0.4),
    ("create", "", 1.5),
    ("phase", "building", 0.1),
    ("phase", UP, 0.0),
    ("phase", "ready", 0.0),
    ("label", "", 0.0),
    ("clear", "its machine has joined", 0.0),
    ("choose", "", 0.0),
    ("choose", "", 0.05),
    ("evict", "", 0.0),
    ("evict", "", 0.7),
    ("phase", "drained", 0.0),
    ("phase", "drained", 0.1),  # its node is being looked at directly, or the delete is on its way
    ("delete", "", 0.0),
    ("delete", "", 0.3),
    ("phase", "deleting", 0.5),
    ("gone", "", 0.0),
    ("delete node", "", 0.0),
    ("clear", "belongs to no machine", 0.0),
)


@pytest.fixture(scope="module")
def pool(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with pytest.MonkeyPatch.context() as environment:
        openstack_lab.use_or_skip(environment)
        with estate("kill", kube, tmp_path_factory.mktemp("kill"), **LOCK) as made:
            made.present(replicas=REPLICAS)
            with made.workload() as shop:
                shop.deployment("web", PODS, max_unavailable=3, spread=True, **made.placement())
                shop.wait_running()
                yield made


def test_FM41_killed_and_run_again(pool: Estate, kill: int, kills: int) -> None:
    """One chain: each run goes on from what the killed one left, and is killed in turn, at one moment after the other."""
    kind, text, seconds = MOMENTS[kill * len(MOMENTS) // kills % len(MOMENTS)]

    def has_come(event: Event) -> bool:
        is_news = kind != "phase" or text == "building" or event.get("before")
        return bool(is_news) and event["kind"] == kind and event["text"].startswith(text)

    for image in (_image_on_the_way(pool), *IMAGES, *IMAGES):
        run = pool.start(image, replicas=REPLICAS)
        if run.until(f"{kind} {text}", has_come, SECONDS_PER_KILL) is not None:
            time.sleep(seconds)  # part of the moment, not a wait for anything
            run.kill_module()
            return
        outcome = run.outcome()  # that rollout ended before the moment came: the next one
        assert outcome.code == 0, outcome.text
    raise AssertionError(f"no rollout with {kind} {text}: is that ever told?")


def test_FM41_after_all_kills_the_end_is_the_same(pool: Estate) -> None:
    """No machine too many, no port, volume or token left over, no node cordoned, the lock free; and nothing more to do."""
    image = _image_on_the_way(pool)
    pool.present(image, replicas=REPLICAS)
    pool.assert_settled(REPLICAS, image)
    assert [volume for volume in pool.volumes() if volume["status"] != "in-use"] == []
    assert not pool.present(image, replicas=REPLICAS).changed


def test_FM41_a_run_whose_ansible_playbook_was_killed_stops(pool: Estate) -> None:
    """The module notices by the lock on its stop file, gives the pool's lock back, and the same task goes on at once."""
    image = _image_on_the_way(pool)
    killed = pool.start(image, replicas=REPLICAS)
    assert killed.until("a machine to be made", lambda event: event["kind"] == "create")
    module = killed.module()
    killed.process.kill()
    killed.process.wait()
    wait("the module to stop by itself", lambda: not alive(module), 120)
    assert pool.holder() == ""
    assert pool.present(image, replicas=REPLICAS).changed
    pool.assert_settled(REPLICAS, image)


def _image_on_the_way(pool: Estate) -> str:
    """What the newest machine is made of; the other one where all are made of the same."""
    servers = sorted(pool.servers(), key=lambda server: str(server["created"]))
    newest = next(name for name in IMAGES if pool.image_id(name) == servers[-1]["image"]["id"])
    return OTHER_THAN[newest] if len({server["image"]["id"] for server in servers}) == 1 else newest
