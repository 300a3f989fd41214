"""Old and new times, paired visit by visit, and what they say.

A visit starts both binaries right after one another on the same slice and gives one pair of times per case. The ratio new / old
of a case is the median over its visits; its interval is the bootstrap's over visits, because what differs from start to start
(places in memory, the machine's mood) is larger than what differs from sample to sample of one start. Cases of one slice share
their visits and are resampled together, so that the interval of a geometric mean knows how they depend on each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Mapping, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# The rule: how much slower the geometric mean, and any one case, may be.
MEAN_MARGIN = 0.01
CASE_MARGIN = 0.02
ERROR = 0.05
_RESAMPLES = 4000
_SEED = 1


@dataclass(frozen=True)
class Pair:
    """Seconds of one case in one visit: the median of the samples of each binary."""

    old: float
    new: float


@dataclass(frozen=True)
class Ratio:
    """new / old with the ends of its 95 % interval; above 1 the new revision is slower."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """The larger side of the interval, as a share of the value."""
        return max(self.high - self.value, self.value - self.low) / self.value


@dataclass(frozen=True)
class CaseKey:
    group: str
    slice_title: str
    variant: str

    @property
    def title(self) -> str:
        return f"{self.slice_title} {self.variant}"


@dataclass(frozen=True)
class JudgedCase:
    key: CaseKey
    visits: int
    old: float  # medians over visits, seconds
    new: float
    ratio: Ratio

    @property
    def slower(self) -> bool:
        """Worse than allowed, beyond what the interval leaves open."""
        return self.ratio.low > 1 + CASE_MARGIN

    @property
    def wide(self) -> bool:
        """Whether the interval is too wide to tell a case that is as slow as is allowed from one that is not slower."""
        return self.ratio.half_width > CASE_MARGIN


@dataclass(frozen=True)
class Judgement:
    cases: tuple[JudgedCase, ...]
    groups: Mapping[str, Ratio]  # geometric means over the cases of a group
    overall: Ratio  # over all cases

    def complaints(self) -> list[str]:
        """What breaks the rule, a line each; empty if it holds."""
        found = []
        if self.overall.value > 1 + MEAN_MARGIN:
            found.append(f"the geometric mean over all cases is {self.overall.value:.4f}, above {1 + MEAN_MARGIN:.2f}")
        for group, ratio in self.groups.items():
            if ratio.low > 1 + MEAN_MARGIN:
                found.append(
                    f"the geometric mean of {group} is {ratio.value:.4f} ({ratio.low:.4f} to {ratio.high:.4f}), "
                    f"above {1 + MEAN_MARGIN:.2f}"
                )
        for case in self.cases:
            if case.slower:
                found.append(
                    f"{case.key.group} {case.key.title} is {case.ratio.value:.4f} ({case.ratio.low:.4f} to "
                    f"{case.ratio.high:.4f}), above {1 + CASE_MARGIN:.2f}"
                )
        return found


def _ratio(estimate: float, resampled: FloatArray) -> Ratio:
    """From logarithms. The value itself always lies in the interval."""
    low, high = np.quantile(resampled, [ERROR / 2, 1 - ERROR / 2])
    return Ratio(math.exp(estimate), math.exp(min(float(low), estimate)), math.exp(max(float(high), estimate)))


def judge(pairs: Mapping[CaseKey, Sequence[Pair]]) -> Judgement:
    """Judges every case with at least one pair; there must be one. Cases of one slice with equally many pairs are taken to
    come from the same visits."""
    generator = np.random.default_rng(_SEED)
    drawn: dict[tuple[str, str, int], npt.NDArray[np.int64]] = {}
    cases: list[JudgedCase] = []
    estimates: list[float] = []
    resamples: list[FloatArray] = []
    for key, measured in pairs.items():
        if not measured:
            continue
        count = len(measured)
        together = (key.group, key.slice_title, count)
        if together not in drawn:
            drawn[together] = generator.integers(0, count, size=(_RESAMPLES, count))
        logs = np.log([pair.new / pair.old for pair in measured])
        estimates.append(float(np.median(logs)))
        resamples.append(np.median(logs[drawn[together]], axis=1))
        cases.append(
            JudgedCase(
                key,
                count,
                float(np.median([pair.old for pair in measured])),
                float(np.median([pair.new for pair in measured])),
                _ratio(estimates[-1], resamples[-1]),
            )
        )

    def mean(chosen: Sequence[int]) -> Ratio:
        return _ratio(float(np.mean([estimates[i] for i in chosen])), np.mean([resamples[i] for i in chosen], axis=0))

    groups = {}
    for group in dict.fromkeys(case.key.group for case in cases):
        groups[group] = mean([i for i, case in enumerate(cases) if case.key.group == group])
    return Judgement(tuple(cases), groups, mean(range(len(cases))))
