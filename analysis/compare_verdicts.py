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
from pathlib import Path
from typing import Any, Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.read.csv_table import UnusableInput
from analysis.read.json_file import read_json_object

VERDICT_VERSION = 2
Cell = tuple[tuple[str, str], ...]  # factors by name


def read_verdict(directory: Path) -> dict[str, Any]:
    """verdict.json of a run directory."""
    path = directory / "verdict.json"
    if not path.exists():
        raise UnusableInput(f"{path}: No such file; analysis/verify_ordering.py --write {directory} makes it")
    report = read_json_object(path)
    if not isinstance(report.get("claims"), list):
        raise UnusableInput(f"{path}: not the verdict on a run")
    if report.get("schema_version") != VERDICT_VERSION:
        raise UnusableInput(f"{path}: of an older analysis; analysis/verify_ordering.py --write {directory} makes it anew")
    return report


def cells_of(claim: dict[str, Any], ignored: Sequence[str]) -> dict[Cell, str]:
    """Word by cell."""
    return {
        tuple(sorted((name, str(value)) for name, value in cell["factors"].items() if name not in ignored)): cell["word"]
        for cell in claim["cells"]
    }


def compare(first: dict[str, Any], second: dict[str, Any], ignored: Sequence[str]) -> tuple[bool, list[str]]:
    """(same claims over the same cells, lines for the user)"""
    lines = [f"experiment {first['experiment']} and {second['experiment']}"]
    same = first["experiment"] == second["experiment"]
    claims = [{claim["name"]: claim for claim in report["claims"]} for report in (first, second)]
    for name in sorted(set(claims[0]) ^ set(claims[1])):
        lines.append(f"claim {name}: only in {'the first' if name in claims[0] else 'the second'}")
        same = False
    for name in [name for name in claims[0] if name in claims[1]]:
        cells = [cells_of(report[name], ignored) for report in claims]
        lines.append(
            f"claim {name}: {claims[0][name]['word']} and {claims[1][name]['word']}; "
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
    parser = argparse.ArgumentParser(
        prog="compare_verdicts.py", description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dirs", nargs=2, type=Path, metavar="RUN_DIR")
    parser.add_argument("--ignore", default="", metavar="FACTORS", help="factors that may differ, e.g. nodes")
    options = parser.parse_args(arguments)
    try:
        first, second = (read_verdict(directory) for directory in options.run_dirs)
    except UnusableInput as problem:
        print(f"compare_verdicts: {problem}", file=sys.stderr)
        return 2
    same, lines = compare(first, second, options.ignore.split(","))
    print("\n".join(lines))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
