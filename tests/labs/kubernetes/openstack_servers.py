# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenStack as a source of VMs. Needs openstacksdk."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from .guests import VM
from .kube import Json

MICROVERSION = "2.47"  # the flavor's name is part of the server
PAGE = "1000"
FULL_LIST_SECONDS = 15  # changed metadata does not count as a change of the server
OVERLAP = timedelta(seconds=5)  # nova's clock has whole seconds


class OpenStackServers:
    """Lists what has changed each time, and everything now and then: a list of 50 costs nova two seconds of CPU."""

    def __init__(self, cloud: str, *, all_projects: bool) -> None:
        import openstack

        self.cloud = openstack.connect(cloud=cloud)
        self.everybody = {"all_tenants": "1"} if all_projects else {}
        self.images: dict[str, Json] = {}
        self.known: dict[str, VM] = {}
        self.listed = float("-inf")  # when everything was
        self.asked = datetime.now(UTC)

    def servers(self) -> list[VM]:
        now = datetime.now(UTC)
        if time.monotonic() > self.listed + FULL_LIST_SECONDS:
            self.listed, self.known = time.monotonic(), {}
            changed = self.list({})
        else:
            changed = self.list({"changes-since": (self.asked - OVERLAP).isoformat()})
        self.asked = now
        for server in changed:
            if server["status"] == "DELETED":
                self.known.pop(server["id"], None)
            else:
                self.known[server["id"]] = self.convert(server)
        return list(self.known.values())

    def list(self, query: dict[str, str]) -> list[Json]:
        found: list[Json] = []
        query = {**self.everybody, **query, "limit": PAGE}
        while True:
            body = self.ask(self.cloud.compute, "/servers/detail", query)
            found += body["servers"]
            if not any(link["rel"] == "next" for link in body.get("servers_links", [])):
                return found
            query["marker"] = body["servers"][-1]["id"]

    def ask(self, service: Any, path: str, query: dict[str, str]) -> Json:
        answer = service.get(path, params=query, microversion=MICROVERSION)
        answer.raise_for_status()
        return dict(answer.json())

    def convert(self, server: Json) -> VM:
        addresses = [
            address["addr"]
            for network in server["addresses"].values()
            for address in network
            if address.get("OS-EXT-IPS:type", "fixed") == "fixed"
        ]
        image = self.image(server["image"]["id"]) if server.get("image") else {}
        facts = {key: value for key, value in image.items() if key.startswith("lab_") or key == "kubelet_version"}
        return VM(
            id=server["id"],
            name=server["name"],
            on=server["status"] == "ACTIVE" and server["OS-EXT-STS:power_state"] == 1,
            zone=server.get("OS-EXT-AZ:availability_zone") or "",
            kind=server["flavor"].get("original_name", ""),
            addresses=tuple(addresses),
            provider_id=f"openstack:///{server['id']}",
            image=server["image"]["id"] if server.get("image") else "",
            user_data=server.get("OS-EXT-SRV-ATTR:user_data") or "",
            meta={**facts, **server["metadata"]},
        )

    def image(self, image_id: str) -> Json:
        """Its properties; they are asked for once."""
        if image_id not in self.images:
            answer = self.cloud.image.get(f"/images/{image_id}")
            self.images[image_id] = answer.json() if answer.ok else {}
        return self.images[image_id]
