# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, split by who must act and whether waiting helps.

An error carries data; its text is made in `__str__` and at the edge (entry/faces). The class alone decides about
repeating a call: `Transient` and `Throttled` may be tried again after a look, `Denied` and `Invalid` never.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(kw_only=True)
class FleetError(Exception):
    """The one family a face turns into `fail_json`.

    `what` is a sentence an operator understands; `where` names machine, node, pool or option; `since` is when it began;
    `forward` and `back` are commands (or one imperative sentence) that go on and that go back.
    """

    what: str
    where: str = ""
    since: datetime | None = None
    forward: str = ""
    back: str = ""

    code = "failed"

    def __str__(self) -> str:
        return f"{self.what} ({self.where})" if self.where else self.what


class PortError(FleetError):
    """Raised by adapters, handled by the loop."""

    code = "port"


class Transient(PortError):
    """No answer, or an answer that says nothing: whether the call worked is unknown. Look before repeating."""

    code = "unreachable"


@dataclass(kw_only=True)
class Throttled(PortError):
    """The call was refused for now and had no effect; `after` says when to try again, where the server said so."""

    after: timedelta | None = None

    code = "throttled"


class Exhausted(PortError):
    """Quota or capacity is short; the call had no effect. `what` names what is short and by how much."""

    code = "exhausted"


class Conflict(PortError):
    """Somebody else changed the thing first; the call had no effect. Look again."""

    code = "conflict"


class NotFound(PortError):
    """The thing is gone. For a delete that is success."""

    code = "not_found"


class Denied(PortError):
    """Credentials or permission: never repeated, the user acts."""

    code = "denied"


class Invalid(PortError):
    """The request is wrong: unknown flavor, malformed option. Never repeated, the user acts. `where` is the option's path."""

    code = "invalid"


class Refused(FleetError):
    """Not done as asked, for a reason that the user can remove or wait for."""

    code = "refused"


class GivenUp(Refused):
    """New machines never became ready: the image, or what it boots with, is bad."""


class Blocked(Refused):
    """Everything that could be done is done; what is left is blocked by something named in `what`."""

    code = "blocked"


class LockHeld(Refused):
    """Another run holds the pool."""

    code = "lock_held"


class Stalled(Refused):
    """Nothing that could change by any fact or timer happened for `progress_deadline`."""

    code = "stalled"


class Stopped(FleetError):
    """Ended before the end, on purpose or for a lost lock. The same command resumes."""

    code = "stopped"


@dataclass(kw_only=True)
class LibraryMissing(FleetError):
    """An SDK that a provider needs is not installed. The face says it in Ansible's words (`missing_required_lib`)."""

    library: str  # as pip names it, with the versions that do

    code = "library_missing"


class InvariantViolated(FleetError):
    """Our bug. Start nothing more, print the facts."""

    code = "bug"


def ensure(condition: bool, what: str) -> None:
    """Raise `InvariantViolated` unless `condition`; the stand-in for `assert`, which Ansible's sanity tests refuse."""
    if not condition:
        raise InvariantViolated(what=what)
