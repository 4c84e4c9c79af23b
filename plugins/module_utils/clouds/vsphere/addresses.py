# SPDX-License-Identifier: GPL-3.0-or-later
"""Static addresses: which there are, and which a new machine gets. Pure.

An address is taken as long as a VM says so, that is being made too; a machine that is going holds its own until it is gone. So none
is given twice, and a slot gets the same one again where it is free by then: when its machine was deleted before the next was made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Exhausted, Invalid, Throttled
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine

COUNT_MAX = 4096  # of one interface: a longer range is a slip of the pen
RETRY = timedelta(seconds=5)  # until an address that is held may be free


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """What one interface of the pool's machines may be given, in order."""

    given: tuple[str, ...]
    prefix_length: int
    gateway: str = ""
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()

    def own(self, slot: int) -> str:
        """The address that is the slot's by its place in the list; "" where the list is shorter."""
        return self.given[slot] if slot < len(self.given) else ""

    def choose(self, slot: int, taken: Collection[str]) -> str:
        """An address for a machine of `slot` that is not `taken`, the slot's own first; "" when none is left."""
        own = self.own(slot)
        if own and own not in taken:
            return own
        return next((address for address in reversed(self.given) if address not in taken), "")


def addresses_for(
    machine: NewMachine, interfaces: Sequence[Addresses | None], holders: Mapping[str, str], secret: Sequence[str], *, are_stable: bool
) -> tuple[str, ...]:
    """By interface; "" where DHCP gives one. `holders` are `{address: machine}`, `secret` machines whose addresses nobody tells yet.

    Raises `Exhausted` when none is left, `Throttled` while it is not known which are, or the slot's own is held.
    """
    if not any(interfaces):
        return ()
    if secret:
        what = f"{secret[0]} is being cloned, and which address it was given is not known until vCenter shows it whole"
        raise Throttled(what=what, where=f"machine {machine.name}", after=RETRY)
    chosen: list[str] = []
    for index, given in enumerate(interfaces):
        where = f"vsphere.networks[{index}].addresses"
        if given is None:
            chosen.append("")
        elif are_stable:
            chosen.append(_own_address(given, machine, holders, where))
        else:
            chosen.append(given.choose(machine.slot, {*holders, *chosen}))
            if not chosen[-1]:
                raise Exhausted(what=f"all {len(given.given)} addresses are given to machines; expected more of them", where=where)
    return tuple(chosen)


def _own_address(given: Addresses, machine: NewMachine, holders: Mapping[str, str], where: str) -> str:
    """The slot's own. Raises `Exhausted` where there are fewer, `Throttled` until whoever holds it is gone."""
    own = given.own(machine.slot)
    if not own:
        raise Exhausted(what=f"{len(given.given)} addresses, and none is that of slot {machine.slot}; expected more of them", where=where)
    if own in holders:
        what = f"{own}, which is that of slot {machine.slot}, is held by {holders[own]} until it is gone"
        raise Throttled(what=what, where=f"machine {machine.name}", after=RETRY)
    return own


def parse_addresses(given: Mapping[str, Any], where: str) -> Addresses | None:
    """`addresses` and what belongs to it, of one interface; None where it has none. Raises `Invalid`."""
    texts = given.get("addresses")
    beside = {name: given.get(name) for name in ("prefix_length", "gateway", "dns_servers", "dns_search") if given.get(name)}
    if not texts:
        if beside:
            raise Invalid(what=f"{', '.join(beside)} without addresses; DHCP brings its own", where=f"{where}.addresses")
        return None
    found: list[str] = []
    for index, text in enumerate(texts):
        found += _range(str(text), f"{where}.addresses[{index}]")
    if len(set(found)) < len(found) or len(found) > COUNT_MAX:
        raise Invalid(what=f"{len(found)} addresses; expected up to {COUNT_MAX}, each once", where=f"{where}.addresses")
    network = _network(found, given.get("prefix_length"), where)
    gateway = given.get("gateway") or ""
    if gateway and _address(gateway, f"{where}.gateway") not in network:
        raise Invalid(what=f"{gateway} is not in {network}; expected an address of the same network", where=f"{where}.gateway")
    if gateway in found:
        raise Invalid(what=f"{gateway} is among the addresses; expected it to be left out", where=f"{where}.gateway")
    servers = tuple(str(_address(text, f"{where}.dns_servers")) for text in given.get("dns_servers") or ())
    return Addresses(
        given=tuple(found),
        prefix_length=network.prefixlen,
        gateway=gateway,
        dns_servers=servers,
        dns_search=tuple(given.get("dns_search") or ()),
    )


def _range(text: str, where: str) -> list[str]:
    """The addresses of "10.0.0.10-10.0.0.40", or of one address."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    begin, end = _address(first, where), _address(last if dash else first, where)
    count = int(end) - int(begin) + 1
    if begin.version != end.version or not 0 < count <= COUNT_MAX:
        raise Invalid(what=f"{text!r} is no range; expected up to {COUNT_MAX} addresses, the lower one first", where=where)
    return [str(begin + offset) for offset in range(count)]


def _address(text: str, where: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError as exc:
        raise Invalid(what=f"{text!r} is no address; expected one such as 10.0.0.10, or 10.0.0.10-10.0.0.40", where=where) from exc


def _network(addresses: list[str], length: Any, where: str) -> IPv4Network | IPv6Network:
    if not isinstance(length, int):
        raise Invalid(what="missing; expected the length of the network's prefix, such as 24", where=f"{where}.prefix_length")
    try:
        network = ip_network(f"{addresses[0]}/{length}", strict=False)
    except ValueError as exc:
        raise Invalid(what=f"{length} is no length of a prefix; expected 1 to 32, or 128", where=f"{where}.prefix_length") from exc
    for address in addresses:
        if ip_address(address) not in network:
            raise Invalid(what=f"{address} is not in {network}; expected addresses of one network", where=f"{where}.addresses")
    return network
