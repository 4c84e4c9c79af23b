# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation says what there is."""

from __future__ import annotations

import re
from pathlib import Path

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
