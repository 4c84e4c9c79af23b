# SPDX-License-Identifier: GPL-3.0-or-later
"""The port `Cloud` on an OpenStack project.

Calls of a machine's life: POST ports, POST server, DELETE server, and a DELETE per port. Ports come first and are ours, since
Nova's own are left behind by failed builds without a mark (FM22). Nova unbinds our ports when the server goes and does not
remove them: they are leftovers of a shared list then. Rejected: deleting them right after the server's DELETE, which needs
their ids (a call per machine) and cuts the network off a server whose deletion may yet fail.
Volumes are made and removed by Nova with the server, so there is no reply of Cinder's that we could lose (FM23).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack import convert
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import (
    COMPUTE,
    NETWORK,
    Client,
    Transport,
    every,
)
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import Options, check_pool_name
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.resolve import (
    Resolved,
    find_server_group,
    resolve,
    revision,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Invalid,
    InvariantViolated,
    NotFound,
    PortError,
    Throttled,
    Transient,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.user_data import render
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Listing

if TYPE_CHECKING:  # only a run that makes machines needs it
    from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room

DELTA_OVERLAP = timedelta(seconds=10)  # Nova's hosts write updated_at by clocks of their own
PORT_FIELDS = ("id", "name", "description", "device_id", "created_at", "revision_number")


class OpenStackCloud:
    """One pool's servers and ports. Connects at the first call; verbs may be called from many threads, lists by one at a time."""

    def __init__(
        self,
        pool: str,
        options: Options,
        *,
        call_timeout: timedelta,
        now: Callable[[], datetime],
        transport: Transport | None = None,
    ) -> None:
        check_pool_name(pool)
        self._pool = pool
        self._template = options.template
        self._now = now
        self._transport: Transport = transport or Client(options.connection, call_timeout, now)
        self._resolved: dict[str, Resolved] = {}  # by revision id: a run that is retargeted has several
        self._group_lock = threading.Lock()
        self._group_id = ""
        self._alive: dict[str, str] | None = None  # {server id: name} as of the last listing; None before the first
        self._port_revisions: dict[str, int] = {}  # of the leftovers last listed: nobody bound them since
        self._call_timeout = call_timeout
        self._unlisted: dict[str, datetime] = {}  # {name: from when on a full list must show it} of servers asked for

    def resolve(self, pinned: Mapping[str, str] | None = None) -> Revision:
        """As `Cloud.resolve`. Two to eight calls, all at once."""
        resolved = resolve(self._transport, self._template, pinned or {})
        self._group_id = resolved.server_group_id
        found = revision(self._template, resolved)
        self._resolved[found.id] = resolved
        return found

    def room(self) -> Room:
        """As `Cloud.room`. Two to seven calls, most of them at once, and a list of ports for each network that is counted."""
        from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.room import room_of

        resolved = next(reversed(self._resolved.values()), None)  # of another image perhaps, which takes as much
        if resolved is None:
            raise InvariantViolated(what="room before resolve")
        return room_of(self._transport, self._template, resolved, self._group_id)

    def watch(self, on_change: Callable[[], None]) -> bool:
        """As `Cloud.watch`: Nova tells nobody, it has to be polled."""
        del on_change
        return False

    def list_vms(self, since: datetime | None, *, with_leftovers: bool) -> Listing:
        """As `Cloud.list_vms`. Two calls (one with `since`), and one beside them for leftovers.

        A delta finds servers by name only, and Nova's clock for it does not move with tags: what a person changes there,
        and a server that was renamed, is seen by the next full list. A delta also misses a server between its arrival in a
        cell and the first change there, for a second or more: until a server that was asked for has been listed, lists are full.
        """
        as_of = self._now()
        before = None if since is None or self._unlisted else self._alive  # a delta to nothing is a full list
        with ThreadPoolExecutor(1) as threads:
            ports = threads.submit(self._idle_ports) if with_leftovers else None
            servers = self._all_servers() if since is None or before is None else self._changed_servers(since)
        self._forget_listed(servers.values(), as_of)
        skew = self._transport.skew
        gone = tuple(server["id"] for server in servers.values() if convert.is_gone(server))
        names = {**(before or {}), **{server["id"]: server["name"] for server in servers.values()}}
        self._alive = {server_id: name for server_id, name in names.items() if server_id not in gone}
        return Listing(
            as_of=as_of,
            vms=tuple(vm for server in servers.values() if (vm := convert.vm_of(server, self._pool, skew))),
            gone=gone if before is not None else (),
            leftovers=self._leftovers(ports.result()) if ports else None,
            is_full=before is None,
            ahead=-skew,
        )

    def create(self, machine: NewMachine) -> None:
        """As `Cloud.create`. Two calls; a refusal of the second takes the ports back, an unknown answer leaves them to the list.

        Three for a machine that is recreated: ports that are left of it are looked up, and keep their addresses.
        """
        resolved = self._resolved.get(machine.revision)
        if resolved is None:
            raise InvariantViolated(what=f"create of a revision that was not resolved: {machine.revision}")
        user_data = render(self._template.user_data, machine.values)
        group_id = self._server_group()
        port_ids: list[str] = []
        try:
            port_ids = self._make_ports(machine, resolved)
            request = convert.server_request(
                machine, self._pool, self._template, resolved, port_ids=port_ids, group_id=group_id, user_data=user_data
            )
            self._unlisted[machine.name] = self._now() + self._call_timeout  # when no answer comes
            self._transport.request("POST", COMPUTE, "/servers", body=request)
            self._unlisted[machine.name] = self._now()
        except Transient:
            raise
        except PortError as exc:
            self._unlisted.pop(machine.name, None)
            if not machine.recreated:  # else they carry its addresses, and the next try takes them
                self._take_back(port_ids)
            exc.where = exc.where or f"machine {machine.name}"
            if isinstance(exc, NotFound):  # of something the request names, which is no ordinary end here
                raise Invalid(what=exc.what, where=exc.where) from exc
            raise

    def delete(self, vm: Vm) -> None:
        """As `Cloud.delete`. One call; the ports are leftovers once the server is gone."""
        try:
            self._transport.request("DELETE", COMPUTE, f"/servers/{vm.id}")
        except NotFound:
            return

    def power(self, vm: Vm, wanted: str) -> None:
        """As `Cloud.power`. One call; Nova refuses to stop what is off already."""
        body = {"os-stop": None} if wanted == vm_states.OFF else {"reboot": {"type": "HARD"}}
        if wanted == vm_states.OFF and vm.status == vm_states.STOPPED:
            return
        self._transport.request("POST", COMPUTE, f"/servers/{vm.id}/action", body=body)

    def clear(self, leftover: Leftover) -> None:
        """As `Cloud.clear`. One call, on condition that the port is as it was listed: `Conflict` when somebody bound it since."""
        if leftover.kind != "port":
            raise InvariantViolated(what=f"a leftover {leftover.kind} is none of this cloud's", where=leftover.name)
        seen = self._port_revisions.get(leftover.id)
        headers = {} if seen is None else {"If-Match": f"revision_number={seen}"}
        try:
            self._transport.request("DELETE", NETWORK, f"/ports/{leftover.id}", headers=headers)
        except NotFound:
            return

    def _all_servers(self) -> dict[str, Any]:
        """`{id: server}` of all with our tag or one of our names.

        Two filters that exclude each other, in this order: a server that loses its tag in between is in one of them. By the
        name alone a renamed server would be missed, by the tag alone one that a playbook rewrote (FM25). The second list is
        empty but for those, so both cost what one does.
        """
        tag = convert.pool_tag(self._pool)
        by_tag = (("tags", tag),)
        by_name = (("name", convert.names_of(self._pool)), ("not-tags", tag))
        listed = (every(self._transport, COMPUTE, "/servers/detail", "servers", query) for query in (by_tag, by_name))
        return {server["id"]: server for servers in listed for server in servers}

    def _forget_listed(self, servers: Iterable[Any], as_of: datetime) -> None:
        """Of the servers asked for, those that a list begun at `as_of` shows, or would show if they had been made."""
        listed = {server["name"] for server in servers}
        for name, shown_from in list(self._unlisted.items()):
            if name in listed or as_of > shown_from:
                self._unlisted.pop(name, None)

    def _changed_servers(self, since: datetime) -> dict[str, Any]:
        """`{id: server}` of those changed since, deleted ones too. By name, for Nova drops tags with the server."""
        changed = convert.server_time(since - DELTA_OVERLAP, self._transport.skew)
        query = (("name", convert.names_of(self._pool)), ("changes-since", changed))
        return {server["id"]: server for server in every(self._transport, COMPUTE, "/servers/detail", "servers", query)}

    def _idle_ports(self) -> list[Any] | None:
        """Ports of ours that no running server uses; None when Neutron gives no answer now, which must not hide the servers."""
        query = (
            ("project_id", self._transport.project_id()),  # an administrator sees all ports, and only this project's servers
            ("description", convert.pool_tag(self._pool)),
            ("status", "DOWN"),  # those in use are ACTIVE: leaving them out keeps the list short
            *(("fields", name) for name in PORT_FIELDS),
        )
        try:
            return list(every(self._transport, NETWORK, "/ports", "ports", query))
        except (Transient, Throttled):
            return None

    def _leftovers(self, ports: list[Any] | None) -> tuple[Leftover, ...] | None:
        if ports is None:
            return None
        alive, skew = self._alive or {}, self._transport.skew
        found = [leftover for port in ports if (leftover := convert.leftover_of(port, self._pool, alive, skew))]
        listed = {leftover.id for leftover in found}
        self._port_revisions = {port["id"]: port["revision_number"] for port in ports if port["id"] in listed}
        return tuple(found)

    def _make_ports(self, machine: NewMachine, resolved: Resolved) -> list[str]:
        """The ids of the machine's ports in the order of its interfaces, made in one call: all of them or none."""
        if not resolved.nics:
            return []
        wanted = convert.ports_request(machine, self._pool, resolved)["ports"]
        ids = self._ports_left(wanted) if machine.recreated else {}
        missing = [port for port in wanted if port["name"] not in ids]
        if missing:
            answer = self._transport.request("POST", NETWORK, "/ports", body={"ports": missing})
            ids |= {port["name"]: made["id"] for port, made in zip(missing, answer["ports"], strict=True)}
        return [ids[port["name"]] for port in wanted]

    def _ports_left(self, wanted: list[dict[str, Any]]) -> dict[str, str]:
        """`{name: id}` of idle ports that are as wanted. One that is not, since the template changed, is deleted."""
        names = {port["name"]: port for port in wanted}
        own = (("project_id", self._transport.project_id()), ("description", convert.pool_tag(self._pool)), ("status", "DOWN"))
        query = (*(("name", name) for name in names), *own)
        found: dict[str, str] = {}
        for port in every(self._transport, NETWORK, "/ports", "ports", query):
            if port["device_id"] == "" and port["name"] not in found and convert.is_as_wanted(port, names[port["name"]]):
                found[port["name"]] = port["id"]
            elif port["device_id"] == "":
                self._take_back([port["id"]])
        return found

    def _take_back(self, port_ids: list[str]) -> None:
        """Delete ports whose server was refused. What cannot be deleted now is found by the list: the refusal is what counts."""
        for port_id in port_ids:
            try:
                self._transport.request("DELETE", NETWORK, f"/ports/{port_id}")
            except PortError:
                continue

    def _server_group(self) -> str:
        """The id for the scheduler hint, "" for none. A group that is not there is looked for again, then made, once."""
        name = self._template.server_group
        with self._group_lock:
            if name and not self._group_id:
                self._group_id = find_server_group(self._transport, name)
            if name and not self._group_id:
                body = {"server_group": {"name": name, "policy": self._template.server_group_policy}}
                self._group_id = self._transport.request("POST", COMPUTE, "/os-server-groups", body=body)["server_group"]["id"]
            return self._group_id
