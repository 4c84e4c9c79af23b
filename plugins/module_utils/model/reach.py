# SPDX-License-Identifier: GPL-3.0-or-later
"""How an operator's command finds a pool, and the command itself, as a line for a shell.

A pool is known by its cluster, or its cloud, as well as by its name, so a command that went to the terminal's own one would steer
another pool, or none. Arguments stand as `key=value` where they can: a result is shown as JSON, which puts a backslash before each
double quote, and a line copied from there would not run.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import NamedTuple

MODULE = "immutable.fleet.node_pool_control"
_PLAIN = re.compile(r"[A-Za-z0-9_@%+:./~-]+")  # means the same to a shell, to Ansible's key=value, and to its dict in a text


class Reach(NamedTuple):
    """What a command says of the pool's cluster: the options of the pool's own task, without what is secret.

    `secrets` are the environment variables that hold what was left out; with them set the command works.
    """

    provider: str = "kubernetes"  # or openstack, simulated
    options: Mapping[str, str] = {}
    secrets: tuple[str, ...] = ()


CURRENT_CONTEXT = Reach()


def control(name: str, reach: Reach, state: str, *, then: str = "", **options: str) -> str:
    """The command that asks for `state` of pool `name`. `then`, what is left to do afterwards, stands behind it as a comment."""
    arguments = {"name": name, "state": state, **options}
    values = [*arguments.values(), *reach.options.values()]
    if all(_PLAIN.fullmatch(value) for value in values):
        where = ",".join(f"{key}={value}" for key, value in reach.options.items()) or "{}"
        given = " ".join(f"{key}={value}" for key, value in {**arguments, reach.provider: where}.items())
    else:
        given = json.dumps({**arguments, reach.provider: dict(reach.options)})
    notes = [f"with {' and '.join(reach.secrets)} set"] if reach.secrets else []
    comment = ", ".join([*notes, then] if then else notes)
    return f"ansible localhost -m {MODULE} -a {_quoted(given)}" + (f"  # {comment}" if comment else "")


def _quoted(text: str) -> str:
    """As shlex.quote, with quotes also where the shell needs none: so one sees where the arguments end."""
    quoted = shlex.quote(text)
    return quoted if quoted != text else f"'{text}'"
