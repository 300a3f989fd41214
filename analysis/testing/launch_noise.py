"""Noise between launches, measured, and whole sequential runs made of it. For tests only.

A pool is what one fresh launch with one round can show of a comparison that has no effect: every paired log ratio of its
rounds, over several launches, each launch as likely as the others. So what stays the same within a launch is in it, and heavy
tails are. It is centred on its own 20 % trimmed mean, which is what the estimate over launches is an estimate of.

Replays are vectorised over studies; sequential_test.py shows that they are the rule that judges runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from analysis.estimate.control_noise import read_noise
from analysis.estimate.looks import Schedule
from analysis.estimate.trimmed_mean import trimmed
from analysis.read.read_run import Run

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Words of a replay.
OPEN, FASTER, SLOWER, EQUAL = range(4)


@dataclass(frozen=True)
class Pool:
    values: FloatArray
    weights: FloatArray

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Independent launches."""
        return np.asarray(generator.choice(self.values, shape, p=self.weights), dtype=np.float64)


def make_pool(launches: Sequence[FloatArray]) -> Pool:
    """Of the log ratios of some launches."""
    values = np.concatenate(launches)
    weights = np.concatenate([np.full(len(one), 1 / len(one) / len(launches)) for one in launches])
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    # The trimmed mean of the distribution: what lies between its fifths.
    upper = np.cumsum(weights)
    kept = np.clip(np.minimum(upper, 0.8) - np.maximum(upper - weights, 0.2), 0.0, None)
    return Pool(values - float(np.sum(kept * values) / np.sum(kept)), weights)


def pools_of(run: Run, fast: str, slow: str, ranks: str = "2") -> list[Pool]:
    """One per cell of a run that measured both variants in several launches."""
    times: dict[str, dict[int, dict[str, dict[int, float]]]] = {}
    for case in run.cases:
        if case.factors["ranks"] == ranks and case.variant in (fast, slow):
            rows = run.samples.get((case.launch, case.case), [])
            found = {row.round: time for row in rows if row.status == "ok" and (time := row.metrics["time_s"])}
            times.setdefault(case.cell, {}).setdefault(case.unit, {})[case.variant] = found
    pools = []
    for launches in times.values():
        blocks = [
            np.array([math.log(both[slow][n] / both[fast][n]) for n in sorted(set(both[slow]) & set(both[fast]))])
            for both in launches.values() if len(both) == 2
        ]  # fmt: skip
        blocks = [block for block in blocks if len(block)]
        if len(blocks) > 1:
            pools.append(make_pool(blocks))
    return pools


def long_series(path: Path) -> list[Pool]:
    """Of machine_noise.csv: one launch of many rounds, so without what differs between launches."""
    return [make_pool([series]) for series in read_noise(path)]


@dataclass(frozen=True)
class Replays:
    """Of one comparison in many studies."""

    words: IntArray
    launches: IntArray  # behind each word
    low: FloatArray  # the simultaneous interval of the deciding or last look
    high: FloatArray


def replay_many(values: FloatArray, schedule: Schedule, margin: float) -> Replays:
    """`values` [studies, launches]: log ratios."""
    studies, launches = values.shape
    limit = math.log1p(margin)
    words = np.zeros(studies, dtype=np.int64)
    used = np.zeros(studies, dtype=np.int64)
    low, high = np.full(studies, -np.inf), np.full(studies, np.inf)
    for look in schedule.evaluations(launches):
        going = words == OPEN
        found = trimmed(values[going, :look])
        reach = -float(special.stdtrit(found.freedom, schedule.level)) * found.error
        below, above = found.centre - reach, found.centre + reach
        decided = np.where(below >= limit, FASTER, np.where(above <= -limit, SLOWER, OPEN))
        decided = np.where((decided == OPEN) & (below >= -limit) & (above <= limit), EQUAL, decided)
        words[going], used[going], low[going], high[going] = decided, look, below, above
    return Replays(words, used, low, high)


def simulate(
    generator: np.random.Generator, pools: Sequence[Pool], log_ratio: float, schedule: Schedule, margin: float, studies: int
) -> list[Replays]:
    """A comparison for each pool, in so many studies."""
    last = schedule.looks[-1]
    return [replay_many(pool.draw(generator, (studies, last)) + log_ratio, schedule, margin) for pool in pools]
