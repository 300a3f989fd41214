#!/usr/bin/python3
"""Writes README.md, pages of docs/, its drawing of the answer, and the paper's text: words from docs/templates/, figures from results/.

    analysis/results_page.py [--check]

Exit status: 0 written, or with --check: up to date; 1 with --check: stale; 2 bad usage or unusable input, nothing written.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.page.pages import PAGES, made, read_templates, stale_pages
from analysis.page.template import BadTemplate, typed_numbers
from analysis.read.csv_table import UnusableInput
from analysis.read.whole_file import write_whole
from analysis.show.quiet_parser import QuietParser


def _refuse_typed_numbers(templates: dict[str, str]) -> None:
    for page, template in templates.items():
        for problem in typed_numbers(template):
            raise BadTemplate(f"{PAGES[page]} {problem}: a figure is typed there; name a value in braces instead")


def main(arguments: Sequence[str]) -> int:
    """Runs the command line; returns the exit status."""
    parser = QuietParser(
        prog="results_page.py",
        description="Writes README.md, docs/ and the paper's text: their words from docs/templates/, every figure from results/.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if a page is stale")
    parser.add_argument("--top", type=Path, default=Path(__file__).absolute().parent.parent, help="the repository's top")
    options = parser.parse_args(arguments)
    try:
        templates = read_templates(options.top)
        _refuse_typed_numbers(templates)
        if options.check:
            stale = stale_pages(options.top, options.top / "results")
            for page in stale:
                print(f"results_page: {page} is stale; analysis/results_page.py writes it", file=sys.stderr)
            return 1 if stale else 0
        for page, content in made(options.top, options.top / "results").items():
            write_whole(options.top / page, content)
    except (UnusableInput, BadTemplate) as problem:
        print(f"results_page: {problem}", file=sys.stderr)
        return 2
    except OSError as problem:
        print(f"results_page: {problem.filename}: {problem.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
