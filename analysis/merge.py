#!/usr/bin/python3
"""Joins run directories of one experiment into one: those of the tasks of a job array, or of several node counts.

usage: merge.py --output DIR RUN_DIR...

Refused unless told otherwise: run directories of different experiment files (always), the same cell measured twice in the
same launch (always), different revisions of the code (--allow-mixed-revisions), different CPUs or MPI libraries
(--allow-mixed-hardware), and run directories that are not there or hold no complete cell (--allow-missing).

A cell's id does not hold the number of nodes it ran on, which the plan does not know. Where the same cell ran on different
numbers of nodes, it becomes several: ID-nodes1, ID-nodes2.

Rows of cells that were never completed are left out: they are of no use to the analysis, and a cell begun in one
directory may have been completed in another. Exit status: 0 joined, 2 refused, with one line that says why.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.read.csv_table import UnusableInput
from analysis.read.run_parts import (
    Part,
    check_no_duplicates,
    check_one_variant_per_case,
    check_same_experiment,
    read_part,
    tell_node_counts_apart,
    write_merged,
)
from analysis.show.quiet_parser import QuietParser
from analysis.show.text_table import print_quietly


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\nusage: merge.py --output DIR RUN_DIR...\n\n")
    parser = QuietParser(
        prog="merge.py", description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dirs", nargs="+", type=Path, metavar="RUN_DIR")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="made, or its files replaced")
    parser.add_argument("--allow-mixed-revisions", action="store_true")
    parser.add_argument("--allow-mixed-hardware", action="store_true")
    parser.add_argument("--allow-missing", action="store_true", help="name what is missing and join the rest")
    return parser.parse_args(arguments)


def _read_parts(directories: Sequence[Path], allow_missing: bool) -> list[Part]:
    parts = []
    for directory in directories:
        try:
            parts.append(read_part(directory))
        except UnusableInput as problem:
            if not allow_missing:
                raise
            print(f"merge.py: left out: {problem}", file=sys.stderr)
    if not parts:
        raise UnusableInput("nothing to join")
    return parts


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links that lead round, no working directory
        raise UnusableInput(f"{path}: leads nowhere") from None


def main(arguments: Sequence[str]) -> int:
    """Runs the command line; returns the exit status."""
    options = _parse(arguments)
    try:
        if _resolved(options.output) in [_resolved(directory) for directory in options.run_dirs]:
            raise UnusableInput(f"--output {options.output} is one of the directories to join")
        parts = _read_parts(options.run_dirs, options.allow_missing)
        check_same_experiment(parts, options.allow_mixed_revisions, options.allow_mixed_hardware)
        parts = tell_node_counts_apart(parts)
        check_no_duplicates(parts)
        check_one_variant_per_case(parts)
        write_merged(parts, options.output)
    except UnusableInput as problem:
        print(f"merge.py: {problem}", file=sys.stderr)
        return 2
    lines = []
    for part in parts:
        dropped = f", {part.dropped} samples of incomplete cells left out" if part.dropped else ""
        lines.append(f"{part.directory}: {len(part.complete)} cells, {len(part.samples.rows)} samples{dropped}")
    print_quietly("\n".join([*lines, f"{options.output}: {sum(len(part.samples.rows) for part in parts)} samples"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
