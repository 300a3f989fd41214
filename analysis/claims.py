#!/usr/bin/python3
"""Decides every claim of the original study by its rule in analysis/claims.yaml and writes results/claims.json.

    analysis/claims.py [--check] [--json FILE]

docs/results.md has the same as a table; analysis/results_page.py writes it.

Exit status: 0 written, or with --check: up to date; 1 with --check: stale; 2 bad usage or unusable input, nothing written.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.page.records import Results
from analysis.page.register import decided_register
from analysis.read.csv_table import UnusableInput
from analysis.read.whole_file import write_whole
from analysis.show.quiet_parser import QuietParser
from analysis.show.register_table import counts_text, figure_text, json_text
from analysis.show.text_table import print_quietly

JSON = Path("results/claims.json")


def main(arguments: Sequence[str]) -> int:
    """Runs the command line; returns the exit status."""
    parser = QuietParser(
        prog="claims.py",
        description="Decides every claim of the original study by its rule in analysis/claims.yaml; writes results/claims.json.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if the file is stale")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"the file (default {JSON})")
    parser.add_argument("--top", type=Path, default=Path(__file__).absolute().parent.parent, help="the repository's top")
    options = parser.parse_args(arguments)
    file: Path = options.json or options.top / JSON
    try:
        register = decided_register(Results(options.top / "results"))
        text = json_text(register)
        if options.check:
            there = file.read_text(encoding="utf-8") if file.is_file() else ""
            if there != text:
                print(f"claims: {file.name} is stale; analysis/claims.py writes it", file=sys.stderr)
            return int(there != text)
        write_whole(file, text)
    except UnusableInput as problem:
        print(f"claims: {problem}", file=sys.stderr)
        return 2
    except OSError as problem:
        print(f"claims: {problem.filename}: {problem.strerror}", file=sys.stderr)
        return 2
    lines = [
        f"{decided.entry.name}: {decided.outcome.verdict}; {figure_text(decided) or '-'}; {decided.outcome.reason}"
        for decided in register
    ]
    print_quietly("\n".join([*lines, f"{len(register)} claims: {counts_text(register)}"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
