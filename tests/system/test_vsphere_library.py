# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines from an item of a content library: cloned like from any template, with everything in one call."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.automation import SESSION, Automation
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.inventory import find_folder, read_inventory
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import DATASTORE, POOL, VM, Ref
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.tests.labs.vsphere.simulator import Simulator
from ansible_collections.immutable.fleet.tests.system.vsphere_lab import CALL_TIMEOUT, LabPool, Recording, connection, pool, use_or_skip

pytestmark = pytest.mark.lab

SOURCE = "golden-base-v1"
QUESTIONS = 4  # of a run, for its template


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    found = use_or_skip()
    yield found
    found.reset()


@dataclass(frozen=True)
class Library:
    """A library of a name that nobody else uses, with a VM template and an OVF item."""

    name: str
    template: str
    ovf: str


@pytest.fixture
def library(simulator: Simulator) -> Iterator[Library]:
    given = parse_options(connection()).connection
    asked = Automation(given, ssl.create_default_context(cafile=given.ca_cert), CALL_TIMEOUT)
    transport = Recording(given)
    names = read_inventory(transport)
    store, fleet = (min(ref.id for ref in names.of_kind(kind, None) if names.name(ref) == name) for kind, name in PLACES)
    placement = {"folder": find_folder(names, "", "templates").id, "resource_pool": fleet}
    transport.close()
    made = Library(*(f"{what}-{secrets.token_hex(3)}" for what in ("images", "base", "appliance")))
    spec = {"name": made.name, "type": "LOCAL", "storage_backings": [{"datastore_id": store, "type": "DATASTORE"}]}
    key = asked.ask("/rest/com/vmware/content/local-library", {"create_spec": spec})["value"]
    source = simulator.vms(seeded=True)[SOURCE]["moref"]
    item = {"source_vm": source, "name": made.template, "library": key, "placement": placement}
    asked.ask("/rest/vcenter/vm-template/library-items", {"spec": item})
    asked.ask("/rest/com/vmware/content/library/item", {"create_spec": {"name": made.ovf, "library_id": key, "type": "ovf"}})
    yield made
    asked._send("DELETE", f"/rest/com/vmware/content/local-library/id:{key}", headers={SESSION: asked._session})
    asked.close()


PLACES = ((DATASTORE, "ds-shared"), (POOL, "fleet"))


def test_a_machine_is_cloned_from_an_item_in_one_call(simulator: Simulator, library: Library) -> None:
    """What is asked of the library is asked once a run, in a session that is ended."""
    template = Ref(VM, simulator.vms()[library.template]["moref"])
    simulator.calls(reset=True)
    with pool(simulator, template=library.template, content_library=library.name) as made:
        machine = made.machine(0)
        made.cloud.create(machine)
        (vm,) = made.until_all(vm_states.RUNNING, 1)
        assert [this for this, method in made.transport.calls_of if method == "CloneVM_Task"] == [template]
        assert vm.fields["image"] == f"uuid:{simulator.vms()[library.template]['uuid']}"
        assert "guestinfo.metadata" in made.truth()[machine.name]["extra_config"]
        made.cloud.delete(vm)
        made.until("it is gone", lambda vms: not vms)
    calls = simulator.calls()
    assert (calls["POST /api/session"], calls["DELETE /api/session"]) == (1, 1)
    assert sum(count for name, count in calls.items() if "/content/library" in name or "/vm-template/" in name) == QUESTIONS


def test_what_is_no_vm_template_is_refused(simulator: Simulator, library: Library) -> None:
    """By its kind, or as nothing of that name; before anything is touched."""
    wrong = {
        "is of the type ovf": {"template": library.ovf, "content_library": library.name},
        "there is none": {"template": "never-baked", "content_library": library.name},
        "content library 'none': there is none": {"template": library.template, "content_library": "none"},
    }
    for said, options in wrong.items():
        with pytest.raises(Invalid, match=said):
            LabPool(simulator, **options)
