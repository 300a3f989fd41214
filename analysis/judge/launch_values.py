"""What one launch says of a comparison: a logarithm of the ratio of its two sides, from the samples.

Noise on a machine only ever costs time, so within a launch the lower quartile of the samples is steadier than their median
(three rounds at up to 1024 tokens: root mean square error 6 % against 9 %). It needs three rounds; fewer have the median.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Mapping, Sequence

from analysis.estimate import paired_statistics as stats
from analysis.estimate.trimmed_mean import TrimmedEstimate
from analysis.judge.claims import Claim, Comparison
from analysis.read.read_run import COUNT_METRICS, TIME_METRICS, Case, Run, Sample

QUARTILE_ROUNDS = 3
# The undisturbed end: short times, high rates. What is neither has the median.
_QUARTILE = {name: 0.25 for name in TIME_METRICS} | {"gflops": 0.75, "pct_peak": 0.75}


def _quantile(ordered: Sequence[float], share: float) -> float:
    """numpy.quantile of a few sorted numbers, to the last bit, in a twentieth of its time: pages are made of 200,000 of them."""
    place = share * (len(ordered) - 1)
    below = min(math.floor(place), len(ordered) - 1)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    part = place - below
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


def _measurement(case: Case, sample: Sample, metric: str) -> float | None:
    """One round's value of a metric that is measured, or follows from what is measured, every round."""
    measured = sample.metrics
    if metric in measured:
        return measured[metric]
    time, total, exposed = measured["time_s"], measured["comm_total_s"], measured["comm_exposed_s"]
    if metric == "overlap_fraction":
        return None if not total or exposed is None else 1 - exposed / total
    if case.work_gflop is None or not time:
        return None
    rate = case.work_gflop / time
    if metric == "gflops":
        return rate
    peak = measured["peak_gflops"]
    return 100 * rate / peak if peak else None


def _values(run: Run, case: Case, metric: str) -> dict[int, float | None]:
    """Logarithms by round; None where the value is not positive. Failed and unmeasured rounds are left out."""
    found: dict[int, float | None] = {}
    for sample in run.samples.get((case.launch, case.case), []):
        value = _measurement(case, sample, metric)
        if sample.status == "ok" and value is not None:
            found[sample.round] = math.log(value) if value > 0 else None
    return found


@dataclass(frozen=True)
class LaunchValues:
    """The logarithms of both sides, launch by launch in their order, round by round."""

    metric: str
    paired: bool  # rounds of the two sides belong together
    launches: Sequence[tuple[Sequence[float], Sequence[float]]]  # (slow, fast)
    units: Sequence[int]  # which launches these are

    def values(self, how: str = "typical") -> list[float]:
        """One log ratio per launch: 'typical' (the rule above), 'median' or 'minimum' of the samples."""
        return [self._summary(slow, how) - self._summary(fast, how) for slow, fast in self.launches]

    def _summary(self, logs: Sequence[float], how: str) -> float:
        share = _QUARTILE.get(self.metric, 0.5)
        if how == "minimum" and share != 0.5:
            return min(logs) if share < 0.5 else max(logs)
        if how != "typical" or len(logs) < QUARTILE_ROUNDS:
            share = 0.5
        return _quantile(sorted(logs), share)

    def rounds(self, launches: int) -> int:
        return sum(min(len(slow), len(fast)) for slow, fast in self.launches[:launches])

    def estimate(self, launches: int, how: str = "typical") -> stats.Estimate:
        """Of the first so many launches."""
        if launches > 1:
            return TrimmedEstimate(self.values(how)[:launches], self.rounds(launches))
        slow, fast = self.launches[0]
        if self.paired:
            return stats.RoundsEstimate([s - f for s, f in zip(slow, fast)])
        return stats.BlocksEstimate(slow, fast)


def read_values(run: Run, metric: str, comparison: Comparison) -> LaunchValues | str:
    """The values of a comparison, or why it has none.

    Rounds in which the metric is not positive (exposed communication lost in the noise) have no logarithm. They
    are not dropped, which would keep only the large values: the comparison then has no ratio at all.
    """
    launches: list[tuple[Sequence[float], Sequence[float]]] = []
    units: list[int] = []
    for fast_launch, slow_launch in comparison.launches:
        fast = _values(run, comparison.fast[fast_launch], metric)
        slow = _values(run, comparison.slow[slow_launch], metric)
        if comparison.by_turns:
            rounds = sorted(set(fast) & set(slow))
            fast, slow = {n: fast[n] for n in rounds}, {n: slow[n] for n in rounds}
        if None in fast.values() or None in slow.values():
            return f"{metric} is not resolved: zero or negative in some rounds"
        if fast and slow:
            launches.append((_present(slow), _present(fast)))
            units.append(fast_launch)
    if not launches:
        return f"{metric} was not measured"
    return LaunchValues(metric, comparison.by_turns, launches, units)


def _present(values: Mapping[int, float | None]) -> list[float]:
    return [value for value in values.values() if value is not None]


def count_estimate(claim: Claim, comparison: Comparison) -> stats.Estimate | str:
    """The exact ratio of two counted quantities, or why there is none."""
    assert claim.metric in COUNT_METRICS
    fast_launch, slow_launch = comparison.launches[0]
    fast = comparison.fast[fast_launch].counts[claim.metric]
    slow = comparison.slow[slow_launch].counts[claim.metric]
    if fast is None or slow is None:
        return f"{claim.metric} was not measured"
    return stats.ExactEstimate(math.log(slow / fast)) if fast > 0 and slow > 0 else f"{claim.metric} is zero"
