# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation says what there is."""

from __future__ import annotations

import re
from pathlib import Path

from ansible.parsing.splitter import parse_kv

from ansible_collections.immutable.fleet.plugins.module_utils.entry import specs
from ansible_collections.immutable.fleet.plugins.module_utils.entry.spec import Spec
from ansible_collections.immutable.fleet.plugins.module_utils.model.reach import CURRENT_CONTEXT, control
from ansible_collections.immutable.fleet.plugins.module_utils.reports.metrics import HELP

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def test_the_index_has_every_page() -> None:
    """A page that nobody finds was not written."""
    linked = set(re.findall(r"\]\(([\w.-]+\.md)\)", (DOCS / "README.md").read_text()))
    assert linked == {page.name for page in DOCS.glob("*.md")} - {"README.md"}


def test_the_architecture_page_has_every_layer() -> None:
    """It says for people what the import contracts say for the linter."""
    page = (DOCS / "architecture.md").read_text()
    folders = {path.parent.name for path in (ROOT / "plugins/module_utils").glob("*/__init__.py")}
    assert {folder for folder in folders if f"`module_utils/{folder}" not in page and f"`{folder}" not in page} == set()


def test_every_metric_is_documented() -> None:
    """docs/events.md has each name that HELP knows, and no other."""
    section = (DOCS / "events.md").read_text().partition("## Metrics")[2]
    rows = re.findall(r"^\| (`.*?`) \|", section, flags=re.MULTILINE)
    assert set(re.findall(r"`([a-z_]+)[`{]", " ".join(rows))) == set(HELP)


def test_every_command_is_one_that_the_module_takes() -> None:
    """Those of the pages, and those that failures name: each option exists, each state is a choice, and a cluster is named."""
    pages = [ROOT / "README.md", *DOCS.glob("*.md")]
    told = "".join(page.read_text() for page in pages) + control("web", CURRENT_CONTEXT, "released", machine="web-3-x7k2p")
    commands = [parse_kv(text) for text in re.findall(r"fleet\.node_pool_control -a '(.*?)'", told)]
    options = specs.NODE_POOL_CONTROL.options
    assert commands
    for given in commands:
        assert given.keys() <= options.keys(), given
        assert given["state"] in options["state"]["choices"]
        assert all(name in given for state, names in needs_of(specs.NODE_POOL_CONTROL) if state == given["state"] for name in names)
        assert ("kubernetes" in given) != ("simulated" in given), given


def needs_of(spec: Spec) -> list[tuple[str, list[str]]]:
    """Which options a state needs."""
    return [(state, names) for _option, state, names in spec.conditions["required_if"]]
