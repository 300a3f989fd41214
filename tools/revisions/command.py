"""tools/compare_revisions: the command line, and the order of its steps."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn, Sequence

from analysis.show.text_table import print_quietly
from tools.revisions import report, visits
from tools.revisions.builds import Builder, Side, require_git_tree, resolve_revision
from tools.revisions.judgement import CaseKey, Pair, judge
from tools.revisions.problem import Problem
from tools.revisions.slices import GROUPS, ISAS, Slice, all_slices

_MINUTES = 20.0
_QUICK_MINUTES = 3.0
_BUSY_LOAD = 0.5  # processes that run beside the comparison

_DESCRIPTION = """\
Is the present tree as fast as revision REV? Builds both, and runs the two binaries in turn in the same minutes, in random
order, on prefill, decode, bf16, the ring on two ranks and the whole model. Prints a table of the ratios new / old.
"""
_EPILOG = f"""\
examples:
  tools/compare_revisions HEAD~1                    the last commit and what is not yet committed against its parent
  tools/compare_revisions v1.0 --quick              a first look, some three minutes after the build
  tools/compare_revisions main --groups decode,ring --rounds 30
  tools/compare_revisions HEAD --new HEAD           the same code twice: what the machine's noise alone does

The rule: the geometric mean of the ratios is at most 1.01, that of no group is above 1.01 beyond its interval, and no case is
above 1.02 beyond its interval. Each binary is started anew for every visit of a case; a case's ratio is the median over its
visits, intervals are 95 % bootstraps over visits. Before {visits.MINIMUM_ROUNDS} rounds nothing is judged, and an interval of so few is
rough. Both are built with the flags of this tree's user.bazelrc, in output directories of their own. Leave the machine
alone meanwhile.

Exit status: 0 the rule holds; 1 it does not, or a case fails that REV can do; 2 bad usage, or no build; 130 interrupted.
Places: MPIRUN (default mpirun).
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Problem(f"{message}; see --help")


def _groups(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in GROUPS:
            raise argparse.ArgumentTypeError(f"'{name}' is no group; there are {', '.join(GROUPS)}")
    return names


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < visits.MINIMUM_ROUNDS:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {visits.MINIMUM_ROUNDS}")
    return int(text)


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of minutes above 0")
    return value


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="compare_revisions",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("revision", metavar="REV", help="the old revision: anything git understands")
    parser.add_argument("--new", metavar="REV", help="the new revision (default: the working tree as it stands)")
    parser.add_argument(
        "--groups", metavar="A,B", type=_groups, default=list(GROUPS), help=f"which cases, of {','.join(GROUPS)} (all)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer than half of the cases, for some three minutes")
    parser.add_argument(
        "--minutes",
        type=_minutes,
        metavar="M",
        help=f"stop after so many minutes of measuring, but not before {visits.MINIMUM_ROUNDS} rounds "
        f"(default {_MINUTES:g}; {_QUICK_MINUTES:g} with --quick; none with --rounds)",
    )
    parser.add_argument("--rounds", type=_rounds, metavar="N", help="stop after so many rounds of all cases")
    parser.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="check out and build here and keep it: the next comparison builds only what has changed (default: a temporary "
        "directory, removed)",
    )
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="the table as CSV, too")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _Progress:
    """What is done now, and the time left: rewritten in place on a terminal, in a log now and then."""

    _SECONDS_BETWEEN_LINES = 30

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = -math.inf

    def show(self, what: str, seconds_left: float) -> None:
        now = time.monotonic()
        if not self._terminal and now - self._shown < self._SECONDS_BETWEEN_LINES:
            return
        self._shown = now
        left = "" if math.isnan(seconds_left) else f", about {self._duration(seconds_left)} left"
        if self._terminal:
            print(f"\r\033[K{what}{left}", end="", file=sys.stderr, flush=True)
        else:
            _say(what + left)

    def end(self) -> None:
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    @staticmethod
    def _duration(seconds: float) -> str:
        return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _choose(isas: Sequence[str], groups: Sequence[str], quick: bool) -> list[Slice]:
    chosen = [part for part in all_slices(isas) if part.group in groups and (part.quick or not quick)]
    cores = len(os.sched_getaffinity(0))
    fitting = [part for part in chosen if part.cores <= cores]
    if len(fitting) < len(chosen):
        _say(f"note: {len(chosen) - len(fitting)} slices are left out: they need two cores, there is one")
    if not fitting:
        raise Problem("no case is left to compare on this machine")
    return fitting


def _bounds(options: argparse.Namespace) -> visits.Bounds:
    minutes = options.minutes
    if minutes is None and options.rounds is None:
        minutes = _QUICK_MINUTES if options.quick else _MINUTES
    return visits.Bounds(options.rounds, None if minutes is None else minutes * 60)


def _compare(options: argparse.Namespace, top: Path) -> int:
    require_git_tree(top)
    visits.mpirun_command()  # missing, it is missed before the build
    old = resolve_revision(top, options.revision)
    new = None if options.new is None else resolve_revision(top, options.new)
    sides = (
        Side("old", f"{options.revision} ({old[:10]})", old),
        Side("new", "the working tree" if new is None else f"{options.new} ({new[:10]})", new),
    )
    if options.csv is not None and not os.access(options.csv.absolute().parent, os.W_OK):
        raise Problem(f"--csv {options.csv} cannot be written")
    if os.getloadavg()[0] > _BUSY_LOAD:
        _say("note: something else seems to be running here; times beside it tell little")
    builder = Builder(top, options.directory, _say)
    progress = _Progress()
    try:
        binaries = {side.name: builder.build(side) for side in sides}
        starter = visits.Starter(binaries, builder.directory)
        both = set(starter.isas("old")) & set(starter.isas("new"))
        slices = _choose([isa for isa in ISAS if isa in both], options.groups, options.quick)
        measured = visits.measure(starter.start, slices, _bounds(options), progress.show)
    finally:
        progress.end()
        builder.clean_up()
    return _report(options, sides, measured)


def _in_order(measured: visits.Measured) -> dict[CaseKey, list[Pair]]:
    """As the list of cases has them, not as chance did."""
    order = [CaseKey(part.group, part.title, variant) for part in all_slices(ISAS) for variant in part.variants]
    keys = sorted(measured.pairs, key=lambda key: (GROUPS.index(key.group), order.index(key)))
    return {key: measured.pairs[key] for key in keys if key not in measured.broken and key not in measured.left_out}


def _report(options: argparse.Namespace, sides: Sequence[Side], measured: visits.Measured) -> int:
    pairs = _in_order(measured)
    if not pairs:
        if measured.broken:
            print_quietly("\n".join(["does NOT hold:", *report.broken(measured)]))
            return 1
        raise Problem(f"nothing could be measured: {next(iter(measured.left_out.values()))}")
    judgement = judge(pairs)
    holds, lines = report.verdict(judgement, measured)
    title = f"new: {sides[1].title}; old: {sides[0].title}; {measured.rounds} rounds"
    print_quietly("\n".join([title, "", *report.table(judgement, options.markdown), "", *lines]))
    if options.csv is not None:
        report.write_csv(judgement, options.csv)
    return 0 if holds else 1


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str], top: Path) -> int:
    """Compares and prints; returns the exit status."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        return _compare(_parse(arguments), top)
    except Problem as problem:
        _say(f"compare_revisions: {problem}")
        return 2
    except KeyboardInterrupt:
        _say("compare_revisions: interrupted, nothing is judged")
        return 130
