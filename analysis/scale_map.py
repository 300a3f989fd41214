#!/usr/bin/python3
"""What is fastest where on simulated machines, as Markdown.

usage: scale_map.py RUN_DIR...

Of each run directory of src/simulate, and of each task in it (attention or a layer, prefill or decode): sentences to act on, then a table, a row for each model, contract, mask and length and a column
for each number of ranks. An entry has the fastest way, its parallel efficiency (time of one rank over ranks times the time), and by
how much the next one is slower, as an interval over the machines that were drawn (simulate_attention --draws); ways within 2 % of the
fastest stand beside it, and after "perhaps" those that may be. At the end how far the cost model of `auto` departs from the simulation,
and what its choices cost, if the runs have its predictions. Exit status: 0, or 2 for input that cannot be used.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.estimate.scale_map import scale_maps
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run
from analysis.show.scale_tables import departure_table, model_table, platform_section
from analysis.show.text_table import print_quietly


def main(arguments: Sequence[str]) -> int:
    """Prints the maps; returns the exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print_quietly(__doc__ or "")
        return 0 if arguments else 2
    try:
        maps = [found for argument in arguments for found in scale_maps(read_run(Path(argument)))]
    except UnusableInput as problem:
        print(f"scale_map.py: {problem}", file=sys.stderr)
        return 2
    sections = [platform_section(found) for found in maps]
    tables = (("The cost model", model_table(maps)), ("Where the cost model departs", departure_table(maps)))
    sections += [[f"### {title}", "", *table] for title, table in tables if table]
    print_quietly("\n\n".join("\n".join(section) for section in sections))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
