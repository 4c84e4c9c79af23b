# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes of a machine's service ports: what is asked how often, and what the answers come to.

A verdict needs several answers alike, so that neither one lost packet nor one lucky answer decides. Until then, and where nobody
could ask, the service is unknown, which is neither healthy nor unhealthy.
Sources: semantics sections 5 and 11; the thresholds are those of Kubernetes' probes and of HAProxy's `rise` and `fall`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

TCP = "tcp"  # a connection is taken
HTTP, HTTPS = "http", "https"  # a request is answered with a status, and perhaps a text, that is expected
TLS = "tls"  # a certificate is shown that is trusted, and valid for some time to come
COMMAND = "command"  # a program of the controller's says so
KINDS = (TCP, HTTP, HTTPS, TLS, COMMAND)

Answer = tuple["bool | None", str]  # (passed, what was said); None: nobody could be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProbe:
    """One question to each machine. `port` 0 is for a command; `host` "" asks for the machine's address.

    `status` are bounds, both included. `expires_in` is how long a certificate has to be valid yet; None: its end is not looked at
    beyond today.
    """

    kind: str
    port: int = 0
    path: str = "/"
    host: str = ""
    status: tuple[tuple[int, int], ...] = ((200, 299),)
    body: str = ""
    verifies: bool = True
    ca_cert: str = ""
    expires_in: timedelta | None = None
    command: tuple[str, ...] = ()
    interval: timedelta = timedelta(seconds=10)
    timeout: timedelta = timedelta(seconds=5)
    consecutive_ok: int = 3
    consecutive_failed: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLook:
    """What a run remembers of one probe of one machine. Losing it costs some answers, never correctness.

    `in_row` counts answers like the last one. `healthy` holds since `since`; None: not enough answers yet, or none to be had.
    `undecided` counts those that came while there was no verdict. `is_pending`: there is none, and there soon will be.
    """

    at: datetime
    passed: bool | None
    what: str
    in_row: int
    healthy: bool | None
    since: datetime
    is_untarnished: bool  # each answer of this run has passed
    undecided: int = 0
    is_pending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What all probes of a machine come to: unhealthy by any of them, healthy by all; else unknown.

    `what` is the last word of the probe that decides, "" where all is well. `is_untarnished`: every probe has answered, and every
    answer of this run has passed, so that who was healthy before is so still. `is_pending`: a verdict is a few answers away. Where a
    probe cannot be asked, or says now this and now that, nobody need wait for one.
    """

    healthy: bool | None
    since: datetime
    what: str = ""
    is_untarnished: bool = False
    is_pending: bool = False


def look_after(before: ProbeLook | None, answer: Answer, probe: ServiceProbe, now: datetime) -> ProbeLook:
    """What to remember after an answer. A verdict stands until as many answers in a row as are asked for say otherwise."""
    passed, what = answer
    in_row = before.in_row + 1 if before is not None and before.passed is passed else 1
    healthy = before.healthy if before is not None else None
    if in_row >= (probe.consecutive_ok if passed else probe.consecutive_failed):
        healthy = passed
    is_same = before is not None and before.healthy is healthy
    undecided = 0 if healthy is not None else before.undecided + 1 if before is not None and is_same else 1
    enough = probe.consecutive_ok + probe.consecutive_failed - 1  # answers that change their mind once come to a verdict by then
    return ProbeLook(
        at=now,
        passed=passed,
        what=what,
        in_row=in_row,
        healthy=healthy,
        since=before.since if before is not None and is_same else now,
        is_untarnished=passed is True and (before is None or before.is_untarnished),
        undecided=undecided,
        is_pending=healthy is None and passed is not None and undecided < enough,
    )


def health_of(looks: Sequence[ProbeLook | None]) -> Health | None:
    """All probes of one machine taken together; None where none has answered yet."""
    answered = [look for look in looks if look is not None]
    if not answered:
        return None
    failed = [look for look in answered if look.healthy is False]
    if failed:
        first = min(failed, key=lambda look: look.since)
        return Health(healthy=False, since=first.since, what=first.what)
    is_untarnished = len(answered) == len(looks) and all(look.is_untarnished for look in answered)
    unknown = [look for look in answered if look.healthy is None]
    if unknown or len(answered) < len(looks):
        first = min(unknown or answered, key=lambda look: look.since)
        what = "" if first.passed else first.what
        is_pending = all(look.is_pending for look in unknown)
        return Health(healthy=None, since=first.since, what=what, is_untarnished=is_untarnished, is_pending=is_pending)
    since = max(look.since for look in answered)
    what = next((look.what for look in answered if not look.passed), "")
    return Health(healthy=True, since=since, what=what, is_untarnished=is_untarnished)
