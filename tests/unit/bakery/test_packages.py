# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages are read from both kinds of bills of materials; one that was changed, or is none, is refused."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.packages import packages_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

CYCLONEDX = {"bomFormat": "CycloneDX", "components": [{"name": "openssl", "version": "3.0.13"}, {"name": "bash"}]}
SPDX = {"spdxVersion": "SPDX-2.3", "packages": [{"name": "bash"}, {"name": "openssl", "versionInfo": "3.0.13"}]}


@pytest.mark.parametrize("bill", [CYCLONEDX, SPDX], ids=["CycloneDX", "SPDX"])
def test_packages_with_their_versions(tmp_path: Path, bill: Any) -> None:
    file = tmp_path / "bill.json"
    file.write_text(json.dumps(bill), encoding="utf-8")
    assert packages_of(str(file), "sha256:" + sha256(file.read_bytes()).hexdigest()) == (("bash", ""), ("openssl", "3.0.13"))


@pytest.mark.parametrize("content", ["", "[1]", '{"components": [{}]}', "<xml/>"])
def test_what_is_no_bill_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "bill").write_text(content, encoding="utf-8")
    with pytest.raises(Invalid, match="is no bill of materials"):
        packages_of(str(tmp_path / "bill"))


def test_a_bill_that_is_not_the_manifests_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bill").write_text("{}", encoding="utf-8")
    with pytest.raises(Invalid, match="the manifest says sha256:0"):
        packages_of(str(tmp_path / "bill"), "sha256:0")
    with pytest.raises(Invalid, match="cannot be read"):
        packages_of(str(tmp_path / "none"))
