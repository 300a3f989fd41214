#!/usr/bin/python3
"""Describes a run directory for archives and other programs: ro-crate-metadata.json, written into it.

usage: ro_crate.py RUN_DIR [--agent NAME]

An RO-Crate 1.1 (https://w3id.org/ro/crate/1.1), profile Process Run Crate 0.5: the software with its revision, an action for
each launch (when, on what machine, from which experiment file, how it ended), and every file with its size and SHA-256. All of
it is taken from manifest.json and the files as they are, so make it last, and anew when a file has changed. --agent says
who ran it, which no manifest does. Exit status: 0, or 2 for bad usage or input that cannot be used.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.read.citation import read_citation
from analysis.read.csv_table import UnusableInput
from analysis.read.run_record import read_run_record
from analysis.read.whole_file import write_whole
from analysis.show.quiet_parser import QuietParser
from analysis.show.run_crate import FILE_NAME, run_crate, stored_files
from analysis.show.text_table import print_quietly


def write_crate(directory: Path, agent: str | None) -> Path:
    """Replaces the description in one step; raises UnusableInput."""
    text = run_crate(read_run_record(directory), stored_files(directory), read_citation(), agent)
    path = directory / FILE_NAME
    write_whole(path, text)
    return path


def main(arguments: Sequence[str]) -> int:
    """Exit status."""
    parser = QuietParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--agent", metavar="NAME", help="who ran it")
    options = parser.parse_args(arguments)
    try:
        print_quietly(f"Written: {write_crate(options.run_dir, options.agent)}")
    except UnusableInput as problem:
        print(f"ro_crate: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
