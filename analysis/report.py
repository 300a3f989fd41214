#!/usr/bin/python3
"""Writes one page, report.html, of one or several runs: it needs no network and opens from disk.

    analysis/report.py RUN_DIR... [--output FILE] [--claims FILE]

RUN_DIR is the directory of a run, one that holds several (results/network/reference), or one of peers/compare. The page is
RUN_DIR/report.html, of several runs report.html in the directory that holds them all. --claims: the claim register (default:
results/claims.json above a run in results/). Exit status: 0, or 2 for bad usage or unusable input, with one line.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.read.csv_table import UnusableInput
from analysis.read.whole_file import above_all, write_whole
from analysis.show.quiet_parser import QuietParser
from analysis.show.text_table import print_quietly

PAGE = "report.html"


def _parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = QuietParser(prog="report.py", description="Writes one page of HTML of one or several runs.")
    what = "a run, a directory of runs, or one of peers/compare"
    parser.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR", help=what)
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: report.html in RUN_DIR, or in what holds them all")
    parser.add_argument("--claims", type=Path, metavar="FILE", help="the claim register; default: results/claims.json")
    return parser.parse_args(arguments)


def default_page(directories: Sequence[Path]) -> Path:
    """Beside the verdict of a run, or above several."""
    return above_all(directories) / PAGE


def _shown(path: Path) -> str:
    """Short where it is near."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def main(arguments: Sequence[str]) -> int:
    options = _parse_arguments(arguments)
    try:
        try:
            from analysis.html_report.inputs import read_inputs
            from analysis.html_report.library import PACKAGE, read_library
            from analysis.html_report.render import LARGEST_PAGE, render_page
        except ModuleNotFoundError as problem:
            raise UnusableInput(f"needs Python's '{problem.name}', which is not installed; tools/setup build installs it") from None
        page: Path = options.output or default_page(options.run_dirs)
        library = read_library()
        text = render_page(read_inputs(options.run_dirs, options.claims), page, library)
        # Names of directories need not be text.
        text = text.encode("utf-8", "replace").decode("utf-8")
        write_whole(page, text)
    except UnusableInput as problem:
        print(f"report: {problem}", file=sys.stderr)
        return 2
    notes = [] if library is not None else [f"not interactive: {PACKAGE} is not installed"]
    size = len(text.encode("utf-8"))
    notes += [f"{size / 1e6:.1f} MB, larger than meant"] if size >= LARGEST_PAGE else []
    print_quietly(f"Report: {_shown(page)}" + (f" ({'; '.join(notes)})" if notes else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
