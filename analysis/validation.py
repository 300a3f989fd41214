#!/usr/bin/python3
"""How far simulated times are from measured ones, as Markdown.

usage: validation.py MEASURED_RUN SIMULATED_RUN [--cases]

Both runs are of one experiment file, so that their cells have the same names. A row for each number of ranks and variant, and one
for all: median and 90th percentile of the absolute error, and the median of the signed one (positive: the simulation is slower).
--cases prints every case. Exit status: 0, or 2 for input that cannot be used.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.estimate.validation import compared
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run
from analysis.show.text_table import print_quietly
from analysis.show.validation_tables import case_table, error_table


def main(arguments: Sequence[str]) -> int:
    """Prints the table; returns the exit status."""
    shows_cases = "--cases" in arguments
    directories = [argument for argument in arguments if argument != "--cases"]
    if len(directories) != 2 or "-h" in directories or "--help" in directories:
        print_quietly(__doc__ or "")
        return 0 if {"-h", "--help"} & set(directories) else 2
    try:
        found = compared(*(read_run(Path(directory)) for directory in directories))
    except UnusableInput as problem:
        print(f"validation.py: {problem}", file=sys.stderr)
        return 2
    if not found:
        print(f"validation.py: {directories[0]} and {directories[1]} share no case that is ok", file=sys.stderr)
        return 2
    print_quietly("\n".join(case_table(found) if shows_cases else error_table(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
