# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool whose machines boot from volumes: they come and go with their machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Json, Kube
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.estate import Estate, estate

pytestmark = openstack_lab.MARKS

REPLICAS = 2
OPTIONS = {"networks": [], "boot_volume": {"size": 1, "type": "fast"}}


@pytest.fixture
def pool(kube: Kube, tmp_path: Path) -> Iterator[Estate]:
    with pytest.MonkeyPatch.context() as environment:
        openstack_lab.use_or_skip(environment)
        with estate("volume", kube, tmp_path, openstack=OPTIONS) as made:
            yield made


def test_volumes_come_and_go_with_their_machines(pool: Estate) -> None:
    """One each, made from the image, of the type asked for; after a roll and at the end none is left over."""
    others = {volume["id"] for volume in pool.volumes()}
    for image in ("golden-v1", "golden-v2"):
        assert pool.present(image, replicas=REPLICAS).changed
        pool.assert_settled(REPLICAS, image)
        volumes = [volume for volume in pool.volumes() if volume["id"] not in others]
        assert [_what(volume) for volume in volumes] == [("in-use", 1, "fast", image)] * REPLICAS
        assert {volume["attachments"][0]["server_id"] for volume in volumes} == {server["id"] for server in pool.servers()}
        assert not pool.present(image, replicas=REPLICAS).changed
    assert pool.absent().changed
    pool.assert_settled(0, "golden-v2")
    assert {volume["id"] for volume in pool.volumes()} <= others


def _what(volume: Json) -> tuple[str, int, str, str]:
    return volume["status"], volume["size"], volume["volume_type"], volume["volume_image_metadata"]["image_name"]
