# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials of an image, from its own package database, as CycloneDX JSON.

Sources: CycloneDX 1.6 (cyclonedx.org/docs/1.6/json), the purl specification's type `deb`, deb-control(5) and dpkg's status file.
Rejected: a library for it. What is written is one list, and a library would be a dependency of every controller.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.tree import Tree
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_instant

DPKG_STATUS = "/var/lib/dpkg/status"
NAMESPACE = uuid.UUID("6a0f3c52-8f0e-5c1f-9d53-0c2a44ce61a5")  # of serial numbers, which are the same for the same image
OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")

Package = tuple[str, str, str]  # name, version, architecture


def bill_of(name: str, version: str, packages: list[Package], distribution: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """The document. `distribution` is what os-release says: ID and VERSION_ID are used."""
    origin = distribution.get("ID", "debian")
    qualifier = f"&distro={quote(origin)}-{quote(distribution['VERSION_ID'])}" if distribution.get("VERSION_ID") else ""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, f'{name}@{version}')}",
        "version": 1,
        "metadata": {
            "timestamp": say_instant(now),
            "tools": {"components": [{"type": "application", "name": "immutable.fleet"}]},
            "component": {"type": "operating-system", "name": name, "version": version, "bom-ref": f"{name}@{version}"},
        },
        "components": [_component(package, origin, qualifier) for package in sorted(packages)],
    }


def packages_in(status: str) -> list[Package]:
    """What dpkg has installed, by the text of its status file. Raises `Invalid` where it lists none."""
    found = [package for package in map(_package, re.split(r"\n\s*\n", status)) if package is not None]
    if not found:
        raise Invalid(what="no package database of dpkg was found in the image; those of other systems are not read yet", where=DPKG_STATUS)
    return found


def distribution_of(tree: Tree) -> dict[str, str]:
    """What os-release(5) says, `{"ID": "debian", "VERSION_ID": "12", ...}`."""
    text = next((text for path in OS_RELEASE if (text := tree.text(path))), "")
    return dict(_assignments(text))


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.isidentifier():
            yield name, value.strip().strip("\"'")


def _package(paragraph: str) -> Package | None:
    fields = dict(re.findall(r"(?m)^(Package|Version|Architecture|Status):[ \t]*(.*?)[ \t]*$", paragraph))
    if not fields.get("Status", "").endswith(" installed"):
        return None
    return fields.get("Package", ""), fields.get("Version", ""), fields.get("Architecture", "")


def _component(package: Package, origin: str, qualifier: str) -> dict[str, str]:
    name, version, architecture = package
    purl = f"pkg:deb/{quote(origin)}/{quote(name)}@{quote(version, safe='')}?arch={quote(architecture)}{qualifier}"
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}
