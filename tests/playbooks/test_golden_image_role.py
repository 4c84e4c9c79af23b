# SPDX-License-Identifier: GPL-3.0-or-later
"""The role golden_image behind the build, and its playbooks: gates, promotions that happen once, one command back."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.tests.playbooks.conftest import Run, Site

CANARY, STABLE = "web/canary", "web/stable"


class Gate(ThreadingHTTPServer):
    """Answers with `status`, and remembers what it was asked."""

    status = 204

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[str] = []


class Answer(BaseHTTPRequestHandler):
    """One answer."""

    def do_GET(self) -> None:
        """As the gate is set."""
        assert isinstance(self.server, Gate)
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Location", "/login")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Nothing of it is shown."""


@pytest.fixture
def gate() -> Iterator[Gate]:
    with Gate() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Bakery:
    """A world with versions 1 and 2 of the image "web", and the playbooks over an inventory of one builder.

    `promoted` are pairs of channel and version.
    """

    def __init__(self, site: Site, *promoted: tuple[str, str]) -> None:
        self.site, self.store = site, {"world": str(site.world)}
        self.inventory = site.folder / "inventory.json"
        variables = {"golden_image_name": "web", "golden_image_channel": STABLE, "golden_image_simulated": self.store}
        hosts = {"builder": {"ansible_connection": "local"}}
        self.inventory.write_text(json.dumps({"all": {"children": {"bakery": {"hosts": hosts}}, "vars": variables}}), encoding="utf-8")
        promotions = (self._promote(channel, version) for channel, version in promoted)
        made = site.run([site.make_world(), *(self._publish(version) for version in ("1", "2")), *promotions])
        assert made.code == 0, made.text

    def play(self, playbook: str, version: str, **variables: Any) -> Run:
        return self.site.run_named(
            f"immutable.fleet.{playbook}", "-i", str(self.inventory), variables={"golden_image_version": version, **variables}
        )

    def points(self) -> dict[str, str]:
        """`{channel: version}`."""
        run = self.site.run([self.site.task("golden_image_info", {"name": "web", "simulated": self.store}, register="info")])
        return {name: channel["version"] for name, channel in run["info"]["channels"].items()}

    def _publish(self, version: str) -> dict[str, Any]:
        path = Path(self.site.folder) / f"{version}.raw"
        path.write_text(version, encoding="utf-8")
        given = {"name": "web", "version": version, "path": str(path), "format": "raw", "simulated": self.store}
        return self.site.task("golden_image", given)

    def _promote(self, channel: str, version: str) -> dict[str, Any]:
        return self.site.task("golden_image_channel", {"channel": channel, "version": version, "simulated": self.store})


def changed(run: Run) -> int:
    """How many tasks changed something on the builder."""
    (count,) = re.findall(r"^builder +: ok=\d+ +changed=(\d+)", run.text, re.MULTILINE)
    return int(count)


def test_a_gate_is_asked_until_it_passed_and_never_again(site: Site, gate: Gate) -> None:
    """A redirect, to a login page as it may be, does not pass."""
    bakery = Bakery(site)
    asks = {"golden_image_gate": {"url": f"http://127.0.0.1:{gate.server_port}/${{image}}/${{version}}?to=${{channel}}"}}
    gate.status = 302
    refused = bakery.play("promote", "1", **asks)
    assert refused.code != 0
    assert bakery.points() == {}
    gate.status = 204
    assert changed(bakery.play("promote", "1", **asks)) == 1
    assert changed(bakery.play("promote", "1", **asks)) == 0
    assert gate.asked == ["/web/1?to=web/stable"] * 2
    assert bakery.points() == {STABLE: "1"}


def test_only_the_very_version_that_pools_refuse_is_revoked(site: Site) -> None:
    """Not one whose name or id the refused one's begins with."""
    bakery = Bakery(site, (STABLE, "1"), (STABLE, "2"))

    def told(where: str) -> Run:
        failure = {"code": "refused", "where": where, "msg": "its machines never became ready"}
        return bakery.play("roll", "2", roll_hosts="nobody", roll_failure=failure)

    assert changed(told("pool web, image web@21")) == 0
    assert bakery.points() == {STABLE: "2"}
    assert changed(told("pool web, image web@2")) == 1
    assert bakery.points() == {STABLE: "1"}


def test_what_was_rolled_back_from_does_not_come_back_by_itself(site: Site) -> None:
    """One command leaves a version, in both channels; run again it changes nothing, and neither does the pipeline."""
    bakery = Bakery(site, (CANARY, "1"), (STABLE, "1"), (CANARY, "2"), (STABLE, "2"))
    given = {"golden_image_reason": "INC-4711", "golden_image_canary": CANARY}
    assert changed(bakery.play("roll_back", "2", **given)) == 1
    assert bakery.points() == {CANARY: "1", STABLE: "1"}
    assert changed(bakery.play("roll_back", "2", **given)) == 0
    again = bakery.play("promote", "2", **given)
    assert (again.code, changed(again)) == (0, 0)
    assert "web/stable points to 1" in again.text


def test_what_the_canary_left_is_not_promoted(site: Site) -> None:
    """The canary's channel points elsewhere, or the version is revoked: the run ends red, and says why."""
    bakery = Bakery(site, (CANARY, "1"))
    given = {"golden_image_canary": CANARY}
    other = bakery.play("promote", "2", **given)
    assert other.code != 0
    assert "web/canary points to 1" in other.text
    bakery.play("roll_back", "1", golden_image_reason="CVE-2026-1", golden_image_revoke=True, **given)
    revoked = bakery.play("promote", "1", **given)
    assert revoked.code != 0
    assert "CVE-2026-1" in revoked.text
    assert bakery.points() == {CANARY: ""}


GATE = "golden_image_gate.command, golden_image_gate.url: expected exactly one of them"
WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "two gates": ("publish", {"gate": {"command": ["true"], "url": "http://gate.example"}}, GATE),
    "a gate that is none": ("publish", {"gate": {"tries": 3}}, GATE),
    "a channel of another image": ("publish", {"channel": "other/stable"}, "other/stable is no channel of web"),
    "no channel": ("publish", {"channel": "web/stable", "canary": "canary"}, "canary is no channel of web"),
    "a format for another store": ("publish", {"vsphere": {"datastore": "templates"}}, "golden_image_format: qcow2; expected vmdk"),
    "no version": ("promote", {"channel": "web/stable"}, "golden_image_version: missing"),
}


def refusal(entry: str, wrong: dict[str, Any], said: str) -> dict[str, Any]:
    """The role, failing with these words."""
    role = {"name": "immutable.fleet.golden_image", "tasks_from": entry}
    given = {f"golden_image_{name}": value for name, value in wrong.items()}
    in_its_words = {"that": "said in ansible_failed_result | string", "fail_msg": "{{ said }}"}
    return {
        "block": [{"ansible.builtin.include_role": role, "vars": given}],
        "rescue": [{"ansible.builtin.assert": in_its_words}],
        "vars": {"said": said},
    }


def test_wrong_options_are_refused_before_anything_is_built(site: Site) -> None:
    """All in one playbook. The store is not there: it is not asked."""
    tasks = [refusal(entry, wrong, said) for entry, wrong, said in WRONG.values()]
    image = {"name": "web", "path": str(site.folder), "file": "/nowhere", "simulated": {"world": "/nowhere"}}
    run = site.run(tasks, vars={f"golden_image_{name}": value for name, value in image.items()})
    assert run.code == 0, run.text
    assert f"rescued={len(WRONG)}" in run.text
