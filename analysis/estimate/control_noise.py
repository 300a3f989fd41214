"""Noise measured on a machine, for the simulations: A/A log ratios of a run, and resampling from them.

The run's cells hold pairs of variants that are the same code under two names (experiments/aa.yaml). A row is launch, cell,
round and the logarithm of the ratio of a pair's two times in that round; a cell of several pairs is several series, told
apart by their strategies.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analysis.read.csv_table import UnusableInput, read_table
from analysis.read.read_run import Case, Run

FloatArray = npt.NDArray[np.float64]

COLUMNS = ("launch", "cell", "round", "log_ratio")
# Long enough to keep what dependence there is between neighbouring rounds, short against a series.
BLOCK = 5
MINIMUM_ROUNDS = 30


def noise_rows(run: Run) -> list[tuple[str, str, int, float]]:
    """The log ratio of each round of each pair of cases that run the same code, in the order of measuring."""
    pairs: dict[tuple[str, ...], list[Case]] = {}
    for case in run.cases:
        code = [case.factors[name] for name in ("strategy", "exchange", "sharding", "algorithm")]
        pairs.setdefault((case.launch, case.cell, *code), []).append(case)
    rows = []
    for (launch, cell, strategy, *_), cases in pairs.items():
        if len(cases) != 2:
            raise UnusableInput(
                f"cases.csv: in cell {cell}, {cases[0].variant} has {len(cases) - 1} other variants of the same code;"
                " an A/A run has one for each"
            )
        times = [
            {s.round: s.metrics["time_s"] for s in run.samples.get((launch, case.case), []) if s.status == "ok"}
            for case in cases
        ]
        for number in sorted(set(times[0]) & set(times[1])):
            first, second = times[0][number], times[1][number]
            if first and second:
                rows.append((launch, f"{cell}/{strategy}", number, math.log(second / first)))
    return rows


def read_noise(path: Path) -> list[FloatArray]:
    """One series per launch and cell, centred at its median: what is left is noise."""
    series: dict[tuple[str, str], list[float]] = {}
    for row in read_table(path, COLUMNS).rows:
        log_ratio = row.number("log_ratio", negative=True)
        if log_ratio is None:
            raise row.error("log_ratio", "empty")
        series.setdefault((row.text("launch"), row.text("cell")), []).append(log_ratio)
    arrays = [np.array(values) for values in series.values() if len(values) >= MINIMUM_ROUNDS]
    return [values - np.median(values) for values in arrays]


def resample(generator: np.random.Generator, series: FloatArray, rounds: int) -> FloatArray:
    """`rounds` values in blocks of neighbours from `series`, joined end to start, so that every value is as likely."""
    starts = generator.integers(0, len(series), math.ceil(rounds / BLOCK))
    indices = (starts[:, np.newaxis] + np.arange(BLOCK)).ravel()[:rounds] % len(series)
    return np.asarray(series[indices], dtype=np.float64)
