# SPDX-License-Identifier: GPL-3.0-or-later
"""DRS rules that keep a pool's machines on different hosts of their cluster, or on the hosts of their failure domain. Pure.

A rule of vSphere names VMs and no slots, so a new machine has to be put into one: by one change of the cluster for all machines that a list
showed. A rule that names more VMs than there are hosts cannot be kept, and nothing more of it could be powered on; so a cluster has
a rule for each so many machines as it has hosts, in the order of their slots. As slots stay, so does who is kept from whom.

Where a failure domain is a group of hosts, its machines are a VM group with a rule to that group, which DRS and HA follow after the
clone. Rules and groups are ours by their names, "immutable.fleet web 1" and "immutable.fleet web on rack-1". vCenter takes VMs
that are gone out of them, and leaves what is empty: what is not wanted any more is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.hosts import groups_of
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TYPE, VM, Data, Found, Ref, data
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm

CLUSTER_PATHS = ("name", "host", "configurationEx")
FEWEST = 2  # VMs of a rule: vCenter takes no rule of one
_APART, _NEAR = ".AntiAffinityRuleSpec", (".VmHostRuleInfo", ".VmGroup")
_KEPT = (TYPE, "key", "name", "enabled", "mandatory")  # of a rule that is edited


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a cluster's rules and VM groups lack, and the same in words."""

    rules: tuple[Data, ...]
    groups: tuple[Data, ...]
    words: str


def change_of(found: Found, pool: str, vms: Sequence[Vm], *, keeps_apart: bool, host_groups: Mapping[str, str]) -> Change | None:
    """What has to be changed of the cluster that was `found` by `CLUSTER_PATHS`, where the pool has these VMs; None where all is in order.

    `host_groups` are by failure domain, under "" that of all others; one that the cluster does not have is another cluster's.
    """
    config: Mapping[str, Any] = found.get("configurationEx") or {}
    rules = {str(rule["name"]): rule for rule in config.get("rule") or () if _is_ours(rule, pool)}
    groups = {str(group["name"]): group for group in config.get("group") or () if _is_ours(group, pool)}
    of_hosts = {str(group["name"]) for group in groups_of(found)}
    apart = wanted_rules(pool, vms, hosts=len(found.get("host") or ())) if keeps_apart else {}
    near: dict[str, tuple[str, tuple[Ref, ...]]] = {}
    for vm in _staying(vms):
        group = host_groups.get(vm.failure_domain, host_groups.get("", ""))
        if group in of_hosts:
            name = f"{_prefix(pool)}on {group}"
            near[name] = group, (*near.get(name, (group, ()))[1], Ref(VM, vm.id))
    in_rules = [*_rules_apart(rules, apart), *_rules_near(rules, near)]
    in_groups = _vm_groups(groups, near)
    in_rules += [_removal("RuleSpec", rule["key"]) for name, rule in sorted(rules.items()) if name not in {*apart, *near}]
    in_groups += [_removal("GroupSpec", name) for name in sorted(groups.keys() - near.keys())]
    if not in_rules and not in_groups:
        return None
    count = len(_staying(vms))
    said = f"{count} machines are to be in them" if count else "no machine is left for them"
    return Change(
        rules=tuple(in_rules), groups=tuple(in_groups), words=f"the rules of cluster {found.get('name', '')} are out of date: {said}"
    )


def wanted_rules(pool: str, vms: Iterable[Vm], *, hosts: int) -> dict[str, tuple[Ref, ...]]:
    """`{name: VMs}` of the rules for these machines on so many hosts. Those that are going, or not whole yet, are in none."""
    staying = _staying(vms)
    found: dict[str, tuple[Ref, ...]] = {}
    if hosts < FEWEST:
        return found
    for number, begin in enumerate(range(0, len(staying), hosts), 1):
        members = staying[begin : begin + hosts]
        if len(members) >= FEWEST:
            found[f"{_prefix(pool)}{number}"] = tuple(Ref(VM, vm.id) for vm in members)
    return found


def specification(change: Change) -> Data:
    """What ReconfigureComputeResource_Task is handed, to be merged with what there is."""
    return data("vim.cluster.ConfigSpecEx", rulesSpec=list(change.rules) or None, groupSpec=list(change.groups) or None)


def _staying(vms: Iterable[Vm]) -> list[Vm]:
    """Those that are whole and do not go, by their slots."""
    found = [vm for vm in vms if vm.is_ours and vm.status in (vm_states.RUNNING, vm_states.STOPPED)]
    return sorted(found, key=lambda vm: (vm.slot is None, vm.slot or 0, vm.name))


def _rules_apart(present: Mapping[str, Data], wanted: Mapping[str, tuple[Ref, ...]]) -> list[Data]:
    changes: list[Data] = []
    for name, members in wanted.items():
        rule = present.get(name)
        if rule is None:
            info = data("vim.cluster.AntiAffinityRuleSpec", name=name, enabled=True, vm=list(members))
            changes.append(data("vim.cluster.RuleSpec", operation="add", info=info))
        elif set(rule.get("vm") or ()) != set(members):
            info = {key: value for key, value in rule.items() if key in _KEPT} | {"vm": list(members)}
            changes.append(data("vim.cluster.RuleSpec", operation="edit", info=info))
    return changes


def _rules_near(present: Mapping[str, Data], wanted: Mapping[str, tuple[str, tuple[Ref, ...]]]) -> list[Data]:
    """Not mandatory: HA may start a machine elsewhere rather than not at all."""
    changes: list[Data] = []
    for name, (group, _members) in wanted.items():
        if name not in present:
            groups = {"vmGroupName": name, "affineHostGroupName": group}
            info = data("vim.cluster.VmHostRuleInfo", name=name, enabled=True, mandatory=False, **groups)
            changes.append(data("vim.cluster.RuleSpec", operation="add", info=info))
    return changes


def _vm_groups(present: Mapping[str, Data], wanted: Mapping[str, tuple[str, tuple[Ref, ...]]]) -> list[Data]:
    changes: list[Data] = []
    for name, (_group, members) in wanted.items():
        group = present.get(name)
        if group is None or set(group.get("vm") or ()) != set(members):
            info = data("vim.cluster.VmGroup", name=name, vm=list(members))
            changes.append(data("vim.cluster.GroupSpec", operation="add" if group is None else "edit", info=info))
    return changes


def _removal(kind: str, key: object) -> Data:
    return data(f"vim.cluster.{kind}", operation="remove", removeKey=key)


def _is_ours(thing: Data, pool: str) -> bool:
    """A rule or a group of the pool's, by its name and kind."""
    name, kind = str(thing.get("name", "")), str(thing.get(TYPE, ""))
    rest = name.removeprefix(_prefix(pool))
    if not name.startswith(_prefix(pool)):
        return False
    return (kind.endswith(_APART) and rest.isdigit()) or (kind.endswith(_NEAR) and rest.startswith("on "))


def _prefix(pool: str) -> str:
    return f"{marks.PREFIX} {pool} "
