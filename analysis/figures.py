#!/usr/bin/python3
"""Draws a run: ratios with their intervals, and efficiency under the hardware's limit.

    analysis/figures.py RUN_DIR OUTPUT_DIR [--format svg|pdf|png]

Writes ratios_CLAIM for every claim, and efficiency_CONTRACT for every contract. Exit status: 0, or 2 for bad usage or
unusable input. Points carry their 95 % intervals; lines run along sequence length only, where what lies between two
points is meaningful.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.judge.verdicts import judge_run
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run
from analysis.show.quiet_parser import QuietParser
from analysis.show.run_figures import draw_run
from analysis.show.text_table import print_quietly


def main(arguments: Sequence[str]) -> int:
    parser = QuietParser(prog="figures.py", description="Draws the ratios and the efficiency of a run.")
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR")
    parser.add_argument("--format", choices=("svg", "pdf", "png"), default="svg")
    options = parser.parse_args(arguments)
    try:
        run = read_run(options.run_dir)
        written = draw_run(run, judge_run(run), options.output_dir, options.format)
    except UnusableInput as problem:
        print(f"figures: {problem}", file=sys.stderr)
        return 2
    print_quietly("\n".join(str(path) for path in written) or "nothing to draw")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
