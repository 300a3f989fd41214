"""Simulated times beside measured ones: of the cases that a measured and a simulated run of one experiment share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Sequence

import numpy as np

from analysis.read.read_run import Run


@dataclass(frozen=True)
class Compared:
    """One case, seconds."""

    factors: Mapping[str, str]
    measured_s: float
    simulated_s: float

    @property
    def error(self) -> float:
        return self.simulated_s / self.measured_s - 1


@dataclass(frozen=True)
class Errors:
    """Of several cases: absolute errors, and the median of the signed ones."""

    cases: int
    median: float
    at_90_percent: float
    bias: float


def _times(run: Run) -> dict[tuple[str, str], float]:
    """By cell and variant: the median over launches of the median in each."""
    found: dict[tuple[str, str], list[float]] = {}
    for case in run.cases:
        median = case.summary["time_median_s"]
        if case.status == "ok" and median and not case.oversubscribed and not case.duplicate_of:
            found.setdefault((case.cell, case.variant), []).append(median)
    return {key: float(np.median(times)) for key, times in found.items()}


def compared(measured: Run, simulated: Run) -> list[Compared]:
    """In the order of the measured run."""
    found, times = _times(measured), _times(simulated)
    factors = {(case.cell, case.variant): case.factors for case in measured.cases}
    return [Compared(factors[key], seconds, times[key]) for key, seconds in found.items() if key in times]


def errors(cases: Sequence[Compared]) -> Errors:
    """Of one case at least."""
    signed = np.array([case.error for case in cases])
    absolute = np.abs(signed)
    return Errors(len(cases), float(np.median(absolute)), float(np.quantile(absolute, 0.9)), float(np.median(signed)))
