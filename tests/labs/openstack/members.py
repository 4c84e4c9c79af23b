# SPDX-License-Identifier: GPL-3.0-or-later
"""What the members of the lab's load balancers report to Octavia, and where their addresses are on this machine.

A member with a health monitor reports UP by default, for the lab's servers do not listen. This is for the operating
status only: traffic goes where HAProxy's own checks say. A report is seen about LAB_LB_HEARTBEAT seconds later.
"""

import json
from pathlib import Path
from typing import Literal

from .site import Site

Word = Literal["UP", "DOWN", "MAINT", "real"]  # ONLINE (DRAINING at weight 0), ERROR, OFFLINE, what HAProxy finds


class Members:
    """`Members().report("web-3", "DOWN")` by id, name or address; `report("*", "real")` for all that are not named."""

    def __init__(self, site: Site | None = None) -> None:
        self.site = site or Site.from_environment()
        self.file: Path = self.site.data / "octavia/members.json"

    def report(self, who: str, word: Word) -> None:
        words = json.loads(self.file.read_text()) if self.file.exists() else {}
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(words | {who: word}))
        new.replace(self.file)

    def reset(self) -> None:
        """Every member reports UP again."""
        self.file.unlink(missing_ok=True)

    def loopback(self, address: str) -> str:
        """Where to listen to be the server with this address, and where to find a VIP: 10.b.c.d -> 127.(b + n).c.d."""
        first, second, third, fourth = address.split(".")
        return address if first == "127" else f"127.{(int(second) + self.site.address_shift) % 256}.{third}.{fourth}"

    def configurations(self) -> dict[str, str]:
        """What each HAProxy runs: {file name: text}."""
        return {file.name: file.read_text() for file in sorted(self.file.parent.glob("haproxy-*.cfg"))}
