# SPDX-License-Identifier: GPL-3.0-or-later
"""How long things take in a simulated world: distributions, and the one source of chance.

Chance is a counter put through a mixing function (splitmix64), so that its whole state is one integer that a world file
can keep; `random.Random` would need 2.5 KB for each write.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

_MASK = (1 << 64) - 1
_STRIDE = 0x9E3779B97F4A7C15  # splitmix64: odd, so the counter visits every 64-bit number
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)

CONSTANT = "constant"
UNIFORM = "uniform"
LOGNORMAL = "lognormal"
EMPIRICAL = "empirical"

REDRAWS_MAX = 20  # to find a duration longer than what has passed already


class Chance:
    """Reproducible random numbers; `state` is all there is to keep."""

    __slots__ = ("state",)

    def __init__(self, seed: int) -> None:
        self.state = seed & _MASK

    def unit(self) -> float:
        """The next number in [0, 1)."""
        self.state = (self.state + _STRIDE) & _MASK
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * _MIX[0]) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * _MIX[1]) & _MASK
        return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)

    def normal(self) -> float:
        """The next number of the standard normal distribution (Box-Muller)."""
        return math.sqrt(-2.0 * math.log(1.0 - self.unit())) * math.cos(math.tau * self.unit())


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution of durations in seconds.

    `constant`: a. `uniform`: between a and b. `lognormal`: median a, sigma b (of the logarithm): 0.5 puts 95% between
    0.38 and 2.7 times the median. `empirical`: one of `values`, each as likely as the others.
    """

    kind: str
    a: float
    b: float = 0.0
    values: tuple[float, ...] = ()

    def draw(self, chance: Chance) -> timedelta:
        """The next duration. A constant uses up no chance, so that adding one changes nothing else."""
        if self.kind == CONSTANT:
            return timedelta(seconds=self.a)
        if self.kind == UNIFORM:
            return timedelta(seconds=self.a + (self.b - self.a) * chance.unit())
        if self.kind == EMPIRICAL:
            return timedelta(seconds=self.values[int(chance.unit() * len(self.values))])
        return timedelta(seconds=self.a * math.exp(self.b * chance.normal()))


def constant(seconds: float) -> Spread:
    """Always so long."""
    return Spread(CONSTANT, seconds)


def uniform(low_seconds: float, high_seconds: float) -> Spread:
    """Anything between the two."""
    return Spread(UNIFORM, low_seconds, high_seconds)


def lognormal(median_seconds: float, sigma: float) -> Spread:
    """Half below the median, with a long tail above it: what machines and drains really look like."""
    return Spread(LOGNORMAL, median_seconds, sigma)


def empirical(values: Iterable[float]) -> Spread:
    """One of these, in seconds: what was measured, with whatever shape it has."""
    return Spread(EMPIRICAL, 0.0, values=tuple(values))


def remaining(spread: Spread, elapsed: timedelta, chance: Chance) -> timedelta:
    """How long something still takes that began `elapsed` ago: a duration that is longer than that, less what has passed.

    One that has taken longer than the distribution knows ends now.
    """
    for _try in range(REDRAWS_MAX):
        drawn = spread.draw(chance)
        if drawn > elapsed:
            return drawn - elapsed
        if spread.kind == CONSTANT:
            break
    return timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a world's durations are drawn from. The defaults are the middle of what OpenStack and Kubernetes estates show."""

    create: Spread = field(default=Spread(CONSTANT, 20))  # create accepted to VM running
    ready: Spread = field(default=Spread(CONSTANT, 60))  # VM running to Node ready
    delete: Spread = field(default=Spread(CONSTANT, 10))  # delete accepted to VM gone
    pod_start: Spread = field(default=Spread(CONSTANT, 5))  # scheduled to ready; workloads may have their own
    pod_stop: Spread = field(default=Spread(CONSTANT, 5))  # SIGTERM to gone, where the pod's grace period is longer
    detach: Spread = field(default=Spread(CONSTANT, 8))  # pod gone to VolumeAttachment gone
    silence: Spread = field(default=Spread(CONSTANT, 40))  # kubelet dead to Node condition Unknown (node-monitor-grace-period)
    abandon: Spread = field(default=Spread(CONSTANT, 300))  # Unknown to its pods deleted (tolerationSeconds)
    force_detach: Spread = field(default=Spread(CONSTANT, 360))  # volume of a dead kubelet let go (maxWaitForUnmountDuration)
    collect: Spread = field(default=Spread(CONSTANT, 20))  # Node deleted to its pods collected (pod garbage collector)
    member_up: Spread = field(default=Spread(CONSTANT, 5))  # added to a backend to found healthy
    member_down: Spread = field(default=Spread(CONSTANT, 6))  # machine dead to found unhealthy
    session: Spread = field(default=Spread(CONSTANT, 10))  # a drain begins to one session's end
    balancer_change: Spread = field(default=Spread(CONSTANT, 0))  # change accepted to in effect; 0: at once, never busy
