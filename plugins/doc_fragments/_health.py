# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a machine is unhealthy, and what is done about it."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/specs.py, HEALTH."""

    DOCUMENTATION = r"""
options:
  health:
    description:
      - When a machine that was ready is unhealthy, and how such machines are replaced. Counts are numbers or percentages, in quotes.
      - A machine that boots is not unhealthy, and has O(strategy.startup_timeout) for it. One that was ready and is not for so long is
        unhealthy at the latest. Where the cloud says that its VM is off and its kubelet is silent, it is unhealthy as soon as
        that has outlasted a reboot. Where the two disagree, the machine is named and left alone.
      - Of a plain machine behind a balancer, C(Ready) is whether it serves, and the balancer's own check is an observer beside its probes.
      - The replacement comes first where O(strategy.max_surge) has room for it. A rollout and remediation share floor, ceiling and lock.
    type: dict
    suboptions:
      remediate:
        description: Whether unhealthy machines are replaced. V(false) names them and leaves them as they are.
        type: bool
        default: true
      conditions:
        description:
          - Conditions of its node by which a machine is unhealthy, beside C(Ready) being V(False) or V(Unknown) for 5 minutes. To change
            those, name them here.
        type: list
        elements: dict
        default: []
        suboptions:
          type:
            description: Type of the condition, such as C(KernelDeadlock).
            type: str
            required: true
          status:
            description: The status that is bad.
            type: str
            required: true
            choices: ['True', 'False', Unknown]
          timeout:
            description: How long the condition has to have this status.
            type: str
            default: 5m
      max_unhealthy:
        description:
          - When more machines than this are not well, in the pool or in one failure domain, none of them is replaced for it, since the
            cause must be something that they have in common. A percentage rounds down, and always allows one.
          - A failure domain of which no machine is well is one outage. It is named, and counts in nothing else.
          - Outdated machines are replaced all the same.
        type: str
        default: 34%
      max_in_flight:
        description: How many machines are replaced for being unhealthy at a time, at least 1. A percentage rounds down.
        type: str
        default: 5%
      cooldown:
        description: How long nothing is replaced after more than O(health.max_unhealthy) were not well.
        type: str
        default: 5m
      suspend_after:
        description:
          - After so many replacements in a row of one slot whose machines became unhealthy again within two hours, nothing more is replaced
            for being unhealthy until M(immutable.fleet.node_pool_control) with O(immutable.fleet.node_pool_control#module:state=resumed).
        type: int
        default: 3
      reboot:
        description:
          - An unhealthy machine is reset first, and replaced if it is not well so long after, as V(10m). Where it is not given, it is
            replaced.
          - That counts for machines that serve nobody as far as is known, since a reset asks no pod to leave. The others are drained and
            replaced, and so is one that is unhealthy again within two hours, and one whose VM is off.
        type: str
      preserve_on_fail:
        description:
          - So many failed machines, the first ones, are kept for a look instead of being deleted, for three days. A machine that was ready
            is drained before, and what never ran is not kept. They count in nothing but the room that they take; each run names them.
          - What ends it sooner is that somebody deletes the VM, or a lower number.
          - Not with O(strategy.type=recreate), which needs the name again.
        type: int
        default: 0
      probes:
        description:
          - What is asked of each running machine, from the host that the module runs on, at the machine's first address. A machine is
            available only while all of them find it well.
          - One that was well before the run, as its node or its balancer says, counts as such from the first good answer on.
          - A machine whose kubelet is silent is not replaced before its probes have come to a verdict, nor while they find it well.
          - What cannot be asked (a command that is not there, a machine without an address) is unknown. Such a machine is not available,
            and not replaced for that either.
        type: list
        elements: dict
        default: []
        suboptions:
          type:
            description:
              - V(tcp) takes a connection. V(http) and V(https) answer a GET with O(health.probes[].status) and
                O(health.probes[].body); a redirect is not followed. V(tls) shows a certificate that is trusted.
              - V(command) is a program of the host that the module runs on, which ends with 0. It finds C(FLEET_POOL), C(FLEET_MACHINE)
                and C(FLEET_ADDRESS) in its environment. One that ends with 75 (C(EX_TEMPFAIL)) says that it could ask nobody, which is
                unknown.
            type: str
            required: true
            choices: [tcp, http, https, tls, command]
          port:
            description: Port of the machine. Required for all types but V(command).
            type: int
          path:
            description: What is asked for. V(/) where it is not given.
            type: str
          host:
            description:
              - Name that is asked for, as C(Host) and as the server's name in TLS. Where it is given, a certificate has to be made out
                to it; where it is not, the address is asked for and the name in a certificate is not compared.
            type: str
          status:
            description: Statuses that are good, as V(200) or V(200-299), which is the default.
            type: list
            elements: str
          body:
            description: A text that has to stand in the first 64 KiB of the answer.
            type: str
          validate_certs:
            description: Whether a certificate has to be trusted. V(true) where it is not given.
            type: bool
          ca_cert:
            description: File with the certificates to trust, instead of those of the system.
            type: path
          expires_in:
            description: How long a certificate has to be valid yet, as V(7d).
            type: str
          command:
            description: Program and arguments. Not a shell's line.
            type: list
            elements: str
          interval:
            description: Time between two questions. Until the first verdict a machine is asked every 2 seconds at least.
            type: str
            default: 10s
          timeout:
            description: How long an answer may take, as a whole.
            type: str
            default: 5s
          consecutive_ok:
            description: So many good answers in a row make a machine healthy.
            type: int
            default: 3
          consecutive_failed:
            description: So many bad answers in a row make it unhealthy.
            type: int
            default: 3
"""
