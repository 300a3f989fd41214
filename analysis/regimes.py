#!/usr/bin/python3
"""Draws the map of what is fastest where, and what a cost model's choice was worth there.

    analysis/regimes.py RUN_DIR... [--output FILE.svg|pdf|png] [--margin 0.02]

A panel per run directory (such as one per link rate), named after it; a row per place (model, contract, mask ...), a column per
length. A field has the colour of the fastest variant and by how much the next one is slower. The file is RUN_DIR/regimes.svg, of
several runs regimes.svg in the directory that holds them all. Exit status: 0, or 2 for bad usage or unusable input.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run
from analysis.read.whole_file import above_all, by_name
from analysis.show.figure_style import style
from analysis.show.quiet_parser import QuietParser
from analysis.show.text_table import print_quietly
from analysis.show.winner_figure import draw_winners, winner_map

FORMATS = (".svg", ".pdf", ".png")


def main(arguments: Sequence[str]) -> int:
    """Runs the command line; returns the exit status."""
    parser = QuietParser(prog="regimes.py", description="Draws the map of what is fastest where.")
    parser.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR")
    parser.add_argument("--output", type=Path, metavar="FILE", help="its ending is the format: svg, pdf or png")
    parser.add_argument("--margin", type=float, default=0.02, metavar="M", help="a lead within this is none (default: 0.02)")
    options = parser.parse_args(arguments)
    if options.output is not None and options.output.suffix not in FORMATS:
        parser.error(f"--output: '{options.output.name}' does not end in {', '.join(FORMATS)}")
    if not 0 < options.margin < 1:
        parser.error(f"--margin: a number between 0 and 1 is expected; found {options.margin}")
    try:
        runs = {name: read_run(directory) for name, directory in by_name(options.run_dirs).items()}
        output: Path = options.output or above_all(options.run_dirs) / "regimes.svg"
        with style():
            draw_winners(winner_map(runs, options.margin), options.margin, output)
    except UnusableInput as problem:
        print(f"regimes.py: {problem}", file=sys.stderr)
        return 2
    print_quietly(str(output))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
