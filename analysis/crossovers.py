#!/usr/bin/python3
"""Which variant wins where: one row per cell, one column per run directory (such as one per link rate), as Markdown.

usage: crossovers.py RUN_DIR...

A column is named after its directory. An entry is the fastest variant, its median time, and how many times longer the next
one takes; '~' instead of that where their intervals overlap, so that no winner is claimed. A second table has what each
variant moves and how much of it is not hidden behind computing. Exit status: 0, or 2 for input that cannot be used.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.read.csv_table import UnusableInput
from analysis.read.whole_file import by_name
from analysis.show.crossover_tables import crossover_table, read_cells, traffic_table
from analysis.show.text_table import print_quietly


def main(arguments: Sequence[str]) -> int:
    """Prints the tables; returns the exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print_quietly(__doc__ or "")
        return 0 if arguments else 2
    try:
        runs = {name: read_cells(path) for name, path in by_name(arguments).items()}
    except UnusableInput as problem:
        print(f"crossovers.py: {problem}", file=sys.stderr)
        return 2
    traffic = traffic_table(runs)
    print_quietly("\n".join([*crossover_table(runs), *([""] if traffic else []), *traffic]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
