#!/usr/bin/python3
"""Prints what the kernels reach against their targets, from runs of experiments/kernels*.yaml.

    analysis/kernel_targets.py RUN_DIR...

A target is met when the lower end of the 95 % interval of the per-round fractions is within 0.01 of it in every launch
that is there, and there are at least three. `standard` at 4096 and 8192 tokens is measured against what the roofline
predicts (estimate/kernel_measurements.py derives it). Other lines of the same kind have no target and are reported.

Exit status: 0 every target is met; 1 not every one; 2 bad usage or unusable input; 3 none is missed, but some are not
measured, or in fewer than three launches.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.estimate.kernel_measurements import read_measurements
from analysis.judge.kernel_verdicts import exit_status, make_tables
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run
from analysis.show.kernel_tables import format_table, summary
from analysis.show.quiet_parser import QuietParser
from analysis.show.text_table import print_quietly


def main(arguments: Sequence[str]) -> int:
    parser = QuietParser(
        prog="kernel_targets.py",
        description="Prints what the kernels reach against their targets.",
        epilog="Exit status: 0 every target is met; 1 not every one; 2 bad usage or unusable input; 3 none is missed, but"
        " some are not measured, or in too few launches.",
    )
    parser.add_argument("run_dirs", nargs="+", type=Path, metavar="RUN_DIR", help="a run of experiments/kernels*.yaml")
    options = parser.parse_args(arguments)
    try:
        tables = make_tables(read_measurements(read_run(directory) for directory in options.run_dirs))
    except UnusableInput as problem:
        print(f"kernel_targets: {problem}", file=sys.stderr)
        return 2
    print_quietly("\n\n".join([*(format_table(table) for table in tables), summary(tables)]))
    return exit_status(tables)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
