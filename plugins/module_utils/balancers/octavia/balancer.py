# SPDX-License-Identifier: GPL-3.0-or-later
"""The port `Balancer` on a pool of Octavia's load balancer as a service.

Octavia carries out one change of a load balancer at a time: until it is ACTIVE again everything else is answered 409. So several
members go into one batch, nothing here waits, and the status is a fact of the list. The transport is that of the machines' cloud:
one session and one token for both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia import convert
from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia.options import Options
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import MemberChange, steps_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid, NotFound, Throttled, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.ports import MemberListing

SERVICE = "load-balancer"
NETWORK = "network"
PAGE = 1000  # Octavia's own maximum; an operator may have lowered it, so the links say whether there is more


class Transport(Protocol):
    """What is needed of the cloud's session."""

    def request(
        self,
        method: str,
        service: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """The JSON of the answer, None where there is none. Raises the errors of model/errors for all else than success."""


class OctaviaBalancer:
    """One pool of Octavia's, for one pool of machines. Verbs may be called from many threads, changes go one after the other."""

    def __init__(self, pool: str, options: Options, *, transport: Transport, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._options = options
        self._transport = transport
        self._now = now
        self._turn = threading.Lock()
        self._ids: tuple[str, str] | None = None  # of Octavia's pool, of its load balancer

    def find_backend(self) -> None:
        """As `Balancer.find_backend`. One call, another where the pool is given by its id, and one for a subnet."""
        self._found()
        subnet = self._options.subnet_id
        if subnet:
            try:
                self._transport.request("GET", NETWORK, f"/subnets/{subnet}")
            except NotFound as exc:
                what = f"Neutron has no subnet {subnet!r} for this project; expected the ID of one"
                raise Invalid(what=what, where="balancer.octavia.subnet_id") from exc

    def list_members(self) -> MemberListing:
        """As `Balancer.list_members`. Three calls, the members last: a change that ends in between is still under way then."""
        pool_id, balancer_id = self._found()
        as_of = self._now()
        with self._as_our_errors():
            balancer = self._transport.request("GET", SERVICE, f"/lbaas/loadbalancers/{balancer_id}")["loadbalancer"]
            pool = self._transport.request("GET", SERVICE, f"/lbaas/pools/{pool_id}")["pool"]
            raw = self._members(pool_id)
        is_busy, fault = convert.status_of(balancer, pool)
        members = tuple(convert.member_of(each, self._pool) for each in raw)
        return MemberListing(as_of=as_of, members=members, is_busy=is_busy, fault=fault)

    def change_members(self, changes: Sequence[MemberChange]) -> None:
        """As `Balancer.change_members`. Two calls: a look, then one update, which may leave removals to the next one."""
        pool_id, _balancer_id = self._found()
        with self._turn, self._as_our_errors():
            raw = self._members(pool_id)
            members = [convert.member_of(each, self._pool) for each in raw]
            steps = steps_of(changes, members, self._options.port)
            if not steps:
                return
            kind, what = convert.updates(steps, raw, self._pool, self._options)
            path = f"/lbaas/pools/{pool_id}/members"
            if kind == "delete":
                self._transport.request("DELETE", SERVICE, f"{path}/{what}")
                return
            query = (("additive_only", "true"),) if kind == "add" else ()
            self._transport.request("PUT", SERVICE, path, query=query, body={"members": what})

    def _members(self, pool_id: str) -> list[convert.Json]:
        """All of them, page by page. Each page has to bring somebody new, so it ends whatever the links say."""
        found: dict[str, convert.Json] = {}
        page, is_more = self._page(pool_id, ""), True
        while is_more:
            fresh = {each["id"]: each for each in page["members"] if each["id"] not in found}
            found |= fresh
            is_more = bool(page["members"]) and any(link["rel"] == "next" for link in page.get("members_links", ()))
            if is_more and not fresh:
                raise Transient(what="the list of members goes round in a circle", where=f"pool {self._options.pool} of Octavia")
            if is_more:
                page = self._page(pool_id, page["members"][-1]["id"])
        return list(found.values())

    def _page(self, pool_id: str, marker: str) -> convert.Json:
        """What comes after the member `marker`; "": the first page."""
        query = (("limit", str(PAGE)), *([("marker", marker)] if marker else []))
        try:
            page: convert.Json = self._transport.request("GET", SERVICE, f"/lbaas/pools/{pool_id}/members", query=query)
        except (Invalid, NotFound) as exc:
            if not marker:
                raise
            raise Transient(what=f"the list of members changed while it was read: {exc.what}") from exc  # the marker was removed
        return page

    def _found(self) -> tuple[str, str]:
        if self._ids is None:
            pool = self._by_name() or self._by_id()
            if pool is None:
                what = f"Octavia has no pool {self._options.pool!r} in this project; expected the name or the ID of one"
                raise Invalid(what=what, where="balancer.octavia.pool")
            self._ids = pool["id"], pool["loadbalancers"][0]["id"]
        return self._ids

    def _by_name(self) -> convert.Json | None:
        found = self._transport.request("GET", SERVICE, "/lbaas/pools", query=(("name", self._options.pool),))["pools"]
        if len(found) > 1:
            ids = ", ".join(sorted(pool["id"] for pool in found))
            raise Invalid(
                what=f"{len(found)} pools are named {self._options.pool!r}: {ids}; expected one of these ids", where="balancer.octavia.pool"
            )
        return found[0] if found else None

    def _by_id(self) -> convert.Json | None:
        try:
            pool: convert.Json = self._transport.request("GET", SERVICE, f"/lbaas/pools/{self._options.pool}")["pool"]
        except (NotFound, Invalid):  # of a name that is no id, some releases say the latter
            return None
        return pool

    @contextmanager
    def _as_our_errors(self) -> Iterator[None]:
        try:
            yield
        except Conflict as exc:
            if "immutable" in exc.what:  # "Load Balancer <id> is immutable and cannot be updated."
                raise Throttled(what=exc.what, where=f"pool {self._options.pool} of Octavia") from exc
            raise
        except NotFound as exc:
            raise Invalid(what=f"the pool is gone: {exc.what}", where="balancer.octavia.pool") from exc
