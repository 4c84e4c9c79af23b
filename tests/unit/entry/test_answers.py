# SPDX-License-Identifier: GPL-3.0-or-later
"""What `--diff` shows: machines counted, and the fields of their revisions that differ."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.immutable.fleet.plugins.module_utils.entry.answers import revision_diff
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import revision_of
from ansible_collections.immutable.fleet.tests.unit.builders import machine

V1 = revision_of({"image": "sha512:one", "flavor": "small"})
V2 = revision_of({"image": "sha512:two", "flavor": "small", "networks": "net-1"}, {"asked": "golden"})
POOL = Pool(name="web", replicas=3, revision=V2)


def made_of(name: str, fields: dict[str, str]) -> Machine:
    it = machine(name)
    return replace(it, vm=replace(it.vm, revision=revision_of(fields).id if fields else "", fields=fields))


def texts(*machines: Machine, pool: Pool = POOL, is_absent: bool = False) -> tuple[str, str]:
    found = revision_diff({each.name: each for each in machines}, pool, is_absent=is_absent)
    return (found["before"], found["after"]) if found else ("", "")


def test_only_fields_that_differ() -> None:
    """With how many machines differ in them; the image's name beside its digest; a field that is new has nothing before."""
    old = dict(V1.fields)
    assert texts(made_of("m1", old), made_of("m2", old), made_of("m3", dict(V2.fields))) == (
        "machines: 3\nimage: sha512:one  (2 machines)\nnetworks: -  (2 machines)\n",
        "machines: 3\nimage: sha512:two  (golden)\nnetworks: net-1\n",
    )


def test_two_old_revisions_are_told_apart() -> None:
    older = {"image": "sha512:none", "flavor": "small", "networks": "net-1"}
    before, after = texts(made_of("m1", dict(V1.fields)), made_of("m2", older))
    assert sorted(line for line in before.splitlines() if "image" in line) == [
        "image: sha512:none  (1 machine)",
        "image: sha512:one  (1 machine)",
    ]
    assert after.count("image:") == 1


def test_machines_that_say_nothing_of_what_they_are_made_of() -> None:
    """Their marks were lost, or somebody else made them."""
    before, _after = texts(made_of("m1", {}))
    assert before == "machines: 1\nflavor: -  (1 machine)\nimage: -  (1 machine)\nnetworks: -  (1 machine)\n"


def test_nothing_differs() -> None:
    assert texts(*(made_of(f"m{number}", dict(V2.fields)) for number in range(3))) == ("", "")


def test_a_pool_that_is_scaled() -> None:
    assert texts(made_of("m1", dict(V2.fields))) == ("machines: 1\n", "machines: 3\n")


def test_a_new_pool_shows_all_its_fields() -> None:
    assert texts() == ("machines: 0\n", "machines: 3\nflavor: small\nimage: sha512:two  (golden)\nnetworks: net-1\n")


def test_a_pool_that_goes() -> None:
    before, after = texts(made_of("m1", dict(V2.fields)), pool=replace(POOL, replicas=0), is_absent=True)
    assert (before.splitlines()[0], after.splitlines()[0]) == ("machines: 1", "machines: 0")
