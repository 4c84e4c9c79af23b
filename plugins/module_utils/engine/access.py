# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks an API server, before the first write of a run, whether the account may do all that the run will have to.

One short call for each right, all at once. What a run has done by then it need not ask: it has listed everything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, FleetError, PortError
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Access, Runtime

if TYPE_CHECKING:  # few runs need it
    from ansible_collections.immutable.fleet.plugins.module_utils.model.access import Right


class Admission:
    """What is known of the account's rights. `refusal` and `unknown` hold once it `is_known`."""

    def __init__(self, access: Access, runtime: Runtime, *, waits: bool) -> None:
        """`waits` False: a run of one turn, which has to know in that turn."""
        self.is_known = False
        self.refusal: Denied | None = None
        self.unknown = ""  # why something could not be asked, in the server's words
        self._access, self._runtime, self._waits = access, runtime, waits
        self._rights: tuple[Right, ...] | None = None  # None: not asked yet
        self._answers: dict[Right, object] = {}

    def ask(self, *, removes: bool) -> None:
        """Once; `removes` as in ports.Access."""
        if self._rights is not None:
            return
        self._rights = tuple(right for right in self._access.needs(removes=removes) if right.verb != "list")
        for right in self._rights:
            self._call(partial(self._access.may, right), partial(self._heard, self._rights, right))

    def _heard(self, rights: tuple[Right, ...], right: Right, may: object) -> None:
        self._answers[right] = may
        if len(self._answers) < len(rights):
            return
        missing = [each for each in rights if self._answers[each] is False]  # None: no answer, which is no refusal
        if missing:
            self._call(self._access.user, partial(self._refuse, missing))
        else:
            self.is_known = True

    def _refuse(self, missing: list[Right], user: object) -> None:
        from ansible_collections.immutable.fleet.plugins.module_utils.decide.access import denial

        self.refusal = denial(missing, str(user or ""))
        self.is_known = True

    def _call(self, call: Callable[[], object], then: Callable[[object], None]) -> None:
        def answered(result: object, error: Exception | None) -> None:
            if isinstance(error, PortError):
                self.unknown = self.unknown or str(error)
            elif error is not None:
                raise error
            then(result)

        if self._waits:
            self._runtime.submit(call, answered)
            return
        try:
            answered(call(), None)
        except PortError as error:
            answered(None, error)


def in_full(error: FleetError, access: Access | None) -> FleetError:
    """`error`; where the API server refused one thing, all that the account lacks: nobody should learn of it piece by piece."""
    if access is None or not isinstance(error, Denied):
        return error
    from ansible_collections.immutable.fleet.plugins.module_utils.decide.access import denial

    try:
        missing = [right for right in access.needs(removes=False) if not access.may(right)]
        return denial(missing, access.user()) if missing else error
    except PortError:
        return error
