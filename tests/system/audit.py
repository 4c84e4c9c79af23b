# SPDX-License-Identifier: GPL-3.0-or-later
"""What our module asked of the real API servers: Kubernetes' audit log, Nova's record of actions, access logs of OpenStack."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE, Client
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Json, audit_mark, audit_since
from ansible_collections.immutable.fleet.tests.labs.openstack.site import Site

AGENT = "immutable.fleet"
READS = ("get", "list", "watch")
REVIEWS = ("selfsubjectaccessreviews", "selfsubjectreviews")  # questions, though they are posted
ACCESS_LOGS = ("nova", "neutron", "cinder", "glance")
_ACCESS = re.compile(r"^\S+ \S+ (?P<method>[A-Z]+) (?P<path>\S+) (?P<status>\d+)")


def instant(text: str) -> datetime:
    """Of Kubernetes, with microseconds and Z, or Nova, with whole seconds and none."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Ledger:
    """Calls from a moment on, about a pool whose pods are in the namespace of its name."""

    pool: str
    mark: int
    access: dict[str, int]

    @classmethod
    def open(cls, pool: str) -> Ledger:
        return cls(pool, audit_mark(), {name: file.stat().st_size for name, file in _access_logs().items()})

    def kubernetes(self) -> list[Json]:
        """Our module's calls. Those about nodes and pods of others are of other tests at the same time."""
        return [call for call in audit_since(self.mark) if call["userAgent"].startswith(AGENT) and self._is_ours(call)]

    def all_calls(self) -> list[Json]:
        """Everybody's, without the control plane's own."""
        return audit_since(self.mark)

    def _is_ours(self, call: Json) -> bool:
        about = call.get("objectRef", {})
        if about.get("resource") == "nodes" and about.get("name"):
            return bool(about["name"].startswith(f"{self.pool}-"))
        if about.get("resource") == "leases" and about.get("name"):
            return bool(about["name"] == f"immutable-fleet-{self.pool}")
        return about.get("namespace") in (None, "kube-system", self.pool)

    def kubernetes_writes(self) -> list[str]:
        """As "create pods/eviction 201", without renewals of the lock."""
        found = []
        for call in self.kubernetes():
            about = call.get("objectRef", {})
            if call["verb"] not in READS and about.get("resource") not in ("leases", *REVIEWS):
                kind = "/".join(filter(None, (about.get("resource"), about.get("subresource"))))
                found.append(f"{call['verb']} {kind} {call['responseStatus']['code']}")
        return found

    def lock_writes(self) -> int:
        """Leases taken, renewed, given back."""
        return sum(call.get("objectRef", {}).get("resource") == "leases" and call["verb"] not in READS for call in self.kubernetes())

    def evictions(self, code: int = 201) -> list[Json]:
        return [call for call in self.kubernetes() if _is_eviction(call) and call["responseStatus"]["code"] == code]

    def replacing_calls(self) -> list[Json]:
        """Kubernetes calls that grow with the machines replaced: no watch, no list of a whole kind, no lock, no question of rights.

        A direct look reads the pods of its node, which is told by its selector, and the attachments of the whole cluster, which
        a watch that lists again reads just so: as many of those are taken for looks as there are looks at pods.
        """
        calls = self.kubernetes()
        looks = sum(_is_look(call) for call in calls)
        of_attachments = [call for call in calls if _is_attachment_list(call)][:looks]
        return [call for call in calls if not _is_shared(call)] + of_attachments

    def openstack(self, ids: Iterable[str] = ()) -> list[str]:
        """Writes of anybody, as "POST nova /v2.1/servers 202"; with `ids`, only those that name one of them in their path."""
        wanted = tuple(ids)
        found: list[str] = []
        for service, file in _access_logs().items():
            with file.open(encoding="utf-8", errors="replace") as lines:
                lines.seek(self.access.get(service, 0))
                writes = [match for match in map(_ACCESS.match, lines) if match and match["method"] != "GET"]
            asked = [match for match in writes if not wanted or any(one in match["path"] for one in wanted)]
            found += [f"{match['method']} {service} {match['path']} {match['status']}" for match in asked]
        return found


def _is_eviction(call: Json) -> bool:
    return bool(call.get("objectRef", {}).get("subresource") == "eviction" and call["verb"] == "create")


def _is_look(call: Json) -> bool:
    return bool(call["verb"] == "list" and "fieldSelector=spec.nodeName%3D" in call["requestURI"])


def _is_attachment_list(call: Json) -> bool:
    return bool(call["verb"] == "list" and call.get("objectRef", {}).get("resource") == "volumeattachments")


def _is_shared(call: Json) -> bool:
    is_of_the_run = call.get("objectRef", {}).get("resource") in ("leases", *REVIEWS)
    return bool(call["verb"] == "watch" or is_of_the_run or (call["verb"] == "list" and not _is_look(call)))


def _access_logs() -> dict[str, Path]:
    folder = Site.from_environment().home / "log"
    return {name: file for name in ACCESS_LOGS if (file := folder / f"{name}-access.log").exists()}


def delete_began(api: Client, server_id: str) -> datetime:
    """When Nova began to delete a server, by its own record, in whole seconds rounded down."""
    actions = api.request("GET", COMPUTE, f"/servers/{server_id}/os-instance-actions")["instanceActions"]
    return instant(next(action["start_time"] for action in actions if action["action"] == "delete"))
