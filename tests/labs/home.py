# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the labs live on this machine, the same for all of them."""

import contextlib
import fcntl
from collections.abc import Iterator, Mapping
from pathlib import Path


def home(lab: str, environment: Mapping[str, str]) -> Path:
    """The lab's directory: binaries, state and logs. LAB_HOME holds those of all labs."""
    cache = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(environment.get("LAB_HOME") or Path(cache) / "immutable-fleet-lab") / lab


def port_base(lab: str, default: int, environment: Mapping[str, str]) -> int:
    """First port of the lab, LAB_<NAME>_PORT_BASE."""
    return int(environment.get(f"LAB_{lab.upper()}_PORT_BASE", default))


@contextlib.contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Two people who start the same lab at once wait for each other instead of starting it twice."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
