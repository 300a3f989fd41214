"""Intervals and tests for ratios of times, and the rule that chooses the number of rounds.

Everything works on natural logarithms of ratios, because ratios multiply: a variant that is 2 % slower in one
round and 2 % faster in the next has no effect, and only logarithms average that to zero. An estimate knows three
things: its centre, its one-sided confidence bounds at any error level, and (the inverse of the bounds) the
one-sided p-value of a hypothesis. Words and their correction need nothing else.

Estimates by what was measured; the one over several launches is in trimmed_mean.py:

RoundsEstimate    one launch, ratios paired within rounds. The median of the rounds, with the order-statistic
                  interval (the sign test inverted), interpolated between order statistics after Hettmansperger
                  and Sheather (1986) so that its coverage is 95 % at every number of rounds and not 93 to 99 %.
                  No distribution is assumed. The order of variants within a round is random, so drift shared by
                  the variants leaves the ratios independent; where dependence is seen all the same (signs of
                  neighbouring rounds agree too often), levels are corrected for it.
BlocksEstimate    one launch, two blocks of rounds measured at different moments (for example two ISAs). Nothing
                  pairs them, so the bounds of both medians are combined by Bonferroni's inequality.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Protocol, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]

# Of the rule that chooses the number of rounds (SAMPLE_SIZE.md); that of the verdicts is the experiment's (read/plan.py).
MARGIN = 0.01
# Error of one side of the 95 % interval.
ONE_SIDED_ERROR = 0.025
PILOT_ROUNDS = 10
MINIMUM_ROUNDS = 15
MAXIMUM_ROUNDS = 200
DEFAULT_TARGET_RATIO = 1.05


class Estimate(Protocol):
    """An estimated logarithm of a ratio."""

    @property
    def centre(self) -> float: ...

    @property
    def rounds(self) -> int: ...

    @property
    def launches(self) -> int: ...

    @property
    def method(self) -> str: ...

    def lower(self, error: float) -> float:
        """The bound that lies above the truth with probability `error`; -inf if the data cannot give one."""

    def upper(self, error: float) -> float:
        """The bound that lies below the truth with probability `error`; +inf if the data cannot give one."""

    def p_above(self, limit: float) -> float:
        """p-value of the hypothesis that the truth is at most `limit`: small means it lies above."""

    def p_below(self, limit: float) -> float:
        """p-value of the hypothesis that the truth is at least `limit`: small means it lies below."""


def _lower_order_bound(ordered: FloatArray, error: float) -> float:
    """Lower bound of the median at one-sided level `error`, interpolated between order statistics.

    With d the largest rank whose error P(Binomial(n, 1/2) < d) does not exceed `error`, the bound lies between
    x(d) and x(d+1) (Hettmansperger & Sheather, Statistics & Probability Letters 4 (1986) 75-79).
    """
    count = len(ordered)
    errors = special.bdtr(np.arange(count), count, 0.5)  # errors[d - 1] belongs to x(d)
    rank = int(np.searchsorted(errors, error, side="right"))
    if rank == 0:
        return -math.inf
    if rank == count:
        return float(ordered[-1])
    fraction = (error - errors[rank - 1]) / (errors[rank] - errors[rank - 1])
    weight = (count - rank) * fraction / (rank + (count - 2 * rank) * fraction)
    return float((1 - weight) * ordered[rank - 1] + weight * ordered[rank])


def _order_p_above(ordered: FloatArray, limit: float) -> float:
    """The level at which _lower_order_bound reaches `limit`."""
    count = len(ordered)
    if count == 0:
        return 1.0
    errors = special.bdtr(np.arange(count), count, 0.5)
    rank = int(np.searchsorted(ordered, limit, side="right"))  # samples at or below the limit
    if rank == 0:
        return float(errors[0])
    if rank >= count / 2:
        return 1.0
    span = float(ordered[rank] - ordered[rank - 1])
    weight = (limit - float(ordered[rank - 1])) / span
    fraction = weight * rank / ((count - rank) - weight * (count - 2 * rank))
    return float(errors[rank - 1] + fraction * (errors[rank] - errors[rank - 1]))


def variance_inflation(series: FloatArray) -> float:
    """How much more the median of `series` varies than that of independent values; 1 unless dependence is seen.

    The median depends on the signs of the deviations only, so their lag-1 correlation phi decides; for a first
    order process the variance grows by (1 + phi) / (1 - phi). A correlation within chance (one-sided 5 %) counts
    as none, otherwise half of all independent series would be widened.
    """
    count = len(series)
    if count < 8:
        return 1.0
    signs = np.sign(series - np.median(series))
    correlation = float(np.mean(signs[1:] * signs[:-1]))
    if correlation <= 1.645 / math.sqrt(count):
        return 1.0
    correlation = min(correlation, 0.95)
    return (1 + correlation) / (1 - correlation)


def _shift_level(error: float, inflation: float) -> float:
    if inflation == 1.0:
        return error
    return float(special.ndtr(special.ndtri(error) * math.sqrt(inflation)))


class RoundsEstimate:
    """Median of the log ratios of one launch's rounds, given in the order they were measured."""

    method = "median of rounds, order statistics"
    launches = 1

    def __init__(self, log_ratios: Sequence[float] | FloatArray) -> None:
        series = np.asarray(log_ratios, dtype=np.float64)
        if series.size == 0:
            raise ValueError("no rounds")
        self.inflation = variance_inflation(series)
        self.rounds = len(series)
        self._ordered = np.sort(series)
        self._mirrored = -self._ordered[::-1]
        self.centre = float(np.median(series))

    def lower(self, error: float) -> float:
        return _lower_order_bound(self._ordered, _shift_level(error, self.inflation))

    def upper(self, error: float) -> float:
        return -_lower_order_bound(self._mirrored, _shift_level(error, self.inflation))

    def p_above(self, limit: float) -> float:
        return _shift_level(_order_p_above(self._ordered, limit), 1 / self.inflation)

    def p_below(self, limit: float) -> float:
        return _shift_level(_order_p_above(self._mirrored, -limit), 1 / self.inflation)


class BlocksEstimate:
    """Difference of the medians of two unpaired blocks of one launch.

    Bonferroni's inequality makes the interval too wide rather than too narrow for noise within the blocks. Drift
    between the moments of the two blocks is not in it: only several launches show that.
    """

    method = "difference of block medians, unpaired"
    launches = 1

    def __init__(self, slow_logs: Sequence[float] | FloatArray, fast_logs: Sequence[float] | FloatArray) -> None:
        self._slow = RoundsEstimate(slow_logs)
        self._fast = RoundsEstimate(fast_logs)
        self.rounds = min(self._slow.rounds, self._fast.rounds)
        self.centre = self._slow.centre - self._fast.centre

    def lower(self, error: float) -> float:
        return self._slow.lower(error / 2) - self._fast.upper(error / 2)

    def upper(self, error: float) -> float:
        return self._slow.upper(error / 2) - self._fast.lower(error / 2)

    def p_above(self, limit: float) -> float:
        return _invert(self.lower, limit)

    def p_below(self, limit: float) -> float:
        return _invert(lambda error: -self.upper(error), -limit)


class ExactEstimate:
    """A ratio of two counted quantities (bytes): it has no noise."""

    method = "exact"
    launches = 1
    rounds = 1

    def __init__(self, log_ratio: float) -> None:
        self.centre = log_ratio

    def lower(self, error: float) -> float:
        return self.centre

    def upper(self, error: float) -> float:
        return self.centre

    def p_above(self, limit: float) -> float:
        return 0.0 if self.centre > limit else 1.0

    def p_below(self, limit: float) -> float:
        return 0.0 if self.centre < limit else 1.0


class _Bound(Protocol):
    def __call__(self, error: float) -> float: ...


def _invert(bound: _Bound, limit: float) -> float:
    """Smallest error level in (1e-12, 0.5) at which the rising function `bound` exceeds `limit`; 1 if none does."""
    low, high = math.log(1e-12), math.log(0.5)
    if bound(math.exp(high)) <= limit:
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if bound(math.exp(middle)) > limit:
            high = middle
        else:
            low = middle
    return math.exp(high)


def ratio_of(log_ratio: float) -> float:
    """exp, with infinity for what is too large to be a float."""
    return math.exp(log_ratio) if log_ratio < 700 else math.inf


@dataclass(frozen=True)
class Interval:
    """The centre of an estimate and the bounds of its 95 % interval."""

    low: float
    centre: float
    high: float

    def __str__(self) -> str:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return f"{self.centre:.3f} [no interval]"
        return f"{self.centre:.3f} [{self.low:.3f}, {self.high:.3f}]"


def interval_of(
    estimate: Estimate, scale: Callable[[float], float] = ratio_of, error: float = ONE_SIDED_ERROR
) -> Interval:
    """As ratios, or on the (rising) scale given. Too few rounds give no bounds: a ratio's are then 0 and infinity."""
    low, high = estimate.lower(error), estimate.upper(error)
    return Interval(scale(low), scale(estimate.centre), scale(high))


def noise_from_pilot(log_ratios: Sequence[float] | FloatArray) -> float:
    """Robust standard deviation from PILOT_ROUNDS log ratios: half the range without its two extremes.

    For ten normal values the second smallest and the second largest lie one standard deviation from the mean
    (expected 1.001), and one disturbed round on either side does no harm.
    """
    ordered = np.sort(np.asarray(log_ratios, dtype=np.float64))
    if len(ordered) != PILOT_ROUNDS:
        raise ValueError(f"the rule is made for {PILOT_ROUNDS} pilot rounds, not {len(ordered)}")
    return float(ordered[-2] - ordered[1]) / 2


def required_rounds(noise: float, target: float = DEFAULT_TARGET_RATIO) -> int:
    """Rounds for the fixed-size test that follows the pilot. The runner (src/experiment) implements this formula:

        n = ceil((ROUNDS_FACTOR * noise / ln(target / 1.01))^2), at least MINIMUM_ROUNDS, at most MAXIMUM_ROUNDS

    with `noise` the largest noise_from_pilot over the pairs of variants of the cell. Where the factor comes from:
    the median of n normal values has standard error 1.2533 sigma / sqrt(n); a lower 97.5 % bound that passes with
    probability 95 % needs 1.960 + 1.645 = 3.605 of them, 4.52 in all; ten pilot rounds know sigma only to about a
    quarter, which calls for 1.3 times as much to keep the probability; the rest is for intervals of whole ranks, as
    the runner prints them. The simulation in power_test.py shows it.
    """
    if target <= 1 + MARGIN:
        raise ValueError("the target ratio must exceed the margin")
    rounds = math.ceil((ROUNDS_FACTOR * noise / math.log(target / (1 + MARGIN))) ** 2)
    return min(max(rounds, MINIMUM_ROUNDS), MAXIMUM_ROUNDS)


ROUNDS_FACTOR = 6.5
