#!/usr/bin/python3
"""Says whether the claims of an experiment hold in the data of a run.

    analysis/verify_ordering.py RUN_DIR [--json] [--write] [--regimes FACTOR,FACTOR...]

Exit status: 0 every claim is confirmed; 1 some claim is refuted or depends on the regime; 2 bad usage or unusable input;
3 none is refuted but some are open.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.judge.verdicts import EXIT_UNUSABLE, exit_code, judge_run
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import FACTOR_COLUMNS, read_run
from analysis.read.whole_file import remove, write_whole
from analysis.show.json_report import report_as_json
from analysis.show.quiet_parser import QuietParser
from analysis.show.text_table import print_quietly
from analysis.show.verdict_tables import format_report

# What --write writes beside the data: what is printed, with and without --json.
TEXT_FILE = "verdict.txt"
JSON_FILE = "verdict.json"


def _parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = QuietParser(
        prog="verify_ordering.py",
        description="Says whether the claims of an experiment hold in the data of a run.",
        epilog="Exit status: 0 every claim is confirmed; 1 some claim is refuted or depends on the regime; 2 bad usage or "
        "unusable input; 3 none is refuted but some are open. How to read the verdicts: analysis/README.md.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="holds samples.csv, cases.csv and manifest.json")
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of tables")
    parser.add_argument("--write", action="store_true", help="also write RUN_DIR/verdict.txt and RUN_DIR/verdict.json")
    parser.add_argument(
        "--regimes",
        metavar="FACTORS",
        help="columns of cases.csv, separated by commas, that make a regime (default: as the claim says, or all that vary but seq_len)",
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
        if options.write:
            # An older verdict beside newer data would be taken for theirs.
            for name in (TEXT_FILE, JSON_FILE):
                remove(options.run_dir / name)
        run = read_run(options.run_dir)
        verdict = judge_run(run, regimes)
        text = format_report(run, verdict)
        as_json = report_as_json(run, verdict) if options.json or options.write else ""
        if options.write:
            write_whole(options.run_dir / TEXT_FILE, text + "\n")
            write_whole(options.run_dir / JSON_FILE, as_json + "\n")
    except UnusableInput as problem:
        print(f"verify_ordering: {problem}", file=sys.stderr)
        return EXIT_UNUSABLE
    print_quietly(as_json if options.json else text)
    return exit_code(verdict.claims)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
