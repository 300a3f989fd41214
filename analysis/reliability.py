#!/usr/bin/python3
"""Makes the record behind docs/reliability.md of what ./check --full kept.

    analysis/reliability.py [--from DIR] [--output FILE]

DIR (default results/reliability/last) has a text per step. All steps together take hours, so they may have been run in parts
(--from STEP) and on several revisions; every step keeps its own, and the steps that DIR lacks are named. Afterwards analysis/results_page.py writes the page. Exit
status: 0 written, 2 bad usage or unusable input, nothing written.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.read.check_record import SCHEMA_VERSION, StepRecord, parse_step
from analysis.read.csv_table import UnusableInput
from analysis.read.whole_file import is_there, make_directory, write_whole
from analysis.show.quiet_parser import QuietParser

_TOP = Path(__file__).absolute().parent.parent


def record_of(directory: Path) -> list[StepRecord]:
    """All steps of a directory, in the order in which they began."""
    paths = sorted(directory.glob("*.txt")) if is_there(directory) else []
    if not paths:
        raise UnusableInput(f"{directory}: holds no step; ./check --full keeps them there")
    steps = sorted((parse_step(path) for path in paths), key=lambda step: (step.begun, step.name))
    changed = [step.name for step in steps if step.changed]
    if changed:
        raise UnusableInput(f"{directory}: {', '.join(changed)}: run on a tree with changes that no revision has")
    return steps


def steps_of_check() -> list[str]:
    """The names of all steps of ./check --full."""
    listed = subprocess.run([_TOP / "check", "--full", "--list"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise UnusableInput(f"./check --full --list: ended with {listed.returncode}")
    return [line.split()[0] for line in listed.stdout.splitlines()]


def main(arguments: Sequence[str]) -> int:
    """Runs the command line; returns the exit status."""
    parser = QuietParser(prog="reliability.py", description="Makes the record behind docs/reliability.md.")
    parser.add_argument("--from", dest="directory", type=Path, default=_TOP / "results/reliability/last", metavar="DIR")
    parser.add_argument("--output", type=Path, default=_TOP / "results/reliability/reference/record.json", metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        steps = record_of(options.directory)
        record = {
            "schema_version": SCHEMA_VERSION,
            "not_run": [name for name in steps_of_check() if name not in {step.name for step in steps}],
            "steps": [dataclasses.asdict(step) for step in steps],
        }
        text = json.dumps(record, indent=1) + "\n"
        make_directory(options.output.parent)
        write_whole(options.output, text)
    except UnusableInput as problem:
        print(f"reliability: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
