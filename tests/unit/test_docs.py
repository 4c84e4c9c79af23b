# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation says what there is."""

from __future__ import annotations

import re
from pathlib import Path

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


def test_every_event_is_documented() -> None:
    """docs/events.md has each verb that the engine tells."""
    page = (DOCS / "events.md").read_text()
    telling = (ROOT / "plugins/module_utils/engine/telling.py").read_text()
    kinds = set(re.findall(r'kind="([a-z ]+)"', telling))
    assert {kind for kind in kinds if f"| `{kind}`" not in page} == set()
