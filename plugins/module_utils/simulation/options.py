# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a dictionary that a person wrote: every refusal names the option's path, and no option is silently ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import duration
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Spread, constant, lognormal, uniform

_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Options:
    """One dictionary at `where`. A missing or null option is "not said": "", None or nothing."""

    def __init__(self, raw: object, where: str = "") -> None:
        if not isinstance(raw, Mapping):
            raise Invalid(what=f"{raw!r} is not a dictionary", where=where)
        self._raw: Mapping[str, Any] = raw
        self._known: set[str] = set()
        self.where = where

    def path(self, name: str) -> str:
        """Where an option stands."""
        return f"{self.where}.{name}" if self.where else name

    def refuse_others(self) -> None:
        """Raise `Invalid` for an option that nobody asked for: it is misspelt, or does not exist."""
        for name in self._raw:
            if name not in self._known:
                raise Invalid(what=f"unknown option; expected one of {', '.join(sorted(self._known))}", where=self.path(str(name)))

    def text(self, name: str, *, required: bool = False, one_of: tuple[str, ...] = ()) -> str:
        """A text; numbers are taken as such."""
        value = self._get(name)
        if value is None or value == "":
            if required:
                raise Invalid(what="missing", where=self.path(name))
            return ""
        if isinstance(value, Mapping | list | tuple):
            raise Invalid(what=f"{value!r} is not a text", where=self.path(name))
        if one_of and str(value) not in one_of:
            raise Invalid(what=f"{value!r} is not known; expected one of {', '.join(one_of)}", where=self.path(name))
        return str(value)

    def is_text(self, name: str, text: str) -> bool:
        """Whether the option is just this word."""
        return bool(self._get(name) == text)

    def number(self, name: str, *, least: int | None = None) -> int | None:
        """A whole number."""
        value = self._get(name)
        if value is None:
            return None
        try:
            number = int(str(value))
        except ValueError:
            raise Invalid(what=f"{value!r} is not a whole number", where=self.path(name)) from None
        if least is not None and number < least:
            raise Invalid(what=f"{number} is too small; expected at least {least}", where=self.path(name))
        return number

    def share(self, name: str) -> float:
        """A number from 0 to 1; 0 where it is not said."""
        value = self._get(name)
        try:
            share = float(0 if value is None else value)
        except (TypeError, ValueError):
            share = -1.0
        if not 0.0 <= share <= 1.0:
            raise Invalid(what=f"{value!r} is not a share; expected a number from 0 to 1", where=self.path(name))
        return share

    def flag(self, name: str) -> bool | None:
        """Yes or no, as YAML and Ansible write them."""
        value = self._get(name)
        if value is None:
            return None
        flag = _FLAGS.get(str(value).lower())
        if flag is None:
            raise Invalid(what=f"{value!r} is neither true nor false", where=self.path(name))
        return flag

    def duration(self, name: str) -> timedelta | None:
        """Seconds, or a text such as "90s", "1h30m"."""
        value = self._get(name)
        return None if value is None else duration(value, self.path(name))

    def spread(self, name: str) -> Spread | None:
        """A duration, `{"min", "max"}`, or `{"median", "sigma"}`."""
        value = self._get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            return constant(duration(value, self.path(name)).total_seconds())
        inner = Options(value, self.path(name))
        low, high, median = (inner.duration(each) for each in ("min", "max", "median"))
        sigma = inner.text("sigma")
        inner.refuse_others()
        if median is not None and low is high is None:
            try:
                return lognormal(median.total_seconds(), float(sigma or 0.5))
            except ValueError:
                raise Invalid(what=f"{sigma!r} is not a number", where=inner.path("sigma")) from None
        if low is not None and high is not None and median is None and not sigma:
            return uniform(low.total_seconds(), high.total_seconds())
        raise Invalid(what="expected a duration, or min and max, or median and sigma", where=inner.where)

    def inner(self, name: str) -> Options:
        """A dictionary; an empty one where it is not said."""
        value = self._get(name)
        return Options({} if value is None else value, self.path(name))

    def named(self, name: str) -> Iterator[tuple[str, Options]]:
        """A dictionary of dictionaries."""
        inner = self.inner(name)
        for key, value in inner._raw.items():  # noqa: SLF001  # one of our own kind
            yield str(key), Options({} if value is None else value, inner.path(str(key)))

    def inners(self, name: str, *, text_is: str = "") -> Iterator[Options]:
        """A list of dictionaries, or one alone; with `text_is`, a text stands for a dictionary of that option."""
        value = self._get(name)
        if value is None:
            return
        for index, item in enumerate(value if isinstance(value, list | tuple) else [value]):
            is_short = bool(text_is) and not isinstance(item, Mapping)
            yield Options({text_is: item} if is_short else item, f"{self.path(name)}[{index}]")

    def _get(self, name: str) -> Any:
        self._known.add(name)
        return self._raw.get(name)
