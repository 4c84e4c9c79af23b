# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stage of a bake comes next.

Promises: pure; decided from what is on the disk and nothing else, so that a bake that was killed goes on behind the last stage that
was finished, and one that is finished has nothing to do. A stage counts as finished when what it makes has its final name, which it
gets last; what a killed stage left has another name, and the stage begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration

BASE = "base"  # a root file system as it comes from packages; kept for all images with the same
TREE = "tree"  # with the roles applied, and sealed; or what was found in an image from elsewhere
HYGIENE = "hygiene"
BILL = "bill"  # of materials
DISK = "disk"
BOOT = "boot"
MANIFEST = "manifest"

MADE_HERE = (BASE, TREE, HYGIENE, BILL, DISK, BOOT, MANIFEST)
FROM_ELSEWHERE = (DISK, TREE, HYGIENE, BILL, BOOT, MANIFEST)  # the disk is there first, and is looked into


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A machine that was booted from the image, as seen from outside; `seen` are the moments that have come, by name.

    `ports` are those that answered to a connection from outside; None while nobody has looked. `has_begun`: its firmware has handed
    over to the disk. `uses_kvm`: the processor runs it, not an emulator.
    """

    began_at: datetime
    has_ended: bool = False
    has_begun: bool = True
    uses_kvm: bool = False
    seen: frozenset[str] = frozenset()
    ports: frozenset[int] | None = None


USER_DATA = "its user data was applied"
HEALTH = "it is healthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPolicy:
    """What a booted image has to show. `ports` have to listen, and no others but SSH where `ssh` allows it; `limit` is for all of it."""

    awaited: tuple[str, ...] = (USER_DATA,)
    ports: frozenset[int] = frozenset()
    ssh: bool = True
    limit: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Of a boot test: `look` is what to look at next, `wrong` what is; with neither it has passed."""

    look: str = ""
    wrong: str = ""


SSH_PORT = 22
SCAN = "ports"
SCAN_LIMIT = timedelta(minutes=10)  # a look takes seconds, and a minute without KVM; a machine without an address never answers
EMULATE = "without KVM"  # start again, emulated
FIRMWARE = timedelta(seconds=10)  # with KVM it takes half a second; where KVM is there and does not work, it never ends


def next_stage(order: tuple[str, ...], made: Mapping[str, bool]) -> str:
    """The first whose product is missing, "" when all is there. A manifest says that all is there, also when the rest was cleared away."""
    if made.get(MANIFEST, False):
        return ""
    return next((stage for stage in order if not made.get(stage, False)), "")


def judge(guest: Guest, policy: BootPolicy, now: datetime) -> Verdict:
    """What is wrong with a machine, or what to look at next. Its ports count once it is healthy: before that they come and go."""
    missing = [moment for moment in policy.awaited if moment not in guest.seen]
    age = now - guest.began_at
    if guest.has_ended:
        return Verdict(wrong=f"the machine ended {say_duration(age)} after it was started" + _not_yet(missing))
    if guest.uses_kvm and not guest.has_begun and age > FIRMWARE:
        return Verdict(look=EMULATE)
    if missing and age > policy.limit:
        return Verdict(
            wrong=f"not ready {say_duration(age)} after it was started (boot.limit {say_duration(policy.limit)})" + _not_yet(missing)
        )
    if missing:
        return Verdict(look=missing[0])
    if guest.ports is None and age > policy.limit + SCAN_LIMIT:
        limits = f"boot.limit {say_duration(policy.limit)}, and {say_duration(SCAN_LIMIT)} for its ports"
        return Verdict(
            wrong=f"its ports were not seen {say_duration(age)} after it was started ({limits}): it has to get an address by DHCP"
        )
    if guest.ports is None:
        return Verdict(look=SCAN)
    return Verdict(wrong=_wrong_ports(guest.ports, policy))


def _not_yet(missing: list[str]) -> str:
    return "".join(f"; not seen: {moment}" for moment in missing)


def _wrong_ports(seen: frozenset[int], policy: BootPolicy) -> str:
    """Exactly those declared: one more is a way in, one less is a service that does not run."""
    wanted = policy.ports - {SSH_PORT}
    wrong = [f"port {port} listens and is not declared" for port in sorted(seen - wanted - {SSH_PORT})]
    wrong += [f"port {port} is declared and does not listen" for port in sorted(wanted - seen)]
    if SSH_PORT in seen and not policy.ssh:
        wrong.append(f"port {SSH_PORT} listens, and SSH is to be off")
    return "; ".join(wrong)
