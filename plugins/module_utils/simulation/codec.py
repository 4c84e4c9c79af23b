# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows as JSON texts and back. Not pickle: a world file may come from somebody else, and is easier to look into.

Plain JSON values stand for themselves and lists for tuples; all else is a dictionary of one key: `{"t": instant}`,
`{"d": seconds}`, `{"m": mapping}`, `{"c": [class, value, ...]}` with the fields in the order of the class.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import MemberChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Taint
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation import rows
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, Spread

SCHEMA = 5  # of the rows' fields: a file of another schema is refused, worlds are cheap to make anew

_CLASSES: tuple[type[Any], ...] = (
    Capture,
    Leftover,
    MemberChange,
    Pod,
    Profile,
    Spread,
    Taint,
    Vm,
    rows.Backend,
    rows.BackendMember,
    rows.BudgetRow,
    rows.Copy,
    rows.Domain,
    rows.Due,
    rows.Fault,
    rows.Host,
    rows.Image,
    rows.Lease,
    rows.Member,
    rows.PodRow,
    rows.Port,
    rows.Promoted,
    rows.Published,
    rows.Settings,
    rows.Token,
    rows.Volume,
    rows.Workload,
)
_BY_NAME = {cls.__name__: cls for cls in _CLASSES}
_FIELDS = {cls: tuple(each.name for each in fields(cls)) for cls in _CLASSES}


def dump(value: object) -> str:
    """One row as text."""
    return json.dumps(_plain(value), separators=(",", ":"))


def load(text: str) -> Any:
    """The row in a text that `dump` made."""
    return _rich(json.loads(text))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return {"t": value.isoformat()}
    if isinstance(value, timedelta):
        return {"d": value.total_seconds()}
    if isinstance(value, Mapping):
        return {"m": {key: _plain(item) for key, item in value.items()}}
    names = _FIELDS[type(value)]
    return {"c": [type(value).__name__, *[_plain(getattr(value, name)) for name in names]]}


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return tuple([_rich(item) for item in value])
    if not isinstance(value, dict):
        return value
    ((tag, inner),) = value.items()
    if tag == "t":
        return datetime.fromisoformat(inner)
    if tag == "d":
        return timedelta(seconds=inner)
    if tag == "m":
        return {key: _rich(item) for key, item in inner.items()}
    cls = _BY_NAME[inner[0]]
    return cls(**{name: _rich(item) for name, item in zip(_FIELDS[cls], inner[1:], strict=True)})
