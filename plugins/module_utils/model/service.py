# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain machine's side towards its users: its member at the balancer, and whether it serves. It takes the place of a node."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import OUT, SERVING, Member
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the balancer and the probes say of one machine, put together.

    `member` None: no member of the backend. `chosen` is the mark, which the pool's record carries. `ready` says that it serves: a
    member that takes sessions, found well by its probes and not ill by the balancer's check; None: nobody knows yet. `is_well` is the
    probes' word alone. `since` is when that, or its opposite, began, as far as this run can know;
    `stands_since` is when this run saw its member become what it is, None: it found it so. `is_changing`: a call about its member is
    under way.
    """

    member: Member | None = None
    chosen: Note | None = None
    ready: bool | None = None
    is_well: bool | None = None
    since: datetime
    stands_since: datetime | None = None
    is_changing: bool = False

    @property
    def is_out(self) -> bool:
        """No member, and about to become none: nobody is sent there."""
        return self.member is None and not self.is_changing

    @property
    def was_ready(self) -> bool:
        """It serves, or served, or could: machines become members only once they are well."""
        return self.member is not None or self.is_well is True

    @property
    def is_held(self) -> bool:
        """A person takes it out, or drains it: left alone, as a node that a person cordoned."""
        return self.member is not None and self.chosen is None and not self.is_changing and self.member.state != SERVING

    @property
    def is_drained(self) -> bool:
        """Nobody is being served. Where the balancer does not count by member nobody knows, which is no."""
        return self.member is None or (self.member.state != SERVING and self.member.sessions == 0)

    @property
    def is_taken_out(self) -> bool:
        """Somebody put it into maintenance."""
        return self.member is not None and self.member.state == OUT
