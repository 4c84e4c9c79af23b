# SPDX-License-Identifier: GPL-3.0-or-later
"""An item of a content library as a template: which it is, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.library import template_of
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.templates import find_source
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import VM, Ref
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import GIVEN, WORLD, FakeTransport

LIBRARIES, ITEMS = "/api/content/library?action=find", "/api/content/library/item?action=find"
ITEM, TEMPLATE = "/api/content/library/item/i-1", "/api/vcenter/vm-template/library-items/i-1"
ANSWERS: dict[str, Any] = {
    LIBRARIES: ["l-1"],
    ITEMS: ["i-1"],
    ITEM: {"id": "i-1", "name": "base", "type": "vm-template"},
    TEMPLATE: {"guest_os": "DEBIAN_12_64", "vm_template": "vm-98"},
}


class Vcenter(FakeTransport):
    """One that answers the Automation API, too."""

    def __init__(self, **changed: Any) -> None:
        super().__init__(WORLD, **{**ANSWERS, **changed})


def test_an_item_is_the_template_that_the_library_looks_after() -> None:
    """Four questions, whatever is in the library."""
    vcenter = Vcenter()
    assert template_of(vcenter, "images", "base") == Ref(VM, "vm-98")
    assert vcenter.calls == [f"ask {path}" for path in ANSWERS]
    assert vcenter.arguments[:2] == [{"name": "images"}, {"library_id": "l-1", "name": "base"}]


@pytest.mark.parametrize(
    ("changed", "where", "what"),
    [
        ({LIBRARIES: []}, "vsphere.content_library", "content library 'images': there is none"),
        ({LIBRARIES: ["l-1", "l-2"]}, "vsphere.content_library", "there are 2: l-1, l-2; expected one"),
        ({ITEMS: None}, "vsphere.template", "item 'base' of the content library 'images': there is none"),
        ({ITEM: {"type": "ovf"}}, "vsphere.template", "is of the type ovf, from which vCenter makes no machine with its settings"),
        ({TEMPLATE: {}}, "vsphere.template", "does not say which template"),
    ],
)
def test_a_name_that_means_no_template_is_refused(changed: dict[str, Any], where: str, what: str) -> None:
    with pytest.raises(Invalid) as refused:
        template_of(Vcenter(**changed), "images", "base")
    assert refused.value.where == where
    assert what in refused.value.what


def test_a_pool_asks_its_library_unless_a_rollout_pinned_what_it_said() -> None:
    """FM37: a version that is checked in meanwhile is another template."""
    template = parse_options({**GIVEN, "content_library": "images", "template": "base"}).template
    vcenter = Vcenter()
    assert find_source(vcenter, None, template, {}) == Ref(VM, "vm-98")  # type: ignore[arg-type]  # no name is looked up
    pinned = {"asked": "base", "id": "vm-97"}
    assert find_source(vcenter, None, template, pinned) == Ref(VM, "vm-97")  # type: ignore[arg-type]
    assert len(vcenter.calls) == len(ANSWERS)
