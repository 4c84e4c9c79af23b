# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the vCenter do what the tests rely on? A VM comes and goes, and each kind of fault strikes once."""

from collections.abc import Callable
from typing import Any

from ..processes import LabError, Progress
from .client import Estate
from .simulator import Simulator
from .site import Site


def check(site: Site, say: Progress) -> None:
    """Some 20 s. Leaves nothing behind."""
    lab = Simulator(site.control)
    lab.reset()
    try:
        for step in (machine, lost_reply):
            say(step(Estate(site), lab))
            lab.reset()
    finally:
        lab.reset()


def machine(estate: Estate, lab: Simulator) -> str:
    vm = estate.made("check-machine")
    ensure(lab.vms()["check-machine"]["power"] == "poweredOn", "a VM cloned with powerOn is off")
    estate.ended(vm.PowerOffVM_Task())
    estate.ended(vm.Destroy_Task())
    ensure(not lab.vms(), "a destroyed VM is still there")
    return "a VM came and went"


def lost_reply(estate: Estate, lab: Simulator) -> str:
    lab.rule("drop", "CloneVM_Task", count=1)
    answer = raised(lambda: estate.clone("check-lost"))
    ensure("check-lost" in lab.vms(), "the clone whose reply was lost was not made")
    again = estate.error(estate.clone("check-lost"))
    ensure(again == "DuplicateName", f"the same name again: {again}")
    return f"the reply of a clone was lost ({answer}), the VM is there"


def raised(act: Callable[[], Any]) -> str:
    """The class of what it raises, without its package; "" for nothing."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever a client meets  # pylint: disable=broad-except
        return type(error).__name__.rpartition(".")[2]
    return ""


def ensure(condition: bool, what: str) -> None:
    if not condition:
        raise LabError(what)
