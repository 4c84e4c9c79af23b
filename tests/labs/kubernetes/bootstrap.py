# SPDX-License-Identifier: GPL-3.0-or-later
"""How a kubelet becomes a node's user: bootstrap token -> certificate signing request -> client certificate."""

import base64
import tempfile
from pathlib import Path

from . import certificates
from .kube import ApiError, Kube, wait

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SIGNING_SECONDS = 10
TOKEN_SECRETS = "/api/v1/namespaces/kube-system/secrets"


class RefusedError(Exception):
    """The cluster does not let this guest in: token unknown, expired, or not allowed to ask."""


class Kubelets:
    """Gets clients for nodes. One key for all of them: making one is what costs, and no test looks at it."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self.directory = tempfile.TemporaryDirectory(prefix="joiner-")
        self.key = Path(self.directory.name, "key")
        certificates.new_key(self.key)

    def client(self, node: str, token: str) -> Kube:
        """A client that may create and update this node only (Node authorizer, NodeRestriction)."""
        bootstrap = self.kube.another(agent="lab-kubelet-bootstrap", token=token)
        asked = certificates.request(self.key, f"/O=system:nodes/CN=system:node:{node}")
        try:
            made = bootstrap.post(
                REQUESTS,
                {
                    "metadata": {"generateName": "node-csr-"},
                    "spec": {
                        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                        "usages": ["digital signature", "client auth"],
                        "request": base64.b64encode(asked.encode()).decode(),
                    },
                },
            )
            path = f"{REQUESTS}/{made['metadata']['name']}"
            signed, _seconds = wait(
                f"signature of {path}", lambda: bootstrap.get(path).get("status", {}).get("certificate"), SIGNING_SECONDS, 0.03
            )
        except (ApiError, TimeoutError) as error:
            raise RefusedError(f"{node} with token {token[:6]}: {error}") from error
        return self.kube.another(agent="lab-kubelet", certificate=(base64.b64decode(signed), self.key.read_bytes()))


def create_token(kube: Kube, token: str, expires: str) -> None:
    """The Secret of a bootstrap token "id.secret"; `expires` as 2026-11-21T04:10:07Z."""
    name, secret = token.split(".")
    kube.post(
        TOKEN_SECRETS,
        {
            "metadata": {"name": f"bootstrap-token-{name}"},
            "type": "bootstrap.kubernetes.io/token",
            "stringData": {
                "token-id": name,
                "token-secret": secret,
                "usage-bootstrap-authentication": "true",
                "expiration": expires,
            },
        },
    )
