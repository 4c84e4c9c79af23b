# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of virtual machines that really boot, behind a real HAProxy: one is killed without warning, and replaced."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE
from ansible_collections.immutable.fleet.tests.labs.haproxy.server import Haproxy
from ansible_collections.immutable.fleet.tests.labs.qemu.install import is_built
from ansible_collections.immutable.fleet.tests.labs.qemu.machines import PATH, PORT, Machines
from ansible_collections.immutable.fleet.tests.labs.qemu.site import Site
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.estate import stop_group
from ansible_collections.immutable.fleet.tests.system.playbook import ROOT, Outcome, Playbooks

pytestmark = [*openstack_lab.MARKS, pytest.mark.story, pytest.mark.vms]

NAME = "boots"
REPLICAS = 3
VISITORS = 4
PAUSE_SECONDS = 0.25  # of each of them: all machines share this one's cores, and one has to boot meanwhile
PATIENCE_SECONDS = 120
Json = dict[str, Any]


class Shop:
    """The pool, its machines as Nova and QEMU see them, and its users' way in."""

    def __init__(self, folder: Path, balancer: Haproxy) -> None:
        self.playbooks, self.balancer = Playbooks(folder), balancer
        self.api = openstack_lab.client()
        self.machines = Machines(Site.from_environment())
        self.url = balancer.url("dynamic", PATH)

    def access(self, **options: Any) -> Json:
        member = {"socket": self.balancer.socket, "backend": "dynamic", "port": PORT, "server_options": "check inter 500ms"}
        return {"name": NAME, "openstack": {"cloud": "user"}, "balancer": {"haproxy": member}, **options}

    def present(self) -> Outcome:
        template = {"cloud": "user", "image": "tiny-v1", "flavor": "m1.tiny", "networks": [{"network": "loopback-net"}]}
        options = self.access(
            replicas=REPLICAS,
            openstack=template,
            health={"probes": [{"type": "http", "port": PORT, "path": PATH, "interval": "1s", "consecutive_ok": 2}]},
            strategy={"min_ready": "1s", "progress_deadline": "5m", "max_surge": REPLICAS},
            drain={"timeout": "10s"},
        )
        return self.playbooks.run("node_pool", options)

    def absent(self) -> None:
        self.playbooks.run("node_pool", self.access(state="absent"))

    def ask_machine(self, name: str) -> dict[str, str]:
        """Past the balancer."""
        ((address,),) = self.servers()[name]["addresses"].values()
        return self.machines.ask(address["addr"])

    def kill(self, name: str) -> None:
        """Its QEMU ends from one moment to the next."""
        self.machines.kill(self.servers()[name]["id"])

    def servers(self) -> dict[str, Json]:
        """By name."""
        query = [("name", f"^{NAME}-")]
        return {server["name"]: server for server in self.api.request("GET", COMPUTE, "/servers/detail", query=query)["servers"]}


class Visitors:
    """Users who ask one thing after the other until they leave: who answered, and how many were not answered."""

    def __init__(self, url: str) -> None:
        self.served: Counter[str] = Counter()
        self.failed: list[str] = []
        self._url, self._leave = url, threading.Event()
        self._threads = [threading.Thread(target=self._visit, daemon=True) for _visitor in range(VISITORS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._leave.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _visit(self) -> None:
        while not self._leave.wait(PAUSE_SECONDS):
            try:
                self.served[ask(self._url)["host"]] += 1
            except (OSError, HTTPException) as error:  # 502, no answer, half of one
                self.failed.append(repr(error))


def ask(url: str) -> dict[str, str]:
    """What the machine that answers says of itself."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        said: dict[str, str] = json.load(answer)
    return said


def until(what: str, test: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not test():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.2)


@contextmanager
def hypervisor(folder: Path) -> Iterator[None]:
    """Servers of the pool, and no others, really boot."""
    log = folder / "hypervisor.log"
    words = ["hypervisor", "--openstack", "admin", "--name", f"{NAME}-.*", "--interval", "0.5"]
    with log.open("w") as out:
        process = subprocess.Popen([sys.executable, str(ROOT / "tests/labs/lab"), *words], stdout=out, stderr=out, start_new_session=True)
        try:
            until(f"watching in {log}", lambda: "watching" in log.read_text())
            yield
        finally:
            stop_group(process)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    if not is_built(Site.from_environment()):
        pytest.skip("the lab of virtual machines is not installed: tests/labs/lab up qemu")
    folder = tmp_path_factory.mktemp("boots")
    with pytest.MonkeyPatch.context() as environment, tempfile.TemporaryDirectory() as short, Haproxy(Path(short)) as balancer:
        openstack_lab.use_or_skip(environment)
        with hypervisor(folder):
            made = Shop(folder, balancer)
            try:
                yield made
            finally:
                made.absent()


def test_machines_boot_and_share_the_requests(shop: Shop) -> None:
    """Each answers for itself, from the image that the pool names."""
    shop.present()
    with Visitors(shop.url) as visitors:
        until("all machines answer", lambda: len(visitors.served) == REPLICAS)
    assert set(visitors.served) == set(shop.servers())
    assert visitors.failed == []
    assert {shop.ask_machine(name)["image"] for name in shop.servers()} == {"v1"}


def test_one_that_is_killed_is_replaced_while_the_others_serve(shop: Shop) -> None:
    """Only requests that were under way on it fail: at most one of each visitor."""
    before = shop.servers()
    victim = min(before)
    with Visitors(shop.url) as visitors:
        until("all machines answer", lambda: len(visitors.served) == REPLICAS)
        shop.kill(victim)
        until("the cloud knows", lambda: shop.servers()[victim]["status"] == "SHUTOFF")
        outcome = shop.present()
        (new,) = set(shop.servers()) - set(before)
        until("its replacement answers", lambda: visitors.served[new])
    assert set(shop.servers()) == set(before) - {victim} | {new}
    assert {machine["phase"] for machine in outcome.result["machines"]} == {"available"}
    assert len(visitors.failed) <= VISITORS, visitors.failed
    print(f"{len(visitors.failed)} requests failed, {visitors.served.total()} were answered; replaced in {outcome.seconds:.1f} s")
