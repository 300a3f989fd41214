#!/usr/bin/python3
"""Says which launch of a sequential run comes next, and at a look which cells go on.

    analysis/next_launch.py RUN_DIR [--launches N]

Prints one line: `launch K`, the first launch that is not done (begun or not), or `done: REASON`. A launch is done when its last
attempt (ids K, K + 1000, K + 2000, ...) has ended by itself, with exit status 0 or 1 in the manifest.

When the number of launches done is a look of the plan, the run is judged on them, RUN_DIR/open_cells.txt gets the ids of the
cells that are not decided (a line each; the runner leaves the others out), and standard error a line of progress. At all other
times only the manifest is read and open_cells.txt stays as it is.

Exit status: 0, or 2 with one line for bad usage or unusable input.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Mapping, Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.judge.verdicts import RunVerdict, judge_run
from analysis.judge.words import DECIDED
from analysis.read.csv_table import UnusableInput
from analysis.read.plan import done_launches, first_missing, launch_seconds, parse_looks
from analysis.read.read_run import read_manifest, read_run, restrict
from analysis.read.whole_file import write_whole
from analysis.show.quiet_parser import QuietParser
from analysis.show.text_table import print_quietly

OPEN_CELLS = "open_cells.txt"


def planned_looks(manifest: Mapping[str, Any], path: Path, limit: int | None) -> tuple[int, ...]:
    """The looks up to the limit, which is the last one if it is given."""
    looks = parse_looks(manifest, path) or (1,)
    if limit is None:
        return looks
    return (*[look for look in looks if look < limit], limit)


def duration(seconds: float) -> str:
    """'about 40 s', 'about 12 min', 'about 3 h'."""
    for unit, size, least in (("h", 3600, 2), ("min", 60, 2)):
        if seconds >= least * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {seconds:.0f} s"


def progress(verdict: RunVerdict, looks: Sequence[int], done: int, cells: Sequence[str], last_seconds: float | None) -> str:
    """'look 2 of 4 (32 launches): 41 of 50 comparisons decided, 7 cells go on, at most 96 more launches (about 2 h)'

    As long as the last launch took, each; those to come have fewer cells.
    """
    pairs = verdict.voting_pairs().values()
    decided = sum(1 for pair in pairs if pair.word in DECIDED)
    left = looks[-1] - done if cells else 0
    what = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
    going = f"{what} open"
    if left:
        time = f" ({duration(left * last_seconds)})" if last_seconds is not None else ""
        going = f"{what} {'goes' if len(cells) == 1 else 'go'} on, at most {left} more launch{'' if left == 1 else 'es'}{time}"
    return (
        f"look {looks.index(done) + 1} of {len(looks)} ({done} launch{'' if done == 1 else 'es'}): "
        f"{decided} of {len(pairs)} comparisons decided, {going}"
    )


def next_step(directory: Path, limit: int | None) -> str:
    """The line for standard output; writes open_cells.txt and the line of progress at a look."""
    path = directory / "manifest.json"
    manifest = read_manifest(directory)
    looks = planned_looks(manifest, path, limit)
    done = done_launches(manifest, path)
    if len(done) in looks and manifest["expect"]:
        # Rows of a launch that is still going on, or was killed, are not part of this look.
        verdict = judge_run(restrict(read_run(directory), done))
        cells = verdict.open_cells()
        write_whole(directory / OPEN_CELLS, "".join(f"{cell}\n" for cell in cells))
        seconds = list(launch_seconds(manifest).values())
        print(progress(verdict, looks, len(done), cells, seconds[-1] if seconds else None), file=sys.stderr)
        if not cells:
            return "done: everything is decided" if verdict.voting_pairs() else "done: no comparison has a vote"
    if len(done) >= looks[-1]:
        return "done: the last look" if limit is None else f"done: {looks[-1]} launches, as asked"
    return f"launch {first_missing(done)}"


def _launches(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def main(arguments: Sequence[str]) -> int:
    """Runs the command line; returns the exit status."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = QuietParser(
        prog="next_launch.py", description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument("--launches", type=_launches, metavar="N", help="stop after so many launches, not after the last look")
    options = parser.parse_args(arguments)
    try:
        line = next_step(options.run_dir, options.launches)
    except UnusableInput as problem:
        print(f"next_launch: {problem}", file=sys.stderr)
        return 2
    print_quietly(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
