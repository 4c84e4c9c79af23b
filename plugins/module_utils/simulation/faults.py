# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that fail on request: refused, unanswered, answered too late to be known, or answered with yesterday's facts.

| kind | reads | does |
|---|---|---|
| fail | target (a verb), count, error, text, after_effect, age | the next calls raise `error`; `after_effect`: only the reply is lost |
| dies_half_way | count | the next creates make their port and no VM, the next upload sends half, and answer nothing |
| unreachable | target (cloud, images, cluster, lock, balancer), lasts | calls raise Transient, views stand still |
| stale | target (cloud, cluster), age, lasts | lists and views show what was `age` ago, and say so |

What happens to machines and pods is in mishaps.py.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from types import TracebackType

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    PortError,
    Throttled,
    Transient,
)
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import State

FAIL = "fail"
DIES_HALF_WAY = "dies_half_way"
UNREACHABLE = "unreachable"
STALE = "stale"

CLOUD = "cloud"
IMAGES = "images"
CLUSTER = "cluster"
LOCK = "lock"
BALANCER = "balancer"
VERBS = {
    CLOUD: ("resolve", "room", "list_vms", "create", "delete", "power", "clear"),
    IMAGES: ("catalogue", "publish", "promote", "revoke", "retire", "users"),
    CLUSTER: ("start", "change", "evict", "remove", "look", "delete_node", "mint_token", "delete_token"),
    LOCK: ("read", "acquire", "renew", "release"),
    BALANCER: ("find_backend", "list_members", "change_members"),
}

ERRORS: dict[str, type[PortError]] = {
    "Conflict": Conflict,
    "Denied": Denied,
    "Exhausted": Exhausted,
    "Invalid": Invalid,
    "NotFound": NotFound,
    "Throttled": Throttled,
    "Transient": Transient,
}


class _LostReply:
    """The call has its effect, then its caller gets an error instead of the answer."""

    def __init__(self, error: PortError) -> None:
        self._error = error

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if kind is None:
            raise self._error


_UNTROUBLED: AbstractContextManager[None] = nullcontext()


class Calls:
    """What each call of a port goes through."""

    def __init__(self, state: State) -> None:
        self._state = state

    def around(self, api: str, verb: str) -> AbstractContextManager[None]:
        """The context of one call. Raises what was asked for, here (no effect) or when the context ends (effect, no reply)."""
        if not self._state.faults:
            return _UNTROUBLED
        self.check_reachable(api, verb)
        fault = self._take(FAIL, verb)
        if fault is None:
            return _UNTROUBLED
        error = _error_of(fault, api, verb)
        if fault.after_effect:
            return _LostReply(error)
        raise error

    def check_reachable(self, api: str, verb: str = "") -> None:
        """Raise `Transient` while this API is cut off."""
        if self.is_cut_off(api):
            raise Transient(what=f"the simulated {api} does not answer", where=f"{api}.{verb}" if verb else api)

    def is_cut_off(self, api: str) -> bool:
        """Whether an outage lasts. The lock is a Lease: where the cluster is cut off, it is too."""
        if api == LOCK and self.is_cut_off(CLUSTER if self._state.settings.has_cluster else CLOUD):
            return True
        return self._active(UNREACHABLE, api) is not None

    def age_of(self, api: str) -> timedelta:
        """How old its lists and views are."""
        fault = self._active(STALE, api)
        return fault.age if fault is not None else timedelta(0)

    def dies_half_way(self) -> bool:
        """Whether this create only makes its port, or this upload ends in the middle; uses the fault up."""
        return bool(self._state.faults) and self._take(DIES_HALF_WAY, "") is not None

    def _active(self, kind: str, target: str) -> Fault | None:
        for fault in self._state.faults.values():
            if fault.kind == kind and fault.target == target and fault.since is not None:
                return fault
        return None

    def _take(self, kind: str, target: str) -> Fault | None:
        """One use of a fault; used up, it is gone."""
        for key, fault in self._state.faults.items():
            if fault.kind == kind and fault.target in ("", target) and fault.since is not None:
                return self._state.use_up(key, fault)
        return None


def _error_of(fault: Fault, api: str, verb: str) -> PortError:
    what = fault.text or f"the simulated {api} was told to fail this call"
    if fault.error == "Throttled":
        return Throttled(what=what, where=f"{api}.{verb}", after=fault.age or None)
    return ERRORS[fault.error](what=what, where=f"{api}.{verb}")
