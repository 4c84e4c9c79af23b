# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes belong to which pool: one list of names and labels, for who needs nothing else of a cluster."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import METADATA_LIST, Client
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks

NODES = "/api/v1/nodes"


def pools_of_nodes(client: Client) -> dict[str, str]:
    """`{node: pool}` of all nodes that carry our label. Raises `Denied` where nodes may not be listed."""
    query = {"labelSelector": marks.NODE_POOL}
    return {
        item["metadata"]["name"]: item["metadata"]["labels"][marks.NODE_POOL]
        for page in client.pages(NODES, where="nodes", query=query, accept=METADATA_LIST)
        for item in page["items"]
    }
