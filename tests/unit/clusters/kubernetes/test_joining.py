# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens, addresses, CA hashes."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes import joining
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.tests.unit.clusters.kubernetes.worlds import MADE, MADE_AT, RECORDED

# openssl x509 -pubkey -noout -in FILE | openssl pkey -pubin -outform der | openssl sha256
HASHES = {
    "rsa": "eea73e346c86cc13a5c7a89a2b98fb2ce414d626685bb4d6fa6fc04304485be7",
    "ec": "69cd1bdb3614ccaaf6ae53ffc33c8135d9beb19cc9b7bdecf9d6ea3927d00713",
    "ed": "fa7260447a7c02f0f2b8b8e96f63511acd0af48bc875e860f5555ff72fa224c4",
    "v1": "b098d349f15db97332dad3d1fe8088f930e1acc49284647cf2deb041436037b2",  # a certificate of version 1
}


def pem(kind: str) -> str:
    return (RECORDED / f"ca-{kind}.pem").read_text()


@pytest.mark.parametrize("kind", HASHES)
def test_ca_hash_is_that_of_openssl(kind: str) -> None:
    """Of the public key with its algorithm, whatever the algorithm."""
    assert joining.ca_hash(pem(kind)) == f"sha256:{HASHES[kind]}"


def test_ca_hash_is_of_the_first_of_a_bundle() -> None:
    """Text around certificates is allowed, as openssl writes it."""
    assert joining.ca_hash(f"Subject: kubernetes\n{pem('ec')}{pem('rsa')}") == f"sha256:{HASHES['ec']}"


HEADER, FOOTER = "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"


def wrapped(der: bytes) -> str:
    return HEADER + base64.encodebytes(der).decode() + FOOTER


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "no CA certificate", id="none"),
        pytest.param(HEADER, "no CA certificate", id="cut off"),
        pytest.param(f"{HEADER}!{FOOTER}", "not a certificate", id="no base64"),
        pytest.param(wrapped(b"\x30\x03\x02\x01\x00"), "not a certificate", id="another structure"),
        pytest.param(wrapped(b"\x30\x82"), "not a certificate", id="no length"),
        pytest.param(wrapped(b"\x30\x82\xff\xff\x30"), "not a certificate", id="too long a length"),
    ],
)
def test_what_is_no_certificate_is_refused(text: str, said: str) -> None:
    """A machine that joins must be able to check whom."""
    with pytest.raises(Invalid, match=said):
        joining.ca_hash(text)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://api.example.org:6443", "api.example.org:6443"),
        ("https://api.example.org", "api.example.org:443"),
        ("https://api.example.org:6443/prefix/", "api.example.org:6443"),
        ("https://[2001:db8::1]:6443", "[2001:db8::1]:6443"),
        ("api.example.org:6443", "api.example.org:6443"),
    ],
)
def test_host_and_port(url: str, said: str) -> None:
    """As `kubeadm join` takes it."""
    assert joining.host_and_port(url) == said


def test_token_ids_follow_from_the_machine() -> None:
    """A lost answer is found again; another attempt is another id; the alphabet is the token format's."""
    ids = [joining.token_id("web-1-abcde"), joining.token_id("web-1-abcde", 1), joining.token_id("web-2-abcde")]
    assert (len(set(ids)), joining.token_id("web-1-abcde")) == (3, ids[0])
    assert all(re.fullmatch(r"[a-z0-9]{6}", each) for each in ids)
    assert re.fullmatch(r"[a-z0-9]{16}", joining.new_secret())


def test_token_secret_is_one_that_kubeadm_would_make() -> None:
    """And is known as ours, for this machine only."""
    made = joining.token_secret_object("web", "web-1-abcde", "abc234", "0123456789abcdef", MADE_AT)
    assert made == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "bootstrap-token-abc234",
            "namespace": "kube-system",
            "labels": {"immutable.fleet/pool": "web"},
            "annotations": {"immutable.fleet/machine": "web-1-abcde"},
        },
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "description": "immutable.fleet: machine web-1-abcde of pool web",
            "token-id": "abc234",
            "token-secret": "0123456789abcdef",
            "expiration": MADE,
            "usage-bootstrap-authentication": "true",
            "usage-bootstrap-signing": "true",
            "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
        },
    }
    assert joining.is_minted_for(made, "web", "web-1-abcde")
    assert not joining.is_minted_for(made, "web", "web-2-abcde")
    assert not joining.is_minted_for({"metadata": {}}, "web", "web-1-abcde")


def test_cluster_info_of_kubeadm() -> None:
    """A kubeconfig in a ConfigMap."""
    ca = base64.b64encode(pem("ec").encode()).decode()
    cluster = f"- cluster: {{server: 'https://api.example.org:6443', certificate-authority-data: {ca}}}"
    config_map = {"data": {"kubeconfig": f"apiVersion: v1\nclusters:\n{cluster}\n"}}
    assert joining.cluster_info(config_map) == ("https://api.example.org:6443", pem("ec"))


@pytest.mark.parametrize("raw", [{}, {"data": {"kubeconfig": "a: ["}}, {"data": {"kubeconfig": "clusters: []"}}, {"data": None}])
def test_other_cluster_info_is_refused(raw: dict[str, Any]) -> None:
    """Not with a traceback."""
    with pytest.raises(Invalid, match="does not hold"):
        joining.cluster_info(raw)
