# SPDX-License-Identifier: GPL-3.0-or-later
"""A golden image's life as playbooks tell it: published, promoted, followed by a pool, rolled back, revoked, cleaned up."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.tests.playbooks.conftest import Site

CHANNEL = "web/stable"
WHO = "bakery@example.org"


class Bakery:
    """Tasks about the image "web" of a site's world."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.store = {"world": str(site.world)}

    def publish(self, version: str, *, register: str, failing: bool = False, content: str = "", **options: Any) -> dict[str, Any]:
        """A file with its own content for each version."""
        path = self.site.folder / f"{version}.raw"
        path.write_text(content or version, encoding="utf-8")
        given = {"name": "web", "version": version, "path": str(path), "format": "raw", "simulated": self.store, **options}
        return self.site.task("golden_image", given, register=register, failing=failing)

    def image(self, state: str, *, register: str, failing: bool = False, **options: Any) -> dict[str, Any]:
        given = {"name": "web", "state": state, "simulated": self.store, **options}
        return self.site.task("golden_image", given, register=register, failing=failing)

    def channel(self, state: str = "promoted", *, register: str, failing: bool = False, **options: Any) -> dict[str, Any]:
        given = {"channel": CHANNEL, "state": state, "simulated": self.store, **options}
        return self.site.task("golden_image_channel", given, register=register, failing=failing)

    def info(self, *, register: str, **options: Any) -> dict[str, Any]:
        return self.site.task("golden_image_info", {"name": "web", "simulated": self.store, **options}, register=register)

    def pool(self, *, register: str, failing: bool = False, **image: str) -> dict[str, Any]:
        given = {"name": "web", "replicas": 2, "image": image, "simulated": self.store, "strategy": {"max_surge": 2}}
        return self.site.task("node_pool", given, register=register, failing=failing)


@pytest.fixture
def bakery(site: Site) -> Bakery:
    return Bakery(site)


def failures(results: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """`{task: (code, where)}` of those that failed."""
    return {name: (each["failure"]["code"], each["failure"]["where"]) for name, each in results.items() if each.get("failed")}


def test_a_pool_follows_its_channel(bakery: Bakery) -> None:
    """There and back again; what is revoked is left, and cannot be used any more."""
    run = bakery.site.run(
        [
            bakery.site.make_world(),
            bakery.publish("1", register="made"),
            bakery.publish("1", register="made_again"),
            bakery.publish("2", register="made_2", parent="web@1"),
            bakery.channel(version="1", register="first"),
            bakery.channel(version="1", register="first_again"),
            bakery.pool(register="pool_1", channel=CHANNEL),
            bakery.pool(register="pool_1_again", channel=CHANNEL),
            bakery.channel(version="2", register="second"),
            bakery.pool(register="pool_2", channel=CHANNEL),
            bakery.channel("rolled_back", version="2", register="back"),
            bakery.channel("rolled_back", version="2", register="back_again"),
            bakery.channel(version="2", register="forth"),
            bakery.image("revoked", version="2", reason="CVE-2026-1", register="revoked"),
            bakery.image("revoked", version="2", reason="CVE-2026-1", register="revoked_again"),
            bakery.info(register="info"),
            bakery.pool(register="pool_back", channel=CHANNEL),
            bakery.pool(register="pinned", failing=True, name="web", version="2"),
            bakery.channel(version="2", register="promoted_revoked", failing=True),
        ]
    )
    assert run.code == 0, run.text
    changed = [name for name, result in run.results.items() if result["changed"]]
    assert changed == ["made", "made_2", "first", "pool_1", "second", "pool_2", "back", "forth", "revoked", "pool_back"]
    assert failures(run.results) == {
        "pinned": ("blocked", "image.name, image.version"),
        "promoted_revoked": ("blocked", f"channel {CHANNEL}"),
    }
    assert "revoked by" in run["pinned"]["msg"]
    assert "CVE-2026-1" in run["pinned"]["msg"]
    points = {name: run[name]["version"] for name in ("first", "second", "back", "back_again", "forth")}
    assert points == {"first": "1", "second": "2", "back": "1", "back_again": "1", "forth": "2"}
    assert [each["kind"] for each in run["forth"]["history"]] == ["promote", "rollback", "promote", "promote"]
    assert len(run["revoked"]["machines"]) == 2
    assert run["pool_back"]["revision"] == run["pool_1"]["revision"] != run["pool_2"]["revision"]
    assert run["info"]["channels"][CHANNEL]["version"] == "1"
    said = {
        each["version"]: (each["channels"], each["ancestry"], bool(each["revoked"]), len(each["machines"]))
        for each in run["info"]["versions"]
    }
    assert said == {"1": ([CHANNEL], [], False, 0), "2": ([], ["web@1"], True, 2)}


def test_a_manifest_that_was_written_with_the_image_is_kept(bakery: Bakery) -> None:
    """Where it comes from, and its bill of materials, which lies beside it; one of other bytes is refused."""
    folder = bakery.site.folder
    image, manifest = folder / "disk.raw", folder / "manifest.json"
    image.write_text("built", encoding="utf-8")
    (folder / "bill.json").write_text('{"packages": []}', encoding="utf-8")
    written = {
        "name": "web",
        "version": "5f0c4b1d9a37",
        "digest": "sha256:" + sha256(b"built").hexdigest(),
        "created_at": "2026-11-21T04:10:07Z",
        "format": "raw",
        "git_commit": "0a1b2c3",
        "inputs": {"role web": "sha256:1"},
        "sbom": "bill.json",
    }
    manifest.write_text(json.dumps(written), encoding="utf-8")
    wrong = folder / "wrong.json"
    wrong.write_text(json.dumps({**written, "digest": "sha256:" + "0" * 64}), encoding="utf-8")
    given = {"name": "web", "path": str(image), "simulated": bakery.store}
    run = bakery.site.run(
        [
            bakery.site.make_world(),
            bakery.site.task("golden_image", {**given, "manifest": str(wrong)}, register="wrong", failing=True),
            bakery.site.task("golden_image", {**given, "manifest": str(manifest)}, register="made"),
            bakery.site.task("golden_image", {**given, "manifest": str(manifest)}, register="again"),
            bakery.info(register="info", package="bash"),
        ]
    )
    assert run.code == 0, run.text
    assert failures(run.results) == {"wrong": ("invalid", "path")}
    assert (run["made"]["changed"], run["again"]["changed"]) == (True, False)
    (version,) = run["info"]["versions"]
    assert {name: version[name] for name in ("version", "git_commit", "inputs", "created_at")} == {
        name: written[name] for name in ("version", "git_commit", "inputs", "created_at")
    }
    assert version["sbom"] == str(folder / "bill.json")
    assert run["info"]["package"]["unknown"] == {}


def test_check_mode_changes_nothing(bakery: Bakery) -> None:
    """And says what would be."""
    tasks = [
        bakery.publish("2", register="made"),
        bakery.channel(version="1", register="promoted"),
        bakery.image("revoked", version="1", reason="x", register="revoked"),
    ]
    before = bakery.site.run([bakery.site.make_world(), bakery.publish("1", register="made")])
    assert before.code == 0, before.text
    run = bakery.site.run([{**task, "check_mode": True} for task in tasks] + [bakery.info(register="info")])
    assert run.code == 0, run.text
    assert [run[name]["changed"] for name in ("made", "promoted", "revoked")] == [True, True, True]
    assert run["promoted"]["version"] == "1"
    assert [(each["version"], each["revoked"]) for each in run["info"]["versions"]] == [("1", "")]
    assert run["info"]["channels"] == {}


def test_only_what_the_bakery_signed_is_used(bakery: Bakery) -> None:
    """Where a pool asks for it."""
    key, allowed = bakery.site.folder / "key", bakery.site.folder / "allowed"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
    allowed.write_text(f"{WHO} {Path(f'{key}.pub').read_text(encoding='utf-8')}", encoding="utf-8")
    asks = {"signed_by": WHO, "allowed_signers": str(allowed)}
    run = bakery.site.run(
        [
            bakery.site.make_world(),
            bakery.publish("1", register="unsigned"),
            bakery.publish("2", register="signed", sign_with=str(key)),
            bakery.pool(register="refused", failing=True, name="web", version="1", **asks),
            bakery.pool(register="made", name="web", version="2", **asks),
        ]
    )
    assert run.code == 0, run.text
    assert failures(run.results) == {"refused": ("refused", "image.signed_by")}
    assert (run["unsigned"]["is_signed"], run["signed"]["is_signed"], len(run["made"]["machines"])) == (False, True, 2)


def test_what_nobody_needs_is_removed(bakery: Bakery) -> None:
    """The last three of the channel stay, and what a machine runs."""
    tasks = [bakery.site.make_world(), bakery.publish("0", register="published_0"), bakery.pool(register="pool", name="web", version="0")]
    for number in range(1, 6):
        tasks += [bakery.publish(str(number), register=f"published_{number}"), bakery.channel(version=str(number), register=f"at_{number}")]
    run = bakery.site.run([*tasks, bakery.image("retained", min_age="0", register="cleaned"), bakery.info(register="info")])
    assert run.code == 0, run.text
    assert run["cleaned"]["removed"] == ["web@1", "web@2"]
    assert sorted(each["version"] for each in run["info"]["versions"]) == ["0", "3", "4", "5"]
    assert run["cleaned"]["kept"]["web@0"].endswith("and 1 more run it")


def test_where_a_package_is(bakery: Bakery) -> None:
    """By the bills of materials, down to the machines; what nobody can tell is said."""
    bill = bakery.site.folder / "bill.json"
    bill.write_text(json.dumps({"bomFormat": "CycloneDX", "components": [{"name": "openssl", "version": "3.0.13"}]}), encoding="utf-8")
    run = bakery.site.run(
        [
            bakery.site.make_world(),
            bakery.publish("1", register="made", sbom=str(bill)),
            bakery.publish("2", register="unknown"),
            bakery.pool(register="pool", name="web", version="1"),
            bakery.info(register="has", package="openssl", package_version="3.0.13"),
            bakery.info(register="has_not", package="openssl", package_version="3.0.14"),
        ]
    )
    assert run.code == 0, run.text
    machines = sorted(machine["name"] for machine in run["pool"]["machines"])
    assert run["has"]["package"]["found"] == [{"ref": "web@1", "version": "3.0.13", "machines": machines}]
    assert run["has"]["package"]["unknown"] == {"web@2": "no bill of materials"}
    assert run["has_not"]["package"]["found"] == []


def test_wrong_options_are_refused_by_their_path(bakery: Bakery) -> None:
    """Before anything is touched."""
    wrong = {
        "both": bakery.pool(register="both", failing=True, channel=CHANNEL, name="web", version="1"),
        "half": bakery.pool(register="half", failing=True, name="web"),
        "form": bakery.pool(register="form", failing=True, channel="web"),
        "signers": bakery.pool(register="signers", failing=True, channel=CHANNEL, signed_by=WHO),
        "unknown": bakery.pool(register="unknown", failing=True, channel=CHANNEL),
        "file": bakery.image("published", version="1", path="none", register="file", failing=True),
        "version": bakery.channel(version="a/b", register="version", failing=True),
        "own": bakery.publish("1", register="own", failing=True, properties={"immutable.fleet.x": "1"}),
        "keep": bakery.image("retained", keep=1, register="keep", failing=True),
        "nothing": bakery.channel("rolled_back", register="nothing", failing=True),
    }
    run = bakery.site.run([bakery.site.make_world(), *wrong.values()])
    assert failures(run.results) == {
        "both": ("invalid", "image.channel, image.name"),
        "half": ("invalid", "image.name, image.version"),
        "form": ("invalid", "image.channel"),
        "signers": ("invalid", "image.allowed_signers"),
        "unknown": ("invalid", "image.channel"),
        "file": ("invalid", "path"),
        "version": ("invalid", "version"),
        "own": ("invalid", "properties.immutable.fleet.x"),
        "keep": ("invalid", "keep"),
        "nothing": ("blocked", f"channel {CHANNEL}"),
    }
