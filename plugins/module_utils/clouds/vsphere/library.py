# SPDX-License-Identifier: GPL-3.0-or-later
"""An item of a content library as a template to clone from.

An item of the type vm-template is a template of the inventory that the library looks after; vCenter tells which, and it is cloned like any
other, with everything in one call. An OVF item is a file: the call that deploys it takes neither hardware nor guestinfo, and does not
power on, so a machine would take four calls, and be half-made between them. Those are refused.
"""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.transport import Transport
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import VM, Ref
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

VM_TEMPLATE = "vm-template"
LIBRARY, ITEM, TEMPLATES = "/api/content/library", "/api/content/library/item", "/api/vcenter/vm-template/library-items"


def template_of(transport: Transport, library: str, item: str) -> Ref:
    """The template that the item of this name has now. Four calls. Raises `Invalid`, with what is wrong with which name."""
    found = _only(transport.ask(f"{LIBRARY}?action=find", {"name": library}), f"content library {library!r}", "vsphere.content_library")
    where = "vsphere.template"
    said = f"item {item!r} of the content library {library!r}"
    item_id = _only(transport.ask(f"{ITEM}?action=find", {"library_id": found, "name": item}), said, where)
    kind = (transport.ask(f"{ITEM}/{item_id}") or {}).get("type", "")
    if kind != VM_TEMPLATE:
        what = f"the {said} is of the type {kind or 'none'}, from which vCenter makes no machine with its settings in one call"
        raise Invalid(what=f"{what}; expected a VM template: clone one to the library as such", where=where)
    template = (transport.ask(f"{TEMPLATES}/{item_id}") or {}).get("vm_template")
    if not template:
        raise Invalid(
            what=f"vCenter does not say which template the {said} is; expected one that is whole, on vCenter 7.0 U2 or newer", where=where
        )
    return Ref(VM, str(template))


def _only(ids: object, said: str, where: str) -> str:
    """The only one. Names need not be unique in vCenter."""
    found = [str(each) for each in ids] if isinstance(ids, list) else []
    if len(found) != 1:
        more = f"there are {len(found)}: {', '.join(sorted(found))}; expected one: rename the others" if found else "there is none"
        raise Invalid(what=f"{said}: {more}", where=where)
    return found[0]
