#!/usr/bin/python3
"""Says whether the claims of an experiment hold in the data of a run.

    analysis/verify_ordering.py RUN_DIR [--json] [--regimes FACTOR,FACTOR...]

Exit status: 0 every claim holds; 1 not every claim holds; 2 bad usage or unusable input; 3 undecided.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.json_report import report_as_json
from analysis.read_run import FACTOR_COLUMNS, UnusableInput, read_run
from analysis.tables import format_report
from analysis.verdicts import EXIT_UNUSABLE, exit_code, judge_run


def _parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="verify_ordering.py",
        description="Says whether the claims of an experiment hold in the data of a run.",
        epilog="Exit status: 0 every claim holds; 1 not every claim holds; 2 bad usage or unusable input; 3 undecided. "
        "How to read the verdicts: analysis/README.md.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="holds samples.csv, cases.csv and manifest.json")
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of tables")
    parser.add_argument(
        "--regimes",
        metavar="FACTORS",
        help="columns of cases.csv, separated by commas, that make a regime (default: all that vary but seq_len)",
    )
    return parser.parse_args(arguments)


def _parse_regimes(text: str | None) -> list[str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FACTOR_COLUMNS:
            raise UnusableInput(f"--regimes: '{name}' is not a factor; there are: {', '.join(FACTOR_COLUMNS)}")
    return names


def main(arguments: Sequence[str]) -> int:
    options = _parse_arguments(arguments)
    try:
        regimes = _parse_regimes(options.regimes)
        run = read_run(options.run_dir)
        results = judge_run(run)
    except UnusableInput as problem:
        print(f"verify_ordering: {problem}", file=sys.stderr)
        return EXIT_UNUSABLE
    print_quietly(report_as_json(run, results) if options.json else format_report(run, results, regimes))
    return exit_code(results)


def print_quietly(text: str) -> None:
    """Prints; a reader that stops early (head, a closed pager) is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Python flushes stdout once more at exit and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
