# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs: accepted, built, running or in ERROR, lost, deleted; with quotas, failure domains, and ports that may stay behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Exhausted, Invalid, NotFound
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.balancers import Balancers
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.history import History
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.nodes import Nodes
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault, Host, Image, Port
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import State

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room

BUILT = "built"
VM_GONE = "vm gone"

NEVER_JOINS = "never_joins"
CREATE_ERROR = "create_error"
DELETE_STICKS = "delete_sticks"
NO_VALID_HOST = "No valid host was found. There are not enough hosts available."
QUOTAS = "quotas of the simulated cloud"
PROVIDER_ID_PREFIX = "simulated:///"


class Hypervisor:
    """All VMs of all pools. `vms` is `{pool: {id: Vm}}`, as a list shows them; `past` is what they were, by id."""

    def __init__(self, state: State, nodes: Nodes, balancers: Balancers) -> None:
        self._state = state
        self._nodes = nodes
        self._balancers = balancers
        self.vms: dict[str, dict[str, Vm]] = {}
        self.past: dict[str, History[Vm]] = {}
        self.values: dict[str, Mapping[str, str]] = {}  # of user data, by VM id; may hold secrets, so never in a world file
        self._began_at = state.now

    def reload(self) -> None:
        """Build the indexes anew after rows came from a file. What happened meanwhile was not seen."""
        self.vms = {}
        for vm_id, host in self._state.hosts.items():
            self.vms.setdefault(host.pool, {})[vm_id] = host.vm
        self._began_at = self._state.now
        for past in self.past.values():
            past.forget(self._state.now)

    def past_of(self, pool: str) -> History[Vm]:
        """The history of a pool's VMs."""
        return self.past.setdefault(pool, History(self._began_at))

    # Asked for.

    def create(self, pool: str, image_name: str, machine: NewMachine, *, dies_half_way: bool = False) -> None:
        """Accept one VM, with its port. Raises `Exhausted` and `Invalid` before anything is made.

        `dies_half_way`: only the port is made, as when the caller is killed between the two calls (FM22).
        """
        image = self.image(machine.fields.get("image", ""), image_name)
        self._check_quota()
        state, number = self._state, self._state.next_serial()
        port = self._port_of(machine.name) if machine.recreated else None
        if port is None:
            port = Leftover(kind="port", id=f"port-{number:x}", name=machine.name, machine=machine.name, created_at=state.now)
            state.ports.put(port.id, Port(port, pool))
        if dies_half_way:
            state.vm_changed(machine.name)
            return
        vm_id = f"vm-{number:x}"
        vm = Vm(
            id=vm_id,
            name=machine.name,
            status=vm_states.BUILDING,
            created_at=state.now,
            slot=machine.slot,
            revision=machine.revision,
            fields=machine.fields,
            failure_domain=machine.failure_domain,
            provider_id=PROVIDER_ID_PREFIX + vm_id,
            system_uuid=vm_id,
            addresses=(_address(number),),
            attempt=machine.attempt,
        )
        host = Host(vm, pool, image.name, port=port.id)
        host.joins = image.joins and self._fault(NEVER_JOINS, vm.name) is None
        host.doomed = self._doom(image, vm)
        self.values[vm_id] = machine.values
        self.add(host)
        state.plan(state.profile.create.draw(state.chance), BUILT, vm_id)

    def add(self, host: Host) -> None:
        """Put a VM into the tables."""
        self._state.hosts.put(host.vm.id, host)
        self._show(host, None, host.vm)

    def delete(self, vm: Vm) -> None:
        """Begin to delete the VM and its port; the guest is dead at once. One that is gone or going already is success."""
        host = self._state.hosts.get(vm.id)
        if host is None or host.vm.status == vm_states.DELETING:
            return
        self._stop(host)
        self._set(host, replace(host.vm, status=vm_states.DELETING))
        if self._fault(DELETE_STICKS, vm.name) is None:
            self._state.plan(self._state.profile.delete.draw(self._state.chance), VM_GONE, vm.id)

    def switch(self, vm: Vm, wanted: str) -> None:
        """Off, or off and on again. Raises `NotFound`, and `Conflict` for one that is being built or deleted."""
        host = self._state.hosts.get(vm.id)
        if host is None:
            raise NotFound(what="no such VM", where=f"machine {vm.name}")
        if host.vm.status in (vm_states.BUILDING, vm_states.DELETING):
            raise Conflict(what=f"the VM is {host.vm.status}", where=f"machine {vm.name}")
        host.is_switched_off = wanted == vm_states.OFF
        self.power(host, on=False, seen=True)
        if wanted == vm_states.REBOOT:
            self.power(host, on=True, seen=True)

    def clear(self, leftover: Leftover) -> None:
        """Delete a port. One that is gone already is success."""
        if self._state.ports.drop(leftover.id) is not None:
            self._state.vm_changed(leftover.machine)

    def leftovers(self, pool: str) -> tuple[Leftover, ...]:
        """All ports of a pool, those of its living VMs too."""
        return tuple(port.leftover for port in self._state.ports.values() if port.pool == pool)

    def _port_of(self, machine: str) -> Leftover | None:
        """What a create of this name that died half-way has left."""
        return next((port.leftover for port in self._state.ports.values() if port.leftover.machine == machine), None)

    def room(self) -> Room:
        """What the quotas leave. Failure domains are not among them: a scheduler does not tell how full its hosts are."""
        from ansible_collections.immutable.fleet.plugins.module_utils.model.room import ANSWER, Resource, Room

        limits = (
            ("machines", self._state.settings.machines_max, self._state.hosts),
            ("ports", self._state.settings.ports_max, self._state.ports),
        )
        return Room(
            resources=tuple(
                Resource(name=name, limit=limit, used=len(used), each=1, where=QUOTAS, remedy=f"set quotas.{name} to {ANSWER}")
                for name, limit, used in limits
                if limit >= 0
            )
        )

    def leave_room(self, machines: int) -> None:
        """Let only so many more be made: a world that was made from facts has the limits that were observed."""
        self._state.settings.machines_max = len(self._state.hosts) + machines

    def image(self, digest: str, name: str) -> Image:
        """The image of this digest, else the newest of this name. Raises `Invalid`."""
        found = self._state.images.get(digest)
        if found is not None:
            return found
        namesakes = [image for image in self._state.images.values() if image.name == name]
        if namesakes:
            return max(namesakes, key=lambda image: image.order)
        if self._state.settings.any_image:
            return Image(name, digest or name)
        known = ", ".join(sorted({image.name for image in self._state.images.values()})) or "none"
        raise Invalid(what=f"the simulated cloud has no image {name!r}; it has: {known}", where="simulated.image")

    # Events.

    def built(self, vm_id: str) -> None:
        """Event: building has ended, well or in ERROR."""
        host = self._state.hosts.get(vm_id)
        if host is None or host.vm.status != vm_states.BUILDING:
            return
        if host.doomed:
            self.fail(host, host.doomed)
            return
        host.runs = True
        self._set(host, replace(host.vm, status=vm_states.RUNNING, running_since=self._state.now))
        self._nodes.boot(host)
        self._balancers.boot(host)

    def gone(self, vm_id: str) -> None:
        """Event: the VM is no more, nor is its port."""
        host = self._state.hosts.drop(vm_id)
        if host is None:
            return
        self._stop(host)
        self._state.ports.drop(host.port)
        self.values.pop(vm_id, None)
        self._show(host, host.vm, None)
        if self._state.settings.deletes_nodes:
            member = self._state.members.get(host.node)
            if member is not None and member.host == vm_id:
                self._nodes.delete(member.name, member.uid)

    # Misfortunes.

    def fail(self, host: Host, fault: str) -> None:
        """To ERROR, with the cloud's words."""
        self._stop(host)
        self._set(host, replace(host.vm, status=vm_states.ERROR, fault=fault))

    def power(self, host: Host, *, on: bool, seen: bool) -> None:
        """Stop or start the guest. `seen` False: its hypervisor died, and the cloud goes on saying RUNNING."""
        if on and not host.runs:
            host.runs = True
            self._set(host, replace(host.vm, status=vm_states.RUNNING))
            self._nodes.boot(host)
            self._balancers.boot(host)
        elif not on:
            self._stop(host)
            if seen:
                self._set(host, replace(host.vm, status=vm_states.STOPPED))
            else:
                self._state.vm_changed(host.vm.name)

    def strip_marks(self, host: Host, proofs: int) -> None:
        """Somebody's playbook removed marks of ours (FM25)."""
        self._set(host, replace(host.vm, proofs=proofs))

    def _check_quota(self) -> None:
        for short in self.room().short_of(1):
            raise Exhausted(what=f"quota exceeded for {short.name}: {short.used} of {short.limit} used, 1 more asked for")

    def _doom(self, image: Image, vm: Vm) -> str:
        """Why this VM will end in ERROR; "" when it will not."""
        fault = self._fault(CREATE_ERROR, vm.name)
        if fault is not None:
            return fault.text or NO_VALID_HOST
        domain = self._state.domains.get(vm.failure_domain)
        if domain is None:
            return image.fault
        if domain.is_down or (domain.machines_max >= 0 and self._count_in(domain.name) >= domain.machines_max):
            return NO_VALID_HOST
        return image.fault

    def _count_in(self, domain: str) -> int:
        """Machines that take up room in a failure domain."""
        return sum(1 for host in self._state.hosts.values() if host.vm.failure_domain == domain and not host.doomed)

    def _fault(self, kind: str, name: str) -> Fault | None:
        """Use up one fault of this kind that waits for a new machine."""
        for key, fault in self._state.faults.items():
            if fault.kind == kind and fault.since is not None and fnmatchcase(name, fault.target or "*"):
                return self._state.use_up(key, fault)
        return None

    def _stop(self, host: Host) -> None:
        if host.runs:
            host.runs = False
            self._state.hosts.touch(host.vm.id)
            self._nodes.halt(host)
            self._balancers.halt(host)

    def _set(self, host: Host, vm: Vm) -> None:
        before, host.vm = host.vm, vm
        self._state.hosts.touch(vm.id)
        self._show(host, before, vm)

    def _show(self, host: Host, before: Vm | None, after: Vm | None) -> None:
        """Keep index and history, and tell."""
        vms = self.vms.setdefault(host.pool, {})
        self.past_of(host.pool).record(self._state.now, host.vm.id, before)
        if after is None:
            vms.pop(host.vm.id, None)
        else:
            vms[after.id] = after
        self._state.vm_changed(host.vm.name)


def _address(number: int) -> str:
    """Of the machine with this serial number: one of 16 million of 10.0.0.0/8, so never that of another one alive."""
    return ".".join(["10", *[str(number >> shift & 255) for shift in (16, 8, 0)]])
