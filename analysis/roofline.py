#!/usr/bin/python3
"""How near a run came to the hardware's limits: one line per case, against the roofline measured beside it.

    analysis/roofline.py RUN_DIR [--markdown]

The roofline of a case is the larger of two times (Williams, Waterman and Patterson 2009):

    operations / FMA peak            both measured beside every sample with the same ranks, threads, ISA and type
    minimum bytes / read bandwidth   bytes that any implementation has to read: every weight, and the K/V cache, once

whatever the strategy does: weights that two ranks both read count once. Columns: the median time, tokens/s (prefill: tokens
of the prompt; decode: one per sequence), which limit binds, the roofline, the share of it that was reached (roofline /
time), the share of the FMA peak, and the share of the read bandwidth. A whole model's prefill of 128 tokens is shown beside
what the original study reports for its own model code on its own machines. Exit status: 0, or 2 for bad usage or unusable
input.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.estimate.rooflines import read_rooflines
from analysis.read.csv_table import UnusableInput
from analysis.show.quiet_parser import QuietParser
from analysis.show.roofline_table import report
from analysis.show.text_table import print_quietly


def main(arguments: Sequence[str]) -> int:
    """Exit status."""
    parser = QuietParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--markdown", action="store_true", help="a Markdown table")
    options = parser.parse_args(arguments)
    try:
        print_quietly(report(read_rooflines(options.run_dir), options.markdown).rstrip("\n"))
    except UnusableInput as problem:
        print(f"roofline: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
