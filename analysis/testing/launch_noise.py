"""Noise between launches, measured, and whole sequential runs made of it. For tests only.

A pool is a cell of a run without its effect: the logarithms of both sides' times, launch by launch, round by round. A fresh
launch is drawn by drawing one of the measured launches, then rounds within it for both sides together, and has the value that
judge/launch_values.py gives it, the ratio of lower quartiles. What stays the same within a launch and what bursts for a round
are both in it. A few launches of a few rounds give a few values only, and a test far out in the tails would be a test of these;
so each draw is moved by a normal kernel (smoothed bootstrap: Silverman and Young, Biometrika 74 (1987) 469-479; bandwidth by
Silverman's rule). Pools are centred on their own 20 % trimmed mean, which is what the estimate over launches is an estimate of.

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
Block = tuple[FloatArray, FloatArray]  # one launch: logarithms of the slow and of the fast side's times, by round

# Of a drawn launch: what a lower quartile needs.
ROUNDS = 3
_LAUNCHES = 60000

# Words of a replay.
OPEN, FASTER, SLOWER, EQUAL = range(4)


class Pool:
    """Fresh launches of one comparison: a store of their values, drawn once."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        rounds = np.array([len(slow) for slow, _ in blocks])
        times = np.zeros((2, len(blocks), int(rounds.max())))
        for index, both in enumerate(blocks):
            for side, logs in enumerate(both):
                times[side, index, : len(logs)] = logs
        generator = np.random.default_rng(int(rounds.sum()))
        launch = generator.integers(0, len(blocks), _LAUNCHES)[:, np.newaxis]
        chosen = (generator.random((_LAUNCHES, ROUNDS)) * rounds[launch]).astype(np.int64)
        # The lower quartile of three lies half way between the two smallest.
        slow, fast = (np.mean(np.sort(side[launch, chosen], axis=-1)[:, :2], axis=-1) for side in times)
        values = slow - fast
        high, low = np.quantile(values, [0.75, 0.25])
        kernel = 0.9 * min(float(np.std(values)), float(high - low) / 1.34) * float(rounds.sum()) ** -0.2
        values += kernel * generator.normal(size=_LAUNCHES)
        self._values = np.asarray(values - trimmed(values).centre, dtype=np.float64)

    @property
    def mean(self) -> float:
        """Not trimmed, so not zero."""
        return float(np.mean(self._values))

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """The values of so many launches."""
        return np.asarray(self._values[generator.integers(0, _LAUNCHES, shape)], dtype=np.float64)


def pools_of(run: Run, fast: str, slow: str, ranks: str = "2") -> list[Pool]:
    """One per cell of a run whose launches measured both variants, each in as many rounds as a drawn launch has or more."""
    times: dict[str, dict[int, dict[str, dict[int, float]]]] = {}
    for case in run.cases:
        if case.factors["ranks"] == ranks and case.variant in (fast, slow):
            rows = run.samples.get((case.launch, case.case), [])
            found = {row.round: math.log(time) for row in rows if row.status == "ok" and (time := row.metrics["time_s"])}
            times.setdefault(case.cell, {}).setdefault(case.unit, {})[case.variant] = found
    pools = []
    for launches in times.values():
        blocks = [_block(both[slow], both[fast]) for both in launches.values() if len(both) == 2]
        if len(blocks) > 1 and min(len(one) for one, _ in blocks) >= ROUNDS:
            pools.append(Pool(blocks))
    return pools


def _block(slow: dict[int, float], fast: dict[int, float]) -> Block:
    common = sorted(set(slow) & set(fast))
    return np.array([slow[number] for number in common]), np.array([fast[number] for number in common])


def long_series(path: Path) -> list[Pool]:
    """Of machine_noise.csv: one launch of many rounds, so without what differs between launches."""
    return [Pool([(series, np.zeros(len(series)))]) for series in read_noise(path)]


@dataclass(frozen=True)
class Replays:
    """Of one comparison in many studies."""

    words: IntArray
    launches: IntArray  # behind each word
    low: FloatArray  # the simultaneous interval that is shown
    high: FloatArray


def replay_many(values: FloatArray, schedule: Schedule, margin: float, kept: bool = True) -> Replays:
    """`values` [studies, launches]: log ratios. `kept`: decided cells are measured on, because something else in them is open."""
    studies, launches = values.shape
    limit = math.log1p(margin)
    words = np.zeros(studies, dtype=np.int64)
    used = np.zeros(studies, dtype=np.int64)
    low, high = np.full(studies, -np.inf), np.full(studies, np.inf)
    for look in schedule.evaluations(launches):
        found = trimmed(values[:, :look])
        reach = -float(special.stdtrit(found.freedom, schedule.level(look))) * found.error
        below, above = found.centre - reach, found.centre + reach
        common_low, common_high = np.maximum(low, below), np.minimum(high, above)
        apart = common_low > common_high
        below, above = np.where(apart, below, common_low), np.where(apart, above, common_high)
        decided = np.where(below >= 0, FASTER, np.where(above <= 0, SLOWER, OPEN))
        decided = np.where((below >= -limit) & (above <= limit), EQUAL, decided)
        shown = np.full(studies, True) if kept else words == OPEN
        words[shown], used[shown], low[shown], high[shown] = decided[shown], look, below[shown], above[shown]
    return Replays(words, used, low, high)


def simulate(
    generator: np.random.Generator, pools: Sequence[Pool], log_ratio: float, schedule: Schedule, margin: float, studies: int,
    kept: bool = True,
) -> list[Replays]:  # fmt: skip
    """A comparison for each pool, in so many studies."""
    last = schedule.looks[-1]
    return [replay_many(pool.draw(generator, (studies, last)) + log_ratio, schedule, margin, kept) for pool in pools]
