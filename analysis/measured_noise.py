#!/usr/bin/python3
"""Noise measured on a machine, for the simulations: A/A log ratios of a run.

    analysis/measured_noise.py RUN_DIR > analysis/testdata/machine_noise.csv

RUN_DIR is a run whose cells hold pairs of variants that are the same code under two names (experiments/aa.yaml). Prints
launch, cell, round, log_ratio: the logarithm of the ratio of a pair's two times in each round; a cell of several pairs
is several series, told apart by their strategies. Exit status: 0 or 2.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.estimate.control_noise import COLUMNS, noise_rows
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run


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
