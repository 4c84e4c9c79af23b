# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenarios, one row each. Their stories are in golden/rollout, reviewed like code."""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import ROLL_BACK
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import constant
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault, Image
from ansible_collections.immutable.fleet.tests.unit.stories.runner import Ask, Run, Scenario

SHORT = {"startup_timeout": timedelta(minutes=5)}
SOON = {"timeout": timedelta(minutes=2)}
FOREVER = 99


SCENARIOS = (
    # Surge and unavailable
    Scenario("surge-1", "3 machines, max_surge 1, max_unavailable 0"),
    Scenario("unavailable-1", "3 machines, max_surge 0, max_unavailable 1", surge=0, unavailable=1),
    Scenario("surge-2-of-6", "6 machines, max_surge 2, max_unavailable 0", (Run(replicas=6),), began_with=6, surge=2),
    Scenario("surge-quarter-of-10", "10 machines, max_surge 25%: rounds up to 3", (Run(replicas=10),), began_with=10, surge="25%"),
    Scenario(
        "surge-2-unavailable-1", "4 machines, max_surge 2, max_unavailable 1", (Run(replicas=4),), began_with=4, surge=2, unavailable=1
    ),
    Scenario("percent-of-nothing", "3 machines, 0% and 25% both come to 0: unavailable 1", surge="0%", unavailable="25%"),
    Scenario(
        "pods-under-a-budget",
        "3 machines with 6 pods whose PDB allows one at a time",
        furnish=lambda estate: estate.workload("cart", 6, max_unavailable="1"),
    ),
    Scenario(
        "other-names",
        "3 machines whose nodes have full host names, 6 pods under a PDB that allows one at a time",
        node_suffix=".corp",
        furnish=lambda estate: estate.workload("cart", 6, max_unavailable="1"),
    ),
    Scenario(
        "other-names-quarantine",
        "FM8, FM9: nodes with full host names; killed in mid-drain; a pod that never ends: its machine is set aside",
        (Run(killed_after=52), Run()),
        node_suffix=".corp",
        drain=SOON,
        furnish=lambda estate: estate.workload("cart", 3),
        faults=(Fault(kind="pod_sticks", target="web-0-*"),),
        ends="blocked",
    ),
    # Numbers and targets that change
    Scenario("provision", "no machine, 3 wanted", began_with=0),
    Scenario("unchanged", "3 machines, all as wanted: nothing is written, no lock is taken", (Run("v1"),)),
    Scenario("scale-up", "3 machines, 5 wanted", (Run("v1", 5),)),
    Scenario("scale-down", "5 machines, 2 wanted: FM49", (Run("v1", 2),), began_with=5),
    Scenario(
        "scale-down-in-mid-roll",
        "FM48: 5 machines, stopped in mid-roll, then 3 wanted",
        (Run(replicas=5, stopped_after=60), Run(replicas=3)),
        5,
    ),
    Scenario("scale-up-in-mid-roll", "FM48: 3 machines, stopped in mid-roll, then 4 wanted", (Run(stopped_after=60), Run(replicas=4))),
    Scenario("retarget-in-mid-roll", "3 machines on their way to v2, then v3 wanted", (Run(stopped_after=65), Run("v3"))),
    Scenario("back-in-mid-roll", "3 machines on their way to v2, then v1 wanted again", (Run(stopped_after=65), Run("v1"))),
    Scenario(
        "labels-in-mid-roll",
        "3 machines on their way to v2, then another label wanted: the roll goes on, and no machine is replaced for the label",
        (Run(stopped_after=65), Run(labels={"tier": "front"})),
    ),
    Scenario("removal", "3 machines with 4 pods, removed", (Run("v1", removes=True),), furnish=lambda estate: estate.workload("cart", 4)),
    # Machines that fail
    Scenario("create-error", "FM24: the first new machine ends in ERROR", faults=(Fault(kind="create_error"),)),
    Scenario(
        "no-room",
        "FM22: no machine can be made: given up after 5, nothing was taken away",
        faults=(Fault(kind="create_error", count=FOREVER),),
        ends="exhausted",
    ),
    Scenario("quota", "FM27: quota for 3 machines, surge asks for a fourth", faults=(Fault(kind="quota", count=3),), ends="exhausted"),
    Scenario(
        "quota-seen-first",
        "FM27: quota for 3 machines, seen before the surge asks for a fourth",
        faults=(Fault(kind="quota", count=3),),
        ends="exhausted",
        asks_first=True,
    ),
    Scenario(
        "quota-for-a-part",
        "FM27: quota for 4 machines, surge 3: it is a surge of 1, and told",
        surge=3,
        faults=(Fault(kind="quota", count=4),),
        asks_first=True,
    ),
    Scenario(
        "never-joins",
        "FM18: an image whose machines never join: refused after 1, all old ones serve",
        strategy=SHORT,
        v2=Image("v2", "sha512:v2", joins=False),
        ends="refused",
    ),
    Scenario(
        "never-joins-unavailable-1",
        "FM18: the same without surge: one old machine is lost, no second one",
        surge=0,
        unavailable=1,
        strategy=SHORT,
        v2=Image("v2", "sha512:v2", joins=False),
        ends="refused",
    ),
    Scenario(
        "bad-image", "an image that the cloud puts to ERROR", v2=Image("v2", "sha512:v2", fault="Image is unacceptable"), ends="exhausted"
    ),
    Scenario(
        "machine-gone",
        "up to date; somebody deletes a machine in mid-check",
        (Run("v1"),),
        faults=(Fault(kind="vm_gone", target="web-1-*"),),
        tolerates="floor",
    ),
    Scenario(
        "machine-in-error",
        "up to date; a machine goes to ERROR, which is no proof that its guest is off: switched off when it has been silent for 5 minutes",
        (Run("v1", begins_at=60),),
        health=HealthPolicy(),
        furnish=lambda estate: estate.workload("cart", 3),
        faults=(Fault(kind="vm_error", target="web-1-*", text="hypervisor failed"),),
        tolerates="floor",
    ),
    Scenario(
        "machine-recovers",
        "3 machines, 4 wanted; meanwhile one falls silent, and comes back before it counts as failed: it is left alone",
        (Run("v1", 4),),
        faults=(Fault(kind="vm_lost", target="web-2-*", lasts=timedelta(seconds=60)),),
        tolerates="floor",
    ),
    Scenario(
        "machine-lost",
        "in mid-roll a hypervisor dies with 2 pods: without proof nothing is deleted",
        strategy=SHORT,
        drain=SOON,
        furnish=lambda estate: estate.workload("cart", 6),
        faults=(Fault(kind="vm_lost", target="web-2-*", delay=timedelta(seconds=20)),),
        tolerates="floor",
        ends="blocked",
    ),
    Scenario(
        "machine-shut-off",
        "in mid-roll somebody shuts a machine off: proven dead, its pods are let go",
        strategy=SHORT,
        drain=SOON,
        furnish=lambda estate: estate.workload("cart", 6),
        faults=(Fault(kind="vm_stopped", target="web-2-*", delay=timedelta(seconds=20)),),
        tolerates="floor",
    ),
    Scenario(
        "sick-before-the-roll",
        "6 machines, 3 are shut off, max_unhealthy_total 1, on_breach rollback: none of them goes before a new one proves itself, and the "
        "image is not refused",
        (Run(replicas=6, begins_at=60),),
        6,
        strategy={"max_unhealthy_total": 1, "on_breach": ROLL_BACK},
        faults=tuple(Fault(kind="vm_stopped", target=f"web-{slot}-*") for slot in range(3)),
        tolerates="floor",
    ),
    # Failure domains
    Scenario("domains", "6 machines in 3 failure domains", (Run(replicas=6),), began_with=6, surge=2, domains=3),
    # Drains that do not end
    Scenario(
        "budget-of-nothing",
        "FM1: a PDB that can never allow an eviction: all other nodes converge",
        furnish=lambda estate: estate.workload("cart", 1, min_available="1"),
        ends="blocked",
    ),
    Scenario(
        "quarantine",
        "FM8, FM44: a pod that never ends: its machine is set aside, the others converge",
        drain=SOON,
        furnish=lambda estate: estate.workload("cart", 3),
        faults=(Fault(kind="pod_sticks", target="web-1-*"),),
        ends="blocked",
    ),
    Scenario(
        "quarantine-full",
        "FM8: pods that never end on two machines: one is set aside, the other keeps its token",
        strategy={"progress_deadline": timedelta(minutes=10)},
        drain=SOON,
        furnish=lambda estate: estate.workload("cart", 3),
        faults=(Fault(kind="pod_sticks", target="web-0-*"), Fault(kind="pod_sticks", target="web-1-*")),
        ends="stalled",
    ),
    Scenario(
        "quarantine-empties",
        "FM8: a pod that nobody may evict until it is ready: set aside meanwhile, and deleted once it is empty",
        drain=SOON,
        furnish=lambda estate: estate.workload("cart", 1, max_unavailable="1", start=constant(480)),
    ),
    Scenario(
        "drain-timeout-fails",
        "on_timeout: fail ends the run at the first drain that takes too long",
        drain={**SOON, "on_timeout": "fail"},
        furnish=lambda estate: estate.workload("cart", 3),
        faults=(Fault(kind="pod_sticks", target="web-0-*"),),
        ends="blocked",
    ),
    Scenario(
        "drain-timeout-forces",
        "on_timeout: force: a PDB allows 0 as its pods are never ready; it is tried once a minute, then they are deleted",
        drain={**SOON, "on_timeout": "force"},
        furnish=lambda estate: estate.workload("cart", 3, max_unavailable="1", start=constant(100_000)),
    ),
    Scenario(
        "force-does-not-end",
        "FM5, FM8: force and no grace on a dead hypervisor: no pod is forgotten without proof, its machine is set aside",
        strategy=SHORT,
        drain={**SOON, "on_timeout": "force", "grace_period": 0},
        furnish=lambda estate: estate.workload("cart", 6),
        faults=(Fault(kind="vm_lost", target="web-2-*", delay=timedelta(seconds=20)),),
        tolerates="floor",
        ends="blocked",
    ),
    Scenario(
        "persons-cordon",
        "FM10: a node that a person cordoned is left alone and named, the others converge",
        (Run(replicas=4),),
        began_with=4,
        surge=2,
        unavailable=1,
        faults=(Fault(kind="cordon", target="web-1-*"),),
        tolerates="floor",
        ends="blocked",
    ),
    Scenario(
        "our-cordon-undone",
        "FM9: in mid-drain a person opens a node that we closed: it is closed again",
        furnish=lambda estate: estate.workload("cart", 3, max_unavailable="1"),
        faults=(Fault(kind="uncordon", target="web-0-*", delay=timedelta(seconds=50)),),
    ),
    # Runs that die
    Scenario(
        "killed",
        "FM9, FM11, FM44: killed in mid-drain; the next run waits for the dead holder's lock and goes on",
        (Run(killed_after=52), Run()),
        furnish=lambda estate: estate.workload("cart", 3),
    ),
    Scenario(
        "killed-in-mid-create",
        "FM26: killed when a create was just sent: the next run adopts the machine",
        (Run(killed_after=0.85), Run()),
    ),
    Scenario(
        "half-a-create",
        "FM22: a create dies between port and VM: the port is cleared, another machine is made",
        faults=(Fault(kind="dies_half_way"),),
    ),
    Scenario(
        "lost-answer",
        "FM26: the answer of a create is lost: the machine is found by its name",
        faults=(Fault(kind="fail", target="create", after_effect=True),),
    ),
    # The ladder and what a bad image may cost
    Scenario(
        "ladder",
        "8 machines, steps 1 and 50%, soak 1m: one canary, then up to four, then all",
        (Run(replicas=8),),
        began_with=8,
        surge=2,
        strategy={"steps": (1, "50%"), "soak": timedelta(minutes=1)},
    ),
    Scenario(
        "ladder-killed-in-its-soak",
        "5 machines, steps 1: killed in the soak; the next run does not begin anew",
        (Run(replicas=5, killed_after=100), Run(replicas=5)),
        began_with=5,
        strategy={"steps": (1,), "soak": timedelta(minutes=1)},
    ),
    Scenario(
        "bad-image-on-a-ladder",
        "FM18: 20 machines, an image whose machines never join: one is lost, and a scheduled rerun does not try again",
        (Run(replicas=20), Run(replicas=20)),
        began_with=20,
        surge=5,
        strategy={**SHORT, "steps": (1, "20%", "100%")},
        v2=Image("v2", "sha512:v2", joins=False),
        ends="refused",
    ),
    Scenario(
        "bad-image-rolls-back",
        "FM18: the same with max_unavailable 1 and on_breach rollback: the lost one is replaced from the image before, and it stays so",
        (Run(replicas=4), Run(replicas=4)),
        began_with=4,
        surge=0,
        unavailable=1,
        strategy={**SHORT, "steps": (1, "100%"), "on_breach": "rollback"},
        v2=Image("v2", "sha512:v2", joins=False),
        ends="refused",
    ),
    # Operators
    Scenario(
        "paused-and-resumed",
        "paused in mid-roll: what goes goes on, nothing new begins; resumed, it goes on",
        (Run(asks=(Ask(60, "paused"), Ask(600, "resumed"))),),
    ),
    Scenario(
        "paused-before",
        "a run that finds a pause makes what is missing, rolls nothing, and that is no failure",
        (Run("v1", asks=(Ask(1, "paused"),)), Run(replicas=4)),
    ),
    Scenario(
        "aborted",
        "aborted in mid-drain: the machine is given back, the run ends",
        (Run(asks=(Ask(55, "aborted"),)),),
        furnish=lambda estate: estate.workload("cart", 6, max_unavailable="1"),
        ends="stopped",
    ),
    Scenario("retargeted", "retargeted to v3 in mid-roll", (Run(asks=(Ask(65, "retargeted", image="v3"),)),)),
    Scenario(
        "scaled",
        "scaled from 4 to 6 and down to 3 in mid-roll; the next scheduled run keeps the 3, until other variables supersede them",
        (
            Run(replicas=4, asks=(Ask(20, "scaled", replicas=6), Ask(100, "scaled", replicas=3))),
            Run("v2", 4),
            Run("v2", 5),
        ),
        began_with=4,
    ),
    Scenario(
        "recreate",
        "recreate: deleted first, then made again under the same name; max_surge does not count",
        strategy={"type": "recreate"},
        furnish=lambda estate: estate.workload("cart", 4),
    ),
    Scenario(
        "recreate-killed",
        "recreate, killed between the delete and the create: the next run knows which name is to come back",
        (Run(killed_after=3), Run(killed_after=100), Run()),
        unavailable=2,
        strategy={"type": "recreate"},
    ),
    Scenario(
        "recreate-failed",
        "recreate onto an image that never joins: the machine is lost under its own name, once, and the pool is held there",
        strategy={"type": "recreate", "startup_timeout": timedelta(minutes=3)},
        v2=Image("v2", "sha512:v2", joins=False),
        tolerates="floor",
        ends="refused",
    ),
    Scenario(
        "rolled-back",
        "rolled back in mid-roll: newest first, and the next scheduled run stays there",
        (Run(asks=(Ask(65, "rolled_back"),)), Run()),
    ),
    Scenario(
        "replaced",
        "one machine is replaced, with surge, though it is up to date",
        (Run("v1", asks=(Ask(0, "replaced", machine=2),)), Run("v1")),
    ),
    Scenario(
        "protected",
        "one machine is protected for 10 minutes: it goes last",
        (Run(asks=(Ask(0.1, "protected", machine=1, lasts=600),)),),
    ),
)
