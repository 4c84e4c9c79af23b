# SPDX-License-Identifier: GPL-3.0-or-later
"""Builders on a real OpenStack: opened, captured, gone; and what is left of a build that was killed.

Nova, Neutron and Glance are real, the guests are not: the lab's hypervisor uploads a text for a disk, with the server's ID.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE, IMAGE, NETWORK, every
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import builders_of
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import wait
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.playbook import Outcome, Playbooks, Running

pytestmark = [pytest.mark.lab, pytest.mark.story, pytest.mark.openstack, pytest.mark.filterwarnings(r"ignore:::openstack\..*")]

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC0x8c9pQ0mC4b1Jv3C0f0G8mW2k1zq7n5wq4o0h9x7e bakery"


class Bakery:
    """An image of a name that nobody else uses, and its builders."""

    def __init__(self, folder: Path) -> None:
        self.image = f"sys.{secrets.token_hex(3)}"
        self.books, self.file = Playbooks(folder), folder / "disk"
        self.client = openstack_lab.client()

    def options(self, state: str, **more: Any) -> dict[str, Any]:
        given = {"public_key": KEY} if state == "opened" else {}
        return {"name": self.image, "state": state, "openstack": openstack_lab.TEMPLATE, **given, **more}

    def bring(self, state: str, *flags: str, fails: bool = False, **more: Any) -> Outcome:
        return self.books.run("golden_image_builder", self.options(state, **more), *flags, fails=fails)

    def start(self, state: str, **more: Any) -> Running:
        return self.books.start("golden_image_builder", self.options(state, **more))

    def left(self) -> dict[str, list[str]]:
        """Names of all that is there of its builders."""
        mark = builders_of(self.image)
        servers = every(self.client, COMPUTE, "/servers/detail", "servers", (("name", f"^{mark}-"),))
        ports = every(self.client, NETWORK, "/ports", "ports", (("description", f"immutable.fleet.pool={mark}"),))
        images = every(self.client, IMAGE, "/images", "images", (("immutable.fleet.pool", mark),))
        found = {"servers": servers, "ports": ports, "images": images}
        return {kind: [thing["name"] for thing in things] for kind, things in found.items()}


NOTHING: dict[str, list[str]] = {"servers": [], "ports": [], "images": []}


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bakery]:
    with pytest.MonkeyPatch.context() as environment:
        openstack_lab.use_or_skip(environment)
        made = Bakery(tmp_path_factory.mktemp("builder"))
        yield made
        made.bring("absent")
        assert made.left() == NOTHING


def test_a_builder_is_opened_captured_and_gone(bakery: Bakery) -> None:
    """One machine with one port; off before its disk is copied; and its file is what the hypervisor had."""
    opened = bakery.bring("opened")
    builder = opened.result["builder"]
    assert (bakery.left(), len(opened.result["addresses"])) == ({"servers": [builder], "ports": [f"{builder}-0"], "images": []}, 1)

    captured = bakery.bring("captured", builder=builder, path=str(bakery.file))
    assert [step["step"] for step in captured.result["steps"]] == ["power off", "capture", "fetch"]
    assert bakery.file.read_bytes().startswith(f"lab snapshot of {opened.result['id']}".encode())

    ended = bakery.bring("absent", builder=builder)
    assert (ended.changed, bakery.left()) == (True, NOTHING)
    assert not bakery.bring("absent", builder=builder).changed


@pytest.mark.parametrize("moment", ["create", "capture"])
def test_what_a_killed_build_left_is_swept(bakery: Bakery, moment: str) -> None:
    """SIGKILL right after it said what it is about to do. A build minutes later leaves it alone; one after max_age begins with it."""
    if moment == "create":
        run = bakery.start("opened")
    else:
        builder = bakery.bring("opened").result["builder"]
        run = bakery.start("captured", builder=builder, path=str(bakery.file))
    assert run.until(moment, lambda event: event["kind"] == moment)
    run.kill_module()
    found, another = bakery.left(), f"{builders_of(bakery.image)}-0-other"
    bakery.bring("absent", builder=another)
    assert set(found["servers"]) <= set(bakery.left()["servers"])

    def is_swept() -> bool:
        """Once more where Nova was still at what the killed one had asked for."""
        bakery.bring("absent", builder=another, max_age="0s")
        return bakery.left() == NOTHING

    wait("nothing of it to be left", is_swept, 240)


def test_a_builder_that_cannot_be_made_leaves_nothing(bakery: Bakery) -> None:
    """It is named from before the first call, so that whoever cleans up knows it."""
    impossible = {**openstack_lab.TEMPLATE, "image": "no-such-image"}
    assert bakery.bring("opened", fails=True, openstack=impossible).failure["where"].startswith("openstack.image")
    assert bakery.left() == NOTHING


def test_check_mode_says_what_would_be_done_and_does_nothing(bakery: Bakery) -> None:
    """The loop itself over what is there, in virtual time."""
    planned = bakery.bring("opened", "--check")
    assert (planned.changed, [step["step"] for step in planned.result["steps"]]) == (True, ["create"])
    assert not bakery.bring("absent", "--check").changed
    assert bakery.left() == NOTHING
