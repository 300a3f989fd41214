#!/usr/bin/python3
"""Says whether two runs of one experiment judged the same cells, and where their words differ.

    analysis/compare_verdicts.py RUN_DIR RUN_DIR [--ignore FACTOR,FACTOR...]

Reads verdict.json of both (./reproduce and slurm/submit write it; analysis/verify_ordering.py --write for others).

Exit status: 0 the same claims over the same cells, whatever the verdicts on them; 1 not the same; 2 unusable input.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.read.csv_table import UnusableInput
from analysis.read.json_file import JsonObject, read_json_object
from analysis.read.whole_file import is_there
from analysis.show.quiet_parser import QuietParser
from analysis.show.text_table import print_quietly

VERDICT_VERSION = 3
Cell = tuple[tuple[str, str], ...]  # factors by name


@dataclass(frozen=True)
class ClaimWords:
    """What a verdict says of one claim."""

    word: str
    cells: Mapping[Cell, str]  # words by cell


@dataclass(frozen=True)
class Verdict:
    """What is compared of a verdict.json."""

    experiment: str
    claims: Mapping[str, ClaimWords]  # by name


def read_verdict(directory: Path, ignored: Sequence[str]) -> Verdict:
    """verdict.json of a run directory, its cells without the ignored factors."""
    path = directory / "verdict.json"
    if not is_there(path):
        raise UnusableInput(f"{path}: No such file; analysis/verify_ordering.py --write {directory} makes it")
    report = JsonObject(path, "", read_json_object(path))
    if not isinstance(report.values.get("claims"), list):
        raise UnusableInput(f"{path}: not the verdict on a run")
    if report.values.get("schema_version") != VERDICT_VERSION:
        raise UnusableInput(f"{path}: of an older analysis; analysis/verify_ordering.py --write {directory} makes it anew")
    claims = {
        claim.text("name"): ClaimWords(
            claim.text("word"), {_cell_of(cell, ignored): cell.text("word") for cell in claim.objects("cells")}
        )
        for claim in report.objects("claims")
    }
    return Verdict(report.text("experiment"), claims)


def _cell_of(cell: JsonObject, ignored: Sequence[str]) -> Cell:
    factors = cell.object("factors").values
    return tuple(sorted((name, str(value)) for name, value in factors.items() if name not in ignored))


def compare(first: Verdict, second: Verdict) -> tuple[bool, list[str]]:
    """(same claims over the same cells, lines for the user)"""
    lines = [f"experiment {first.experiment} and {second.experiment}"]
    same = first.experiment == second.experiment
    for name in sorted(set(first.claims) ^ set(second.claims)):
        lines.append(f"claim {name}: only in {'the first' if name in first.claims else 'the second'}")
        same = False
    for name in [name for name in first.claims if name in second.claims]:
        words = first.claims[name], second.claims[name]
        cells = [claim.cells for claim in words]
        lines.append(
            f"claim {name}: {words[0].word} and {words[1].word}; "
            f"{len(cells[0])} and {len(cells[1])} cells, {len(set(cells[0]) & set(cells[1]))} in both"
        )
        for cell in sorted(set(cells[0]) ^ set(cells[1])):
            same = False
            where = "first" if cell in cells[0] else "second"
            lines.append(f"  only in the {where}: " + " ".join(f"{factor}={value}" for factor, value in cell))
        pairs = Counter((cells[0][cell], cells[1][cell]) for cell in cells[0] if cell in cells[1])
        for (one, other), count in sorted(pairs.items()):
            lines.append(f"  {count} cells: {one} in both" if one == other else f"  {count} cells: {one} and {other}")
    lines.append("the same claims over the same cells" if same else "NOT the same cells")
    return same, lines


def main(arguments: Sequence[str]) -> int:
    """Runs the command line; returns the exit status."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = QuietParser(
        prog="compare_verdicts.py", description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dirs", nargs=2, type=Path, metavar="RUN_DIR")
    parser.add_argument("--ignore", default="", metavar="FACTORS", help="factors that may differ, e.g. nodes")
    options = parser.parse_args(arguments)
    try:
        first, second = (read_verdict(directory, options.ignore.split(",")) for directory in options.run_dirs)
    except UnusableInput as problem:
        print(f"compare_verdicts: {problem}", file=sys.stderr)
        return 2
    same, lines = compare(first, second)
    print_quietly("\n".join(lines))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
