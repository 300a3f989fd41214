#!/usr/bin/python3
"""Writes the tables and numbers of the paper from a run directory: no figure in the paper is typed by hand.

    analysis/paper_table.py RUN_DIR OUTPUT_DIR [--claim NAME]

Writes OUTPUT_DIR/numbers.tex (macros), regimes.tex (what is known of each regime) and cells.tex (every ratio with its
interval) for one claim. Exit status: 0, or 2 for bad usage or unusable input.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.judge.verdicts import judge_run
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run
from analysis.show.paper_tables import write_tables


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="paper_table.py", description="Writes the paper's tables and numbers.")
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR")
    parser.add_argument("--claim", default="ordering", help="name of the claim (default: ordering)")
    options = parser.parse_args(arguments)
    try:
        run = read_run(options.run_dir)
        verdict = judge_run(run)
        write_tables(run, verdict, verdict.claim(options.claim), options.output_dir)
    except UnusableInput as problem:
        print(f"paper_table: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
