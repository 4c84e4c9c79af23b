# SPDX-License-Identifier: GPL-3.0-or-later
"""A bill of materials lists what the image's package manager has installed, and nothing that was removed."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.bill import bill_of, distribution_of, packages_in
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.tree import Entry, tree_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.tests.unit.builders import NOW

STATUS = """\
Package: openssl
Status: install ok installed
Architecture: amd64
Version: 3.0.17-1~deb12u3
Description: Secure Sockets Layer toolkit
 Package: this is no field

Package: libstdc++6
Status: hold ok installed
Architecture: amd64
Version: 12.2.0-14+deb12u1

Package: nano
Status: deinstall ok config-files
Architecture: amd64
Version: 7.2-1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 1:2025b-0
"""


def test_what_is_installed_is_listed() -> None:
    """Removed packages whose configuration is left are not; epochs and signs are written as a purl wants them."""
    bill = bill_of("web", "7", packages_in(STATUS), {"ID": "debian", "VERSION_ID": "12"}, NOW)
    assert [(part["name"], part["version"], part["purl"]) for part in bill["components"]] == [
        ("libstdc++6", "12.2.0-14+deb12u1", "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"),
        ("openssl", "3.0.17-1~deb12u3", "pkg:deb/debian/openssl@3.0.17-1~deb12u3?arch=amd64&distro=debian-12"),
        ("tzdata", "1:2025b-0", "pkg:deb/debian/tzdata@1%3A2025b-0?arch=all&distro=debian-12"),
    ]


def test_the_document_names_the_image() -> None:
    """Made twice of the same image, it has the same serial number; CycloneDX wants one."""
    one, two = (bill_of("web", "7", packages_in(STATUS), {}, NOW) for _time in range(2))
    assert one == two
    assert {key: one[key] for key in ("bomFormat", "specVersion", "version")} == {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
    }
    assert one["metadata"]["component"]["bom-ref"] == "web@7"
    assert one["serialNumber"].startswith("urn:uuid:")


def test_an_image_without_a_database_is_refused() -> None:
    """An empty bill would say that nothing is in it."""
    with pytest.raises(Invalid, match="no package database"):
        packages_in("")


def test_the_distribution_is_what_os_release_says() -> None:
    """Followed inside the image: /etc/os-release is a link on most."""
    text = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
    tree = tree_of([Entry("/etc/os-release", "link", target="../usr/lib/os-release"), Entry("/usr/lib/os-release", "file", 9, text)])
    assert distribution_of(tree) == {"PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)", "ID": "debian", "VERSION_ID": "12"}
