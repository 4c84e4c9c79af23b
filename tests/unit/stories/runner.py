# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays a scenario: the real loop over the simulated world in virtual time, watched at every event, told as a story.

A story has one line for each change of a machine: time since the beginning, verb, machine, reason. Machines are called
m1, m2, ... in the order in which they appear. Labels, direct looks and clearing up are left out; evictions are counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide.control import Wish, steered
from ansible_collections.immutable.fleet.plugins.module_utils.decide.remove import removal
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Job, Result
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Gate, Question
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy, Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.schedule import ReplacementBudget, Window
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, lognormal
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault, Image
from ansible_collections.immutable.fleet.tests.simulation.estate import PLAIN, Estate
from ansible_collections.immutable.fleet.tests.simulation.plain_estate import PlainEstate, PlainWitness
from ansible_collections.immutable.fleet.tests.simulation.witnesses import SEEN_WITHIN, Broken, Witness

RANDOM = Profile(
    create=lognormal(15, 0.5), ready=lognormal(20, 0.5), delete=lognormal(8, 0.5), pod_start=lognormal(5, 0.5), pod_stop=lognormal(5, 0.5)
)
BETWEEN_RUNS = timedelta(seconds=10)
WIDTH = 150
ASK = "operator"  # an event of the world's agenda

# kind of event -> verb of the story; the others are noise here.
VERBS = {
    "create": "create",
    "choose": "drain",
    "join": "join",
    "drain": "drain",
    "remove": "remove",
    "evict": "evict",
    "remove pod": "force",
    "quarantine": "quarantine",
    "delete": "delete",
    "power off": "power off",
    "reboot": "reboot",
    "gone": "gone",
    "cordon": "cordon",
    "uncordon": "uncordon",
    "blocked": "blocked",
    "waits": "waits",
    "refused": "refused",
    "release": "release",
    "steering": "asked",
    "retarget": "target",
    "scale": "target",
}
POOLS = {"web": "m", "api": "a"}  # name of a pool -> first letter of its machines' short names
STANDS_ALONE = re.compile(r"n\d")  # a node without a machine
PHASES = ("ready", "error", "not ready", "stopped")


@dataclass(frozen=True)
class Ask:
    """An operator's wish, so many seconds after a run began. `machine` is the number in its name, as the story has it."""

    after: float
    state: str
    image: str = ""
    machine: int = 0
    replicas: int | None = None
    lasts: float = 3600


@dataclass(frozen=True)
class Run:
    """One run of the playbook: asks for this image and so many machines; stopped or killed after so many seconds."""

    image: str = "v2"
    replicas: int = 3
    stopped_after: float | None = None
    killed_after: float | None = None
    removes: bool = False
    asks: tuple[Ask, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    begins_at: float = 0  # not before so many seconds after the first run's beginning


@dataclass(frozen=True)
class Scenario:
    """`began_with` machines of v1, then the runs. `tolerates`: which state the faults may break, by their own doing.

    In `strategy`, `windows` are (from, until) and `budgets` (count, from, until), in seconds after the first run's beginning.
    """

    name: str
    title: str
    runs: tuple[Run, ...] = (Run(),)
    began_with: int = 3
    surge: int | str = 1
    unavailable: int | str = 0
    strategy: dict[str, Any] = field(default_factory=dict)
    drain: dict[str, Any] = field(default_factory=dict)
    domains: int = 0
    furnish: Callable[[Estate], object] = lambda _estate: None  # pods and budgets, before the first run
    faults: tuple[Fault, ...] = ()
    node_suffix: str = ""  # nodes are named like their machines, with this behind it
    v2: Image = field(default_factory=lambda: Image("v2", "sha512:v2"))
    tolerates: str = ""  # "", "floor" or "ceiling"
    ends: str = "ok"  # code of the last run's end
    asks_first: bool = False  # what room there is, as a task does
    sessions: int | None = None  # of each machine; then they are plain ones behind a balancer
    health: HealthPolicy | None = None  # None: nobody looks after machines that were ready
    gates: dict[str, float] = field(default_factory=dict)  # "gate" or a hook -> seconds after the beginning from which it passes


class Operator:
    """Another process, which steers the pool through its lock at an instant of the world's own time."""

    def __init__(self, estate: Estate, ask: Ask, machines: dict[str, str], watch: Watch) -> None:
        self._estate, self._ask, self._machines, self._watch = estate, ask, machines, watch

    def __call__(self, _key: str) -> None:
        ask, leases, name = self._ask, self._estate.world.leases, self._estate.name
        wish = Wish(
            pool=name,
            state=ask.state,
            asked=Asked("ana@laptop", self._estate.world.now.replace(microsecond=0)),
            machine=self._machines.get(f"m{ask.machine}", ""),
            image=ask.image,
            replicas=ask.replicas,
            lasts=timedelta(seconds=ask.lasts),
        )
        leases.steer(name, leases.read(name), steered(leases.read(name), wish))
        if ask.replicas is not None:
            self._watch.scaled(ask.replicas)


class Watch:
    """A reporter that notes every event and judges the state of the world at each: no row breaks what it does not declare."""

    def __init__(self, scenario: Scenario, witness: Witness) -> None:
        self._scenario, self._witness = scenario, witness
        self.events: list[Event] = []
        self.least, self.most = 0, 0

    def begin(self) -> None:
        """A run begins: what is broken already may be broken on."""
        limits = self._witness.limits
        self.least = min(limits.floor, len(self._witness.available()))
        self.most = max(limits.ceiling, len(self._witness.vms()))

    def scaled(self, replicas: int) -> None:
        """An operator wants so many machines; the run hears of it in a moment."""
        self._witness.ask(replace(self._witness.pool, replicas=replicas), SEEN_WITHIN)
        self.least = min(self.least, self._witness.limits.floor)
        self.most = max(self.most, self._witness.limits.ceiling)

    def tell(self, event: Event) -> None:
        """Note and judge."""
        self.events.append(event)
        available, existing = (
            len(self._witness.available()),
            len(self._witness.vms()) - len(self._witness.quarantined() | self._witness.preserved()),
        )
        if available < self.least and self._scenario.tolerates != "floor":
            raise Broken(f"{event.at}: {available} available, floor {self.least}")
        if existing > self.most and self._scenario.tolerates != "ceiling":
            raise Broken(f"{event.at}: {existing} exist, ceiling {self.most}")


def play(scenario: Scenario, profile: Profile = PLAIN, seed: int = 0) -> str:
    """The story. Raises `Broken` where a guard was broken, or the end is not the one the row declares."""
    estate = estate_of(scenario, profile, seed).domains(*("az1", "az2", "az3")[: scenario.domains])
    estate.world.state.images.put(scenario.v2.digest, scenario.v2)
    estate.world.state.settings.node_suffix = scenario.node_suffix
    names: dict[str, str] = {}
    lines = [f"## {scenario.title}"]
    if scenario.began_with:
        estate.run(pool_of(scenario, estate, scenario.began_with))
        estate.runtime.play_until(estate.runtime.now() + timedelta(minutes=5))
    scenario.furnish(estate)
    estate.runtime.play_until(estate.runtime.now() + timedelta(minutes=5))
    began_at = estate.runtime.now()
    estate.probes = {name: Opening(estate, began_at + timedelta(seconds=after)) for name, after in scenario.gates.items()}
    witness_of = Witness if scenario.sessions is None else PlainWitness
    witness = witness_of(estate.world, pool_of(scenario, estate, scenario.began_with, began_at))
    estate.watched = witness.around  # type: ignore[method-assign]
    names.update((name, f"m{number}") for number, name in enumerate(sorted(witness.vms()), 1))
    for fault in scenario.faults:
        estate.world.inject(replace(fault))
    if isinstance(witness, PlainWitness):
        witness.has_sick = bool(scenario.faults)
    if scenario.faults and scenario.tolerates == "floor":
        witness.excused_until = estate.runtime.now() + timedelta(hours=2)
    result = None
    for run in scenario.runs:
        estate.runtime.play_until(max(estate.runtime.now(), began_at + timedelta(seconds=run.begins_at)))
        result = _run(scenario, estate, witness, run, names, lines, began_at)
        estate.runtime.play_until(estate.runtime.now() + BETWEEN_RUNS)
    code = "killed" if result is None else result.failure.code if result.failure is not None else "ok"
    if code != scenario.ends:
        raise Broken(f"ends as {code}, not as {scenario.ends}:\n" + "\n".join(lines))
    if code == "ok" and not result.pending and not steered_away(estate) and (wrong := witness.converged()):
        raise Broken(f"not converged: {wrong}\n" + "\n".join(lines))
    return "\n".join(lines) + "\n"


def estate_of(scenario: Scenario, profile: Profile, seed: int) -> Estate:
    """With a cluster, or with a balancer."""
    if scenario.sessions is None:
        return Estate(profile=profile, seed=seed)
    return PlainEstate(profile=profile, seed=seed, sessions=scenario.sessions)


def steered_away(estate: Estate) -> bool:
    """Whether the pool is made of something else than its variables say, because an operator wanted so."""
    return estate.world.leases.read(estate.name).steering.override is not None


class Opening:
    """A gate that passes from an instant on."""

    def __init__(self, estate: Estate, from_: datetime) -> None:
        self._estate, self._from = estate, from_

    def ask(self, question: Question) -> tuple[bool, str]:
        passed = self._estate.world.now >= self._from
        return passed, "" if passed else f"not yet{f' for {question.machine}' if question.machine else ''}"


def pool_of(scenario: Scenario, estate: Estate, replicas: int, began_at: datetime | None = None) -> Pool:
    """What the scenario's playbook declares; before `began_at` is known, without its calendar, gates and age."""
    given = dict(scenario.strategy)
    windows, budgets = given.pop("windows", ()), given.pop("budgets", ())
    if began_at is None:
        given.pop("max_age", None)
    else:
        given |= {"windows": tuple(window(began_at, *one) for one in windows)}
        given |= {"budgets": tuple(ReplacementBudget(count=count, window=window(began_at, *when)) for count, *when in budgets)}
        given |= {name: Gate(command=("check",)) for name in scenario.gates}
    how = Strategy(max_surge=scenario.surge, max_unavailable=scenario.unavailable, **given)
    return estate.pool(replicas, strategy=how, drain=DrainPolicy(**scenario.drain), health=scenario.health)


def window(began_at: datetime, begin: float, end: float) -> Window:
    """One interval, in seconds after the first run's beginning."""
    interval = (began_at + timedelta(seconds=begin), began_at + timedelta(seconds=end))
    return Window(cron="* * * * *", duration=timedelta(seconds=end - begin), intervals=(interval,))


def _run(
    scenario: Scenario, estate: Estate, witness: Witness, run: Run, names: dict[str, str], lines: list[str], first_at: datetime
) -> Result | None:
    estate.image, estate.asks_first = run.image, scenario.asks_first
    pool = replace(pool_of(scenario, estate, run.replicas, first_at), labels=run.labels)
    witness.ask(replace(pool, replicas=0) if run.removes else pool)
    watch, began_at = Watch(scenario, witness), estate.runtime.now()
    watch.begin()
    if len(scenario.runs) > 1:
        lines.append("-- run: " + ("remove" if run.removes else f"{run.replicas} of {run.image}"))
    for number, ask in enumerate(run.asks):
        operator = Operator(estate, ask, {alias: name for name, alias in names.items()}, watch)
        estate.world._handlers[f"{ASK} {number}"] = operator
        estate.world.state.plan(timedelta(seconds=ask.after), f"{ASK} {number}", "")
    job: Job = removal(pool) if run.removes else Rollout(pool)
    result = estate.run(
        job,
        watch,
        timeout=timedelta(seconds=run.stopped_after) if run.stopped_after else None,
        dies_at=began_at + timedelta(seconds=run.killed_after) if run.killed_after else None,
    )
    lines += tell(watch.events, began_at, names)
    lines.append(_end(result, estate.runtime.now() - began_at, names))
    return result


def tell(events: list[Event], began_at: datetime, names: dict[str, str]) -> list[str]:
    """The events as lines; evictions of one node at one instant are one line."""
    shown = [event for event in events if event.kind in VERBS or (event.kind == "phase" and event.text in PHASES and event.data["before"])]
    lines = []
    for (at, kind, machine), group in groupby(shown, key=lambda event: (event.at, event.kind, event.machine)):
        same = list(group)
        texts = [event.text for event in same] if kind != "evict" else [_pods(len(same))]
        verb = VERBS.get(kind, same[0].text)
        for text in texts:
            told = "" if kind in ("phase", "gone") else text
            lines.append(line(at - began_at, verb, machine, told, names))
    return lines


def _pods(count: int) -> str:
    return f"{count} pod" if count == 1 else f"{count} pods"


def _end(result: Result | None, after: timedelta, names: dict[str, str]) -> str:
    if result is None:
        return line(after, "killed", "", "", names)
    if result.failure is None:
        text = result.pending or (f"{result.tally.up_to_date} up to date" if result.changed else "nothing to do")
        return line(after, "done", "", text, names)
    return line(after, result.failure.code, "", str(result.failure), names)


def line(after: timedelta, verb: str, machine: str, text: str, names: dict[str, str]) -> str:
    """One line of a story."""
    subject = alias(machine, names) if machine.split("-", maxsplit=1)[0] in POOLS or STANDS_ALONE.fullmatch(machine) else ""
    text = " ".join(alias(word, names) for word in text.split(" "))
    return f"{say_duration(after):<8}{verb:<11}{subject:<5}{text}".rstrip()


def alias(word: str, names: dict[str, str]) -> str:
    """A machine's short name, given when it is first told; what its node adds to the name stays; other words as they are."""
    bare = word.strip(",;:()").partition(".")[0]
    if bare.split("-")[0] not in POOLS or bare.count("-") != 2:
        return word
    letter = POOLS[bare.split("-")[0]]
    number = sum(1 for short in names.values() if short[0] == letter) + 1
    return word.replace(bare, names.setdefault(bare, f"{letter}{number}"))
