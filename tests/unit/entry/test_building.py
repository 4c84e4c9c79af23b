# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of `golden_image_builder`; wrong ones are refused with their path, before a connection is looked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml

from ansible_collections.immutable.fleet.plugins.module_utils.decide.building import MAKE_ANOTHER, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Result
from ansible_collections.immutable.fleet.plugins.module_utils.entry import building
from ansible_collections.immutable.fleet.plugins.module_utils.entry.builder_specs import GOLDEN_IMAGE_BUILDER
from ansible_collections.immutable.fleet.plugins.module_utils.entry.cloud_specs import OPENSTACK
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import builders_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, Stopped
from ansible_collections.immutable.fleet.plugins.modules import golden_image_builder
from ansible_collections.immutable.fleet.tests.unit.entry.test_specs import documented

OPENSTACK_OPTIONS: dict[str, Any] = {"cloud": "user", "networks": [{"network": "builders"}], "boot_volume": None}
OPTIONS: dict[str, Any] = {
    "name": "web",
    "state": "opened",
    "builder": None,
    "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFQ bakery",
    "path": None,
    "max_age": "4h",
    "timeout": "30m",
    "openstack": OPENSTACK_OPTIONS,
}
BUILDER = f"{builders_of('web')}-0-x7k2p"


def test_options_and_documentation_are_twins() -> None:
    """What ansible-doc shows is what is accepted; those of OpenStack are a pool's."""
    options = yaml.safe_load(golden_image_builder.DOCUMENTATION)["options"]
    own = {name: option for name, option in GOLDEN_IMAGE_BUILDER.options.items() if name not in OPENSTACK.options}
    assert documented(options) == documented(own)
    assert list(options) == list(own)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="open one"),
        pytest.param({"public_key": "ecdsa-sha2-nistp256 AAAAE2VjZHNh==\n"}, id="a key as lookup reads it"),
        pytest.param({"openstack": {**OPENSTACK_OPTIONS, "networks": None}}, id="a network of Nova's choice"),
        pytest.param({"state": "absent", "builder": None}, id="away with all"),
        pytest.param({"state": "absent", "builder": BUILDER}, id="away with one"),
        pytest.param({"state": "absent", "builder": BUILDER, "max_age": "0s"}, id="away with those of others, whoever has them open"),
        pytest.param({"max_age": "30m"}, id="as old as a build may take"),
        pytest.param({"state": "captured", "builder": BUILDER, "path": "disk"}, id="a file here"),
    ],
)
def test_what_makes_sense(changed: dict[str, Any]) -> None:
    building.refuse_nonsense({**OPTIONS, **changed})


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        pytest.param({"name": "Web"}, "name", id="no name"),
        pytest.param({"openstack": None}, "openstack", id="no cloud"),
        pytest.param({"builder": "web-0-x7k2p"}, "builder", id="a pool's machine is no builder"),
        pytest.param({"builder": f"{builders_of('db')}-0-x7k2p"}, "builder", id="another image's builder"),
        pytest.param({"max_age": "soon"}, "max_age", id="no duration"),
        pytest.param({"max_age": "0s"}, "max_age", id="opening one would sweep what others build at this moment"),
        pytest.param({"max_age": "29m"}, "max_age", id="opening one would sweep what others have just built"),
        pytest.param({"state": "captured", "builder": BUILDER, "path": "disk", "max_age": "29m"}, "max_age", id="so would capturing one"),
        pytest.param({"timeout": "soon"}, "timeout", id="no time"),
        pytest.param({"public_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA"}, "public_key", id="a private key"),
        pytest.param({"public_key": "ssh-ed25519 AAAA\nssh-ed25519 BBBB"}, "public_key", id="two keys"),
        pytest.param({"openstack": {**OPENSTACK_OPTIONS, "boot_volume": {"size": 8}}}, "openstack.boot_volume", id="a volume"),
        pytest.param({"openstack": {**OPENSTACK_OPTIONS, "networks": []}}, "openstack.networks", id="no network"),
        pytest.param({"state": "captured", "builder": BUILDER, "path": "/nowhere/disk"}, "path", id="no folder"),
    ],
)
def test_what_is_refused(changed: dict[str, Any], where: str) -> None:
    with pytest.raises(Invalid) as refused:
        building.refuse_nonsense({**OPTIONS, **changed})
    assert refused.value.where == where


@pytest.mark.parametrize("name", ["web", "ubuntu-24.04", "a" * 63])
def test_an_images_builders_fit_a_tag(name: str) -> None:
    """Of Nova's, which has room for 39 characters of a pool's name; two images never share it."""
    assert len(builders_of(name)) <= 39
    assert builders_of(name) != builders_of(name.replace(".", "-") + "x")


@pytest.mark.parametrize(
    ("state", "builder", "expected"),
    [
        pytest.param("opened", BUILDER, (f"builder {BUILDER}", MAKE_ANOTHER), id="each task opens one of its own"),
        pytest.param("captured", BUILDER, (f"builder {BUILDER}", "run it again"), id="goes on from what is there"),
        pytest.param("absent", "", ("all builders of the image", "run it again"), id="as does a removal"),
    ],
)
def test_a_task_that_was_stopped_says_what_it_waited_for(state: str, builder: str, expected: tuple[str, str]) -> None:
    """And how to go on: a builder is no pool."""
    stopped = Stopped(what="the run's timeout of 30m has passed", where="pool bake-web", forward="run it again", back="roll back")
    result = Result(changed=True, duration=timedelta(0), turns=1, blockers=(Blocker(code="builder", what="the cloud builds it"),))
    wanted = Wanted(state=state, mark="bake-web", builder=builder, max_age=timedelta(hours=4))
    told = building._in_full(stopped, result, wanted)
    assert told.what == "the run's timeout of 30m has passed; the cloud builds it"
    assert ((told.where, told.forward), "absent" in told.back) == (expected, True)
