# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the API server's clock is from ours, learned from the Date header of every answer.

A Date header has whole seconds, so one answer only says that the difference lies within an interval (a second plus the
duration of the call). Intervals of many answers are cut with one another. While zero is possible the clocks agree, as with NTP
everywhere: then no instant is moved, and facts do not change because an estimate did.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

_DATE_RESOLUTION = timedelta(seconds=1)
_NONE = timedelta(0)


class Skew:
    """`now` is local minus server: what to add to a server's instant to have it in the loop's clock. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._least: timedelta | None = None
        self._most = _NONE

    @property
    def now(self) -> timedelta:
        """The smallest difference that explains all answers since the clocks last stepped."""
        with self._lock:
            if self._least is None:
                return _NONE
            return max(self._least, min(self._most, _NONE))

    def learn(self, date: str | None, begun: datetime, ended: datetime) -> None:
        """Take in an answer that was asked for at `begun` and was there at `ended`. A missing or odd header says nothing."""
        try:
            said = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if said.tzinfo is None:
            return
        least, most = begun - said - _DATE_RESOLUTION, ended - said
        with self._lock:
            if self._least is None or least > self._most or most < self._least:  # the first, or a clock was set
                self._least, self._most = least, most
            else:
                self._least, self._most = max(least, self._least), min(most, self._most)
