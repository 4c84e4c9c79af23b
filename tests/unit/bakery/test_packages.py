# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages are read from both kinds of bills of materials; one that was changed, or is none, is refused."""

from __future__ import annotations

import json
import threading
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
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


def test_a_bill_is_fetched_by_its_url(tmp_path: Path) -> None:
    """From any web server; one that is not there is said."""
    (tmp_path / "bill.json").write_text(json.dumps(SPDX), encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        assert packages_of(f"{url}/bill.json") == (("bash", ""), ("openssl", "3.0.13"))
        with pytest.raises(Invalid, match="404"):
            packages_of(f"{url}/none.json")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_said: object) -> None:
        pass
