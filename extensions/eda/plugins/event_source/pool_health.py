# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An event for each pool some of whose nodes are not well, as long as that is so, and one when it is over.

It only says when to look: which machine is unhealthy, and whether too many are, the pass decides that a rule starts. So an event that
is lost, or comes twice, does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

DOCUMENTATION = r"""
short_description: Tell when nodes of pools are not well
description:
  - Lists the nodes that carry the label of a pool, every few seconds, and sends an event for each pool in which one is not ready, or was
    not at the look before. The event has C(pool), C(not_well) (how many nodes), C(nodes) (their names) and C(of) (how many there are).
  - Needs the Python package C(kubernetes), and an account that may list nodes.
options:
  kubeconfig:
    description: Path of the kubeconfig; empty for the pod's own account, or else the default one.
    default: ''
  context:
    description: Context of the kubeconfig; empty for the current one.
    default: ''
  pools:
    description: Names of the pools to look at; empty for all.
    default: []
  every:
    description: Seconds between two looks.
    default: 10
"""

EXAMPLES = r"""
- immutable.fleet.pool_health:
    kubeconfig: /etc/fleet/kubeconfig
    every: 10
"""

POOL = "immutable.fleet/pool"  # the label of a pool's nodes
READY_AT = "immutable.fleet/ready-at"  # the annotation of a node that was ready once: others boot
CALL_SECONDS = 20


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """What ansible-rulebook calls. Ends only with it: a look without an answer is told, and the next one comes."""
    every = float(args.get("every", 10))
    wanted = set(args.get("pools") or [])
    async for event in events(_lister(args), wanted, every):
        await queue.put(event)


async def events(nodes: Any, wanted: set[str], every: float) -> AsyncIterator[dict[str, Any]]:
    """One event for each pool that is not well, or was not at the look before; `nodes` is asked each time, in a thread."""
    before: set[str] = set()
    while True:
        try:
            found = counted(await asyncio.to_thread(nodes), wanted)
        except Exception as error:  # noqa: BLE001  # whatever the client raises: the next look may get an answer
            yield {"pool": "", "not_well": 0, "nodes": [], "of": 0, "error": str(error)}
        else:
            now = {pool for pool, event in found.items() if event["not_well"]}
            for pool in sorted(now | (before & found.keys())):
                yield found[pool]
            before = now
        await asyncio.sleep(every)


def counted(nodes: list[dict[str, Any]], wanted: set[str]) -> dict[str, dict[str, Any]]:
    """`{pool: event}` of the nodes as the API server lists them. One that never was ready boots, which is not unwell."""
    found: dict[str, dict[str, Any]] = {}
    for node in nodes:
        metadata = node["metadata"]
        pool = (metadata.get("labels") or {}).get(POOL, "")
        if not pool or (wanted and pool not in wanted):
            continue
        event = found.setdefault(pool, {"pool": pool, "not_well": 0, "nodes": [], "of": 0})
        event["of"] += 1
        if READY_AT in (metadata.get("annotations") or {}) and not _is_ready(node):
            event["not_well"] += 1
            event["nodes"].append(metadata["name"])
    return found


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)


def _lister(args: dict[str, Any]) -> Any:
    """A function that lists the nodes, as plain JSON. The client is imported here: who only reads this file need not have it."""
    import json

    from kubernetes import client, config

    kubeconfig, context = args.get("kubeconfig") or None, args.get("context") or None
    if kubeconfig is None and context is None:
        try:
            config.load_incluster_config()
        except config.ConfigException:
            config.load_kube_config()
    else:
        config.load_kube_config(kubeconfig, context)
    api = client.CoreV1Api()

    def nodes() -> list[dict[str, Any]]:
        answer = api.list_node(label_selector=POOL, _preload_content=False, _request_timeout=CALL_SECONDS)
        found: list[dict[str, Any]] = json.loads(answer.data)["items"]
        return found

    return nodes


if __name__ == "__main__":  # by hand: python pool_health.py shows what a rulebook would get

    class _Shown(asyncio.Queue[Any]):
        async def put(self, item: Any) -> None:
            print(item)  # noqa: T201

    asyncio.run(main(_Shown(), {}))
