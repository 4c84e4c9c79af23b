# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cloud has left for a pool, and what one more machine takes of it."""

from __future__ import annotations

from dataclasses import dataclass

ANSWER = "{limit}"  # in a remedy: the limit that would do


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource that has an end. `used` counts what everybody takes of it, machines that are going and failed ones too.

    `name` is what a person calls it ("cores"), `unit` "" for a count. `where` names whose limit it is. `remedy` is the command
    that widens it, with `{limit}` where the number goes.
    """

    name: str
    limit: int
    used: int
    each: int  # what one machine takes
    where: str
    unit: str = ""
    remedy: str = ""

    @property
    def fits(self) -> int:
        """How many more machines it has room for; a limit that was lowered below what is used has none."""
        return max(0, self.limit - self.used) // self.each

    def short_of(self, machines: int) -> str:
        """Why so many more do not fit, with the numbers: "RAM: 3072 of 4096 MiB used, a machine takes 2048"."""
        unit = f" {self.unit}" if self.unit else ""
        takes = f"{machines} more take {machines * self.each}" if machines > 1 else f"one more takes {self.each}"
        return f"{self.name}: {self.used} of {self.limit}{unit} used, {takes}"

    def remedy_for(self, machines: int) -> str:
        """The command that makes room for so many more; "" where nobody knows one."""
        return self.remedy.replace(ANSWER, str(self.used + machines * self.each))


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """All resources that a machine takes and that have an end; one without a limit is not among them.

    `unknown` says what could not be read, and why, a sentence each: no evidence, which is not a lack of room.
    """

    resources: tuple[Resource, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def fits(self) -> int | None:
        """How many more machines fit by what is known; None: nothing known limits them."""
        return min((each.fits for each in self.resources), default=None)

    def short_of(self, machines: int) -> tuple[Resource, ...]:
        """What has no room for so many more, the tightest first."""
        return tuple(sorted((each for each in self.resources if each.fits < machines), key=lambda resource: resource.fits))
