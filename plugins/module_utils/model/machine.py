# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine as `decide` sees it: VM and node joined, with what this run has sent and not yet seen laid over them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm

if TYPE_CHECKING:  # few pools have probes
    from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Health
    from ansible_collections.immutable.fleet.plugins.module_utils.model.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine: a VM, and its node once it has joined. A node whose VM is gone is no machine (`Snapshot.nodes`).

    Expectations (pessimistic): `choosing` is a mark in flight, so it is unavailable already; `setting_aside` a quarantine
    in flight, so it uses up a place among the quarantined and still exists; `deleting` a delete in flight, so it still
    exists and gets no second one. `emptied_at` is since when this run has seen no pod on it. `health` is what its probes came to,
    None before the first answer and where there are none. `service` is that of a plain machine, in the place of a node.
    """

    name: str
    vm: Vm
    node: Node | None = None
    choosing: bool = False
    setting_aside: bool = False
    deleting: bool = False
    emptied_at: datetime | None = None
    health: Health | None = None
    service: Service | None = None

    @property
    def chosen(self) -> Note | None:
        """The mark for deletion, which its node carries, or the pool's record for a plain machine."""
        if self.service is not None:
            return self.service.chosen
        return self.node.chosen if self.node is not None else None

    @property
    def is_going(self) -> bool:
        """Marked, or its delete was sent: it only has one way from here."""
        return self.choosing or self.deleting or self.chosen is not None or self.vm.status == vm_states.DELETING

    @property
    def was_ready(self) -> bool:
        """Its node, or its service, was ready once."""
        if self.service is not None:
            return self.service.was_ready
        return self.node is not None and (self.node.was_ready or self.node.ready is True)

    @property
    def is_held(self) -> bool:
        """A person closed it to what is new, on its node or at the balancer: left alone (FM10)."""
        if self.service is not None:
            return self.service.is_held
        return self.node is not None and self.node.is_held

    @property
    def is_unused(self) -> bool:
        """Nothing can run on it and nobody is sent there: it has neither a node nor a member."""
        return self.node is None and (self.service is None or self.service.is_out)

    @property
    def is_member(self) -> bool:
        """The balancer lists it."""
        return self.service is not None and self.service.member is not None

    @property
    def is_unknown(self) -> bool:
        """A plain machine that runs, and of which nobody knows yet whether it serves."""
        return self.service is not None and self.service.ready is None

    @property
    def is_unheard(self) -> bool:
        """It runs, its node is ready, and its probes, where there are any, have not said yet whether it serves."""
        is_ready = self.node is not None and self.node.ready is True and self.vm.status == vm_states.RUNNING
        return is_ready and (self.health is None or self.health.healthy is None)

    @property
    def is_being_asked(self) -> bool:
        """It runs, and its probes, where there are any, will soon have come to a verdict, and have not yet."""
        return self.vm.status == vm_states.RUNNING and (self.health is None or self.health.is_pending)

    @property
    def failure_domain(self) -> str:
        """Where it runs; "" where the cloud placed it."""
        return self.vm.failure_domain

    @property
    def where(self) -> str:
        """For messages: the machine's name, and its failure domain where it has one."""
        domain = self.failure_domain
        return f"machine {self.name}" + (f", failure domain {domain}" if domain else "")
