# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account may do at an API server, in the words of its access control."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One verb on one kind of object. `namespace` "" is the whole cluster; `name` "" is any object.

    `resource` is in the plural, with its subresource: "nodes", "pods/eviction". `group` is that of its API, "" for the core.
    """

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    name: str = ""
