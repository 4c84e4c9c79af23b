# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new machine needs to join: a bootstrap token, the API server's address, the hash of its CA. Pure.

Tokens are Secrets as kubeadm makes them (cluster-bootstrap pkg token; the group lets a kubeadm cluster sign the kubelet's
request). The token's id follows from the machine's name, so that a mint whose answer was lost is found again and not repeated.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import ssl
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_instant

TOKEN_NAMESPACE = "kube-system"  # noqa: S105 - the only one the API server looks in
TOKEN_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105
TOKEN_PREFIX = "bootstrap-token-"  # noqa: S105
# kubeadm's own group; `kubeadm init` binds it to what a node needs
TOKEN_GROUPS = "system:bootstrappers:kubeadm:default-node-token"  # noqa: S105
ID_LENGTH, SECRET_LENGTH = 6, 16  # fixed by the token format
HTTPS_PORT = 443

_SEQUENCE, _VERSION_TAG = 0x30, 0xA0


def token_id(machine: str, attempt: int = 0) -> str:
    """Six of [a-z2-7]: 30 bits, so two of 500 machines in flight share one once in 8,000 rollouts; then `attempt` grows."""
    digest = hashlib.sha256(f"{machine}/{attempt}".encode()).digest()
    return base64.b32encode(digest).decode().lower()[:ID_LENGTH]


def new_secret() -> str:
    """The token's other half, never the same twice."""
    return secrets.token_hex(SECRET_LENGTH // 2)


def token_secret_object(pool: str, machine: str, id_: str, secret: str, expires_at: datetime) -> dict[str, Any]:
    """The Secret; `expires_at` in the server's clock. The pool is a label to select by, the machine, longer maybe, an annotation."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": TOKEN_PREFIX + id_,
            "namespace": TOKEN_NAMESPACE,
            "labels": {marks.NODE_POOL: pool},
            "annotations": {marks.TOKEN_MACHINE: machine},
        },
        "type": TOKEN_TYPE,
        "stringData": {
            "description": f"immutable.fleet: machine {machine} of pool {pool}",
            "token-id": id_,
            "token-secret": secret,
            "expiration": say_instant(expires_at),
            "usage-bootstrap-authentication": "true",
            "usage-bootstrap-signing": "true",
            "auth-extra-groups": TOKEN_GROUPS,
        },
    }


def is_minted_for(raw: Mapping[str, Any], pool: str, machine: str) -> bool:
    """Whether a Secret that was found is the one that this pool minted for this machine."""
    metadata = raw["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return labels.get(marks.NODE_POOL) == pool and annotations.get(marks.TOKEN_MACHINE) == machine


def cluster_info(config_map: Mapping[str, Any]) -> tuple[str, str]:
    """(URL of the API server, CA in PEM) of kubeadm's ConfigMap cluster-info. Raises `Invalid` when it holds something else."""
    from yaml import YAMLError, safe_load

    try:
        kubeconfig = safe_load(config_map["data"]["kubeconfig"])
        cluster = kubeconfig["clusters"][0]["cluster"]
        return cluster["server"], base64.b64decode(cluster["certificate-authority-data"]).decode("ascii")
    except (YAMLError, KeyError, IndexError, TypeError, ValueError) as exc:
        raise Invalid(what="it does not hold the cluster's address and CA", where="configmap kube-public/cluster-info") from exc


def host_and_port(url: str) -> str:
    """The "host:port" of an API server's URL; an IPv6 address keeps its brackets."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or HTTPS_PORT}"


def ca_hash(pem: str) -> str:
    """The "sha256:..." of the first certificate's public key, as `kubeadm join --discovery-token-ca-cert-hash` takes it.

    Of the whole SubjectPublicKeyInfo in DER, so that a CA renewed with its old key keeps its hash. Raises `Invalid`.
    """
    begin = pem.find("-----BEGIN CERTIFICATE-----")
    end = pem.find("-----END CERTIFICATE-----", begin)
    if begin < 0 or end < 0:
        raise Invalid(what="no CA certificate of the cluster is known; a machine could not check whom it joins", where="ca_cert")
    try:
        der = ssl.PEM_cert_to_DER_cert(pem[begin:end] + "-----END CERTIFICATE-----\n")
        return "sha256:" + hashlib.sha256(_public_key_info(der)).hexdigest()
    except (ValueError, IndexError) as exc:
        raise Invalid(what="the cluster's CA certificate is not a certificate", where="ca_cert") from exc


def _public_key_info(certificate: bytes) -> bytes:
    """The subjectPublicKeyInfo of a certificate in DER.

    RFC 5280, 4.1: Certificate is {tbsCertificate, ...}, and that is {[0] version OPTIONAL, serialNumber, signature, issuer,
    validity, subject, subjectPublicKeyInfo, ...}.
    """
    begin, _end = _content(certificate, 0, _SEQUENCE)
    at, _end = _content(certificate, begin, _SEQUENCE)
    if certificate[at] == _VERSION_TAG:
        at = _content(certificate, at, _VERSION_TAG)[1]
    for _field in ("serialNumber", "signature", "issuer", "validity", "subject"):
        at = _content(certificate, at, certificate[at])[1]
    return certificate[at : _content(certificate, at, _SEQUENCE)[1]]


def _content(der: bytes, at: int, tag: int) -> tuple[int, int]:
    """(begin, end) of the content of the element at `at`, which must have this tag."""
    if der[at] != tag:
        raise ValueError(f"tag {der[at]:#x} at {at}, expected {tag:#x}")
    length, begin = der[at + 1], at + 2
    if length & 0x80:  # long form: the number of bytes that hold the length
        size = length & 0x7F
        length, begin = int.from_bytes(der[begin : begin + size], "big"), begin + size
    if begin + length > len(der):
        raise ValueError("cut off")
    return begin, begin + length
