"""Yuen's interval over launches: the estimate behind every verdict about more than one launch.

A launch is what was replicated, and one launch in fifty is far off (a neighbour on the host, a page placed badly). A mean
follows it; Student's interval pays for it in width. So the fifth of the launches at either end is trimmed, and the error of
what is left is estimated from the winsorised variance, with Student's distribution on h - 1 degrees of freedom where h
launches are left: K. K. Yuen, The two-sample trimmed t for unequal population variances, Biometrika 61 (1974) 165-170;
the one-sample form is in R. Wilcox, Introduction to Robust Estimation and Hypothesis Testing, section 4.3.

Fewer than five launches leave nothing to trim, and the same formulas are Student's interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]

# One launch in so many is trimmed at either end: 20 %.
TRIMMED_ONE_IN = 5


@dataclass(frozen=True)
class Trimmed:
    """Trimmed means along the last axis, their standard errors, and the degrees of freedom of these."""

    centre: FloatArray
    error: FloatArray
    freedom: int


def trimmed(values: FloatArray) -> Trimmed:
    """For many series of the same length at once, so that whole studies can be simulated."""
    count = values.shape[-1]
    if count < 2:
        raise ValueError("an interval over launches needs at least two")
    cut = count // TRIMMED_ONE_IN
    ordered = np.sort(values, axis=-1)
    core = ordered[..., cut : count - cut]
    kept = core.shape[-1]
    winsorised = np.clip(ordered, core[..., :1], core[..., -1:])
    variance = np.var(winsorised, axis=-1, ddof=1)
    error = np.sqrt((count - 1) * variance / (kept * (kept - 1)))
    return Trimmed(np.mean(core, axis=-1), np.asarray(error, dtype=np.float64), kept - 1)


class TrimmedEstimate:
    """Trimmed mean of one logarithm per launch; an Estimate as paired_statistics.py describes them."""

    def __init__(self, launch_values: Sequence[float] | FloatArray, rounds: int) -> None:
        values = np.asarray(launch_values, dtype=np.float64)
        found = trimmed(values)
        self.launches = len(values)
        self.rounds = rounds
        self.centre = float(found.centre)
        self._error = float(found.error)
        self._freedom = found.freedom

    @property
    def method(self) -> str:
        if self.launches < TRIMMED_ONE_IN:
            return "mean over launches, Student"
        return "20 % trimmed mean over launches, Yuen"

    def _reach(self, error: float) -> float:
        return -float(special.stdtrit(self._freedom, error)) * self._error

    def lower(self, error: float) -> float:
        return self.centre - self._reach(error)

    def upper(self, error: float) -> float:
        return self.centre + self._reach(error)

    def _p(self, distance: float) -> float:
        if self._error == 0.0:
            return 0.0 if distance > 0 else 1.0
        return float(special.stdtr(self._freedom, -distance / self._error))

    def p_above(self, limit: float) -> float:
        return self._p(self.centre - limit)

    def p_below(self, limit: float) -> float:
        return self._p(limit - self.centre)


def outlying(values: Sequence[float] | FloatArray) -> int:
    """Launches beyond three robust standard deviations of the median: how far from normal the launches were.

    Of normal values one in 370 lies there. The estimate above trims them; the number is reported so that a reader sees it.
    """
    if len(values) < 3:
        return 0
    series = np.asarray(values, dtype=np.float64)
    deviations = np.abs(series - np.median(series))
    spread = 1.4826 * float(np.median(deviations))
    return int(np.sum(deviations > 3 * spread)) if spread > 0 else 0


def spread_of(values: Sequence[float]) -> float:
    """Standard deviation, 0 for fewer than two values."""
    return float(np.std(np.asarray(values, dtype=np.float64), ddof=1)) if len(values) > 1 else 0.0


