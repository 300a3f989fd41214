#!/usr/bin/python3
"""Noise measured on a machine, for the simulations: A/A log ratios of a run, and resampling from them.

    analysis/measured_noise.py RUN_DIR > analysis/testdata/machine_noise.csv

RUN_DIR is a run whose cells hold pairs of variants that are the same code under two names (experiments/aa.yaml). Prints
launch, cell, round, log_ratio: the logarithm of the ratio of a pair's two times in each round; a cell of several pairs
is several series, told apart by their strategies. Exit status: 0 or 2.
"""

from __future__ import annotations

import csv
import io
import math
import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

import numpy as np
import numpy.typing as npt

from analysis.read_run import Case, Run, UnusableInput, read_run

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


def read_noise(text: str) -> list[FloatArray]:
    """One series per launch and cell, centred at its median: what is left is noise."""
    series: dict[tuple[str, str], list[float]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        series.setdefault((row["launch"], row["cell"]), []).append(float(row["log_ratio"]))
    arrays = [np.array(values) for values in series.values() if len(values) >= MINIMUM_ROUNDS]
    return [values - np.median(values) for values in arrays]


def resample(generator: np.random.Generator, series: FloatArray, rounds: int) -> FloatArray:
    """`rounds` values in blocks of neighbours from `series`, joined end to start, so that every value is as likely."""
    starts = generator.integers(0, len(series), math.ceil(rounds / BLOCK))
    indices = (starts[:, np.newaxis] + np.arange(BLOCK)).ravel()[:rounds] % len(series)
    return np.asarray(series[indices], dtype=np.float64)


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: measured_noise.py RUN_DIR", file=sys.stderr)
        return 2
    try:
        rows = noise_rows(read_run(Path(arguments[0])))
    except UnusableInput as problem:
        print(f"measured_noise: {problem}", file=sys.stderr)
        return 2
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for launch, cell, number, log_ratio in rows:
        writer.writerow([launch, cell, number, f"{log_ratio:.6f}"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
