# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a node is emptied."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/specs.py, DRAIN."""

    DOCUMENTATION = r"""
options:
  drain:
    description:
      - How pods leave a node. All of them are asked to leave at once, through the Eviction API, and the drain ends when the last one is
        gone. A node is never called drained because time ran out.
    type: dict
    suboptions:
      timeout:
        description: How long a drain may take, in seconds or as V(15m). V(0) gives up at once.
        type: str
        default: 15m
      on_timeout:
        description:
          - What follows when pods are left at the end of O(drain.timeout).
          - V(skip) sets the node aside and goes on with the others. In a pool it stays cordoned, is tried again slowly and deleted once
            empty. Outside a pool it becomes schedulable again, if it was so before.
          - V(fail) ends the run.
          - V(force) deletes the pods that are left, past their disruption budgets. A node which even that does not empty within as long
            again, at least a minute, is treated as with V(skip).
        type: str
        choices: [skip, fail, force]
        default: skip
      grace_period:
        description:
          - Seconds that pods get to end. V(0) means at once. Each pod's own grace period where it is not given.
          - On a node whose kubelet is silent it is always 1 second. Nobody is there to wait for, and V(0) would forget pods that may
            still run.
        type: int
      delete_emptydir_data:
        description: Whether pods with an emptyDir volume, whose data is lost, are evicted. Where not, such pods block the drain.
        type: bool
        default: true
      force:
        description: Whether pods that no controller brings back elsewhere are evicted. Where not, such pods block the drain.
        type: bool
        default: false
      volume_detach_timeout:
        description: How long volumes may take to detach after the last pod is gone. A machine with attached volumes is never deleted.
        type: str
        default: 5m
      delete_timeout:
        description: How long a machine may take to disappear after its deletion was asked for.
        type: str
        default: 10m
      include_cordoned:
        description: Whether nodes that a person cordoned are replaced too. Where not, they are left alone and reported.
        type: bool
        default: false
      rules:
        description:
          - How certain pods leave, in the meaning of Cluster API's MachineDrainRule. The first rule that matches a pod counts. A pod's own
            label C(cluster.x-k8s.io/drain), with the value C(skip) or C(wait-completed), comes before all rules.
          - For real clusters only. In a simulated world, workloads have their own O(drain.rules[].order).
        type: list
        elements: dict
        default: []
        suboptions:
          behavior:
            description: V(Drain) evicts, V(Skip) leaves the pod where it is, V(WaitCompleted) waits until it has ended by itself.
            type: str
            choices: [Drain, Skip, WaitCompleted]
            default: Drain
          order:
            description: Pods of a lower order leave first; the next ones are asked when those are gone.
            type: int
            default: 0
          selector:
            description:
              - Labels of the pods, as C(matchLabels) and C(matchExpressions) of Kubernetes. An empty dictionary selects all.
            type: dict
            default: {}
          namespaces:
            description: Namespaces of the pods. An empty list means all.
            type: list
            elements: str
            default: []
"""
