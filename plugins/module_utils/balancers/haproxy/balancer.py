# SPDX-License-Identifier: GPL-3.0-or-later
"""The port `Balancer` on a backend of HAProxy (2.6 and later), by its runtime socket of level `admin`.

Members are dynamic servers, called as their machines, or slots of a server-template. Dynamic servers need nothing in the
configuration, and are gone with HAProxy's next reload: the next list shows that, and they are wished anew. Slots outlive reloads
and restarts, if the configuration says this and the state is saved before each (`show servers state` into the file):

    global
        server-state-file /var/lib/haproxy/state
    defaults
        load-server-state-from-file global
    backend shop
        server-template web 1-20 free.invalid:80 check disabled init-addr last,192.0.2.1

The name that never resolves is needed: for a literal address HAProxy 2.6 restores port, weight and state, and not the address, so that
it would send traffic to the template's. A slot that is in maintenance at 192.0.2.1 is free. Slots cannot hold a machine's name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy import convert
from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy.client import Client, Transport
from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy.options import Options
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import MemberChange, Step, steps_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Exhausted, Invalid, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.ports import MemberListing

WORDS_MAX = 400  # of HAProxy's answer in a message


class HaproxyBalancer:
    """One backend, for one pool. Connects at each call; verbs may be called from many threads, changes go one after the other."""

    def __init__(
        self,
        pool: str,
        options: Options,
        *,
        call_timeout: timedelta,
        now: Callable[[], datetime],
        transport: Transport | None = None,
    ) -> None:
        self._pool = pool
        self._options = options
        self._now = now
        self._transport: Transport = transport or Client(options.socket, call_timeout)
        self._turn = threading.Lock()
        self._number = ""  # HAProxy's, of the backend

    def find_backend(self) -> None:
        """As `Balancer.find_backend`. Two calls; `Denied` where the socket may only look."""
        rows = self._rows()
        slots = self._options.slots
        if slots and not convert.free_slots(rows, slots) and not any(m.is_ours for m in convert.members_of(rows, "", slots)):
            what = f"backend {self._options.backend} has no server {slots}1 and so on; expected those of a server-template"
            raise Invalid(what=what, where="balancer.haproxy.slots")

    def list_members(self) -> MemberListing:
        """As `Balancer.list_members`. One call, the first time two."""
        as_of = self._now()
        return MemberListing(as_of=as_of, members=convert.members_of(self._rows(), self._pool, self._options.slots))

    def change_members(self, changes: Sequence[MemberChange]) -> None:
        """As `Balancer.change_members`. Three calls: a look, all commands, and another look."""
        with self._turn:
            rows = self._rows()
            steps = steps_of(changes, convert.members_of(rows, self._pool, self._options.slots), self._options.port)
            commands = self._commands(steps, rows)
            if not commands:
                return
            said = convert.complaints(self._transport.ask(commands))
            members = self.list_members().members
            for change, _member in steps:
                if convert.undone(change, members):
                    where = f"machine {change.name}"
                    if said:
                        raise Invalid(what=f"HAProxy did not make it {change.to}: {said[:WORDS_MAX]}", where=where)
                    raise Transient(what=f"HAProxy was told to make it {change.to}, and it is not: reloaded meanwhile?", where=where)

    def _rows(self) -> convert.Rows:
        """Those of the backend. A reload may number anew, so the answer is compared with the name."""
        backend = self._options.backend
        if self._number:
            rows = self._look(convert.looks(backend, self._number))
            if convert.number_of(rows, backend) == self._number:
                return rows
        rows = self._look(["show cli level", "show stat -1 2 -1"])
        self._number = convert.number_of(rows, backend)
        if not self._number:
            what = f"HAProxy has no backend {backend!r}; it has: {', '.join(convert.backends_of(rows)) or 'none'}"
            raise Invalid(what=what, where="balancer.haproxy.backend")
        return self._look(convert.looks(backend, self._number))

    def _look(self, commands: Sequence[str]) -> convert.Rows:
        """One call. A socket of a lower level hides addresses, and would refuse every change."""
        level, rows = convert.look_of(self._transport.ask(commands))
        if level != "admin":
            raise Denied(
                what=f"the runtime socket has level {level or 'unknown'}; expected admin",
                where="balancer.haproxy.socket",
                forward="say `level admin` in its line of HAProxy's configuration (stats socket), reload, and run the same task again",
            )
        return rows

    def _commands(self, steps: Sequence[Step], rows: convert.Rows) -> list[str]:
        """All of them, or none: whoever is new has an address and, where there are slots, one of them."""
        new = [change for change, member in steps if member is None]
        for change in new:
            try:
                ip_address(change.address)
            except ValueError:
                raise Invalid(what=f"{change.address!r} is no IP address", where=f"machine {change.name}") from None
        slots: list[str] = []
        if self._options.slots:
            slots = convert.free_slots(rows, self._options.slots)
            if len(slots) < len(new):
                what = f"backend {self._options.backend} has {len(slots)} free slots {self._options.slots}, {len(new)} more are needed"
                raise Exhausted(what=what, where="balancer.haproxy.slots")
        free = iter(slots)
        commands: list[str] = []
        for change, member in steps:
            commands += convert.commands_for(change, member, self._options, next(free, "") if member is None else "")
        return commands
