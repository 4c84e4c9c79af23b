# SPDX-License-Identifier: GPL-3.0-or-later
"""FM47: the oldest openstacksdk that we allow does the same as the one in .venv, which is the newest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.tests.system.openstack_lab import MARKS, use_or_skip

pytestmark = MARKS

ROOT = Path(__file__).resolve().parents[2]
OLDEST = "openstacksdk==1.0.*"
SCRIPT = """
import json
from datetime import UTC, datetime, timedelta
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.cloud import OpenStackCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError

template = {"image": "golden-v1", "flavor": "m1.tiny", "networks": [{"network": "lab-net"}]}
said = []
for connection in ({"cloud": "user"}, {"cloud": "user-password", "auth": {"password": "wrong"}}, {"cloud": "nowhere"}):
    options = parse_options({**template, **connection})
    cloud = OpenStackCloud("sdkrange", options, call_timeout=timedelta(seconds=20), now=lambda: datetime.now(UTC))
    try:
        said += [cloud.resolve().id, str(cloud.list_vms(None, with_leftovers=True).vms)]
    except FleetError as exc:
        said += [exc.code, exc.where]
print(json.dumps(said))
"""


def said_by(python: str | Path) -> list[str]:
    done = subprocess.run([python, "-c", SCRIPT], check=True, capture_output=True, text=True, timeout=120, cwd=ROOT / "build/collections")
    return list(json.loads(done.stdout))


def test_FM47_the_oldest_sdk_does_the_same_as_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolves, lists, and is refused in the same words."""
    use_or_skip(monkeypatch)
    folder = ROOT / "build/openstacksdk-oldest"
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", OLDEST], check=True)
        (folder / "ready").touch()
    newest = said_by(sys.executable)
    assert newest[1:] == ["()", "denied", "openstack.auth", "invalid", "openstack.cloud"]
    assert said_by(python) == newest
