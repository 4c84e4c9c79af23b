# SPDX-License-Identifier: GPL-3.0-or-later
"""A command in a message finds the pool where its task does, and tells no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry.reach import reach_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.reach import Reach

NOTHING_SAID = {"context": None, "host": None, "api_key": None, "kubeconfig": None, "validate_certs": None, "lock_namespace": "kube-system"}


def of_cluster(**given: Any) -> Reach:
    return reach_of({"kubernetes": {**NOTHING_SAID, **given}})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, Reach(), id="nothing is said: the current context"),
        pytest.param(
            {"context": "a", "lock_namespace": "fleet"}, Reach(options={"context": "a", "lock_namespace": "fleet"}), id="a context"
        ),
        pytest.param({"validate_certs": False}, Reach(options={"validate_certs": "false"}), id="a switch"),
        pytest.param({"kubeconfig": "/etc/kube.conf"}, Reach(options={"kubeconfig": "/etc/kube.conf"}), id="a file"),
        pytest.param({"kubeconfig": {"users": ["key"]}}, Reach(secrets=("K8S_AUTH_KUBECONFIG",)), id="a kubeconfig's content is secret"),
        pytest.param(
            {"host": "https://k", "api_key": "t0ken"}, Reach("kubernetes", {"host": "https://k"}, ("K8S_AUTH_API_KEY",)), id="a token"
        ),
        pytest.param({"proxy": "http://p:3128"}, Reach(options={"proxy": "http://p:3128"}), id="a proxy"),
        pytest.param({"proxy": "http://me:pw@p:3128"}, Reach(secrets=("K8S_AUTH_PROXY",)), id="a proxy with a password"),
        pytest.param({"ca_cert": "/ca", "ssl_ca_cert": "/ca"}, Reach(options={"ca_cert": "/ca"}), id="an alias is said once"),
    ],
)
def test_a_cluster(given: dict[str, Any], expected: Reach) -> None:
    """Only what the task says, and nothing that must not be read."""
    assert of_cluster(**given) == expected


def test_files_are_named_from_anywhere() -> None:
    """Another terminal is in another folder."""
    assert of_cluster(kubeconfig="~/kube").options == {"kubeconfig": str(Path("~/kube").expanduser())}
    assert reach_of({"simulated": {"world": "w.sqlite"}}) == Reach("simulated", {"world": str(Path("w.sqlite").absolute())})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"cloud": "production", "interface": "public", "image": "v1"}, Reach("openstack", {"cloud": "production"}), id="a cloud"
        ),
        pytest.param(
            {"cloud": "a", "region_name": "north", "interface": "internal", "validate_certs": False},
            Reach("openstack", {"cloud": "a", "region_name": "north", "interface": "internal", "validate_certs": "false"}),
            id="all about the way to it",
        ),
        pytest.param(
            {"auth": {"auth_url": "https://k", "username": "me", "password": "s3cret", "token": None}},
            Reach("openstack", {}, ("OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD")),
            id="credentials are variables",
        ),
    ],
)
def test_a_project_where_there_is_no_cluster(given: dict[str, Any], expected: Reach) -> None:
    """Plain machines have their lock in the cloud; what they are made of has no part in the command."""
    assert reach_of({"openstack": given}) == expected
    assert reach_of({"openstack": given, "kubernetes": {}}) == Reach()


def test_a_cluster_beside_a_simulated_cloud_has_the_lock() -> None:
    """As in wiring: the lock is where the nodes are."""
    assert reach_of({"simulated": {"world": "/w"}, "kubernetes": {"context": "a"}}) == Reach(options={"context": "a"})
