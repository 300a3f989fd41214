#!/usr/bin/python3
"""How much of P cores a case on P ranks keeps, beside what the cores themselves keep together, as Markdown.

usage: parallel_efficiency.py RUN_DIR...

One row per case on P > 1 ranks for which the run has the same work on one rank (same variant and contract if measured; else
another contract or variant of the algorithm, which on one rank makes the same call of the kernel):

    efficiency  T1 / (P T_P)
    cores       what P cores reach in the measurement beside the case over P times what one does: FMA peak, for decode read
                bandwidth. Below 1 where cores share power, caches or memory
    quotient    efficiency / cores: what is left once the machine's own share is taken out, from rounds' products of time
                and peak
    hidden      overlap_fraction: 1 - exposed / total communication
    exchange/compute
                of one step of a ring: below 1 the exchange can be hidden
    slowest/fastest
                times of the ranks that finish last and first: imbalance

In brackets: 95 % intervals; over the launches if there are several, else over the rounds, where the two blocks were measured
at different moments (drift between them is not in it). Exit status: 0, or 2 for input that cannot be used.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.estimate.rank_efficiency import efficiencies
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run
from analysis.read.whole_file import by_name
from analysis.show.efficiency_table import table
from analysis.show.text_table import print_quietly


def main(arguments: Sequence[str]) -> int:
    """Prints the table; returns the exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print_quietly(__doc__ or "")
        return 0 if arguments else 2
    try:
        runs = {name: efficiencies(read_run(path)) for name, path in by_name(arguments).items()}
    except UnusableInput as problem:
        print(f"parallel_efficiency.py: {problem}", file=sys.stderr)
        return 2
    if not any(runs.values()):
        print_quietly("No case on several ranks has a counterpart on one rank.")
        return 0
    print_quietly("\n".join(table(runs)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
