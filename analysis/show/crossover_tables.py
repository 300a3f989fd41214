"""Which variant wins where, as Markdown: one row per cell, one column per run (such as one per link rate).

An entry is the fastest variant, its median time, and how many times longer the next one takes, from rounds and launches that
are paired; '~' instead of that where the interval of this ratio includes 1, so that no winner is claimed. '(one launch)' marks an
estimate: what differs from launch to launch was not measured. A second table has what each variant moves and how much of it is not
hidden behind computing.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

from analysis.estimate import paired_statistics as stats
from analysis.estimate.paired_statistics import Interval
from analysis.estimate.trimmed_mean import TrimmedEstimate
from analysis.judge.claims import Comparison
from analysis.judge.launch_values import read_values
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import Case, Run, read_run
from analysis.show.text_table import markdown_table

# What tells cells apart in a table; those that are the same everywhere are left out.
CELL_KEY = ("scope", "model", "phase", "contract", "mask", "batch", "seq_len", "cached_tokens", "ranks", "threads", "isa", "dtype")
_MISSING = "-"
NOT_RESOLVED = "not resolved"


@dataclass(frozen=True)
class Measured:
    """One case over its launches: times in seconds, bytes sent by the busiest rank."""

    variant: str
    median: float
    sent_bytes: float
    exposed: float | None  # None where it is not known to be above zero


@dataclass(frozen=True)
class Measurements:
    """The cases of one cell, fastest first, and the ratio of the second's time to the first's."""

    cases: list[Measured]
    lead: Interval | None
    estimate_only: bool  # one launch on several ranks


Key = tuple[str, ...]
Cells = dict[Key, Measurements]
Launches = dict[int, Case]


def key_of(case: Case) -> Key:
    """What tells its cell from others."""
    return tuple(case.factors[name] for name in CELL_KEY)


def read_cells(directory: Path) -> Cells:
    """Cells of a run by their factors; raises UnusableInput where there is none."""
    return measure_cells(read_run(directory))


def measure_cells(
    run: Run, group: Callable[[Case], str] | None = None, error: float = stats.ONE_SIDED_ERROR
) -> Cells:
    """The same of a run that is read. Copies of variants are controls and take no part.

    With `group`, variants of one group stand for each other: the fastest of each in a cell takes part. `error`: of one side of
    the interval of a lead.
    """
    cells: dict[Key, dict[str, Launches]] = {}
    for case in run.cases:
        if case.status == "ok" and not case.duplicate_of:
            launches = cells.setdefault(key_of(case), {}).setdefault(case.variant, {})
            if launches.setdefault(case.unit, case) is not case:
                where = run.directory / "cases.csv"
                raise UnusableInput(f"{where}: {case.variant} twice in one launch, and {', '.join(CELL_KEY)} do not tell the two apart")
    if not cells:
        raise UnusableInput(f"{run.directory / 'cases.csv'}: no case that is ok")
    return {key: _measurements(run, _fastest_of(list(variants.values()), group), error) for key, variants in cells.items()}


def _fastest_of(variants: list[Launches], group: Callable[[Case], str] | None) -> list[Launches]:
    if group is None:
        return variants
    best: dict[str, Launches] = {}
    for launches in sorted(variants, key=lambda launches: _measured(list(launches.values())).median):
        best.setdefault(group(next(iter(launches.values()))), launches)
    return list(best.values())


def _measurements(run: Run, variants: list[Launches], error: float) -> Measurements:
    found = sorted(((_measured(list(launches.values())), launches) for launches in variants), key=lambda one: one[0].median)
    (first, launches), *others = found
    several = next(iter(launches.values())).factors["ranks"] != "1"
    lead = _lead(run, launches, others[0][1], error) if others else None
    return Measurements([case for case, _ in found], lead, len(launches) == 1 and several)


def _lead(run: Run, first: Launches, second: Launches, error: float) -> Interval | None:
    values = read_values(run, "time_s", Comparison(0, {}, first, second))
    return None if isinstance(values, str) else stats.interval_of(values.estimate(len(values.launches)), error=error)


def _number(value: float | None, default: float) -> float:
    return default if value is None else value


def _measured(cases: Sequence[Case]) -> Measured:
    first = cases[0]
    medians = [time for case in cases if (time := case.summary["time_median_s"])]
    median = statistics.median(medians) if medians else math.nan
    low = _number(first.summary["time_low_s"], 0.0)
    sent = _number(first.counts["comm_bytes_per_rank"], 0.0)
    exposed = [value for case in cases if (value := case.summary["comm_exposed_s"]) is not None]
    return Measured(first.variant, median, sent, _resolved(exposed, median - low))


def _resolved(exposed: Sequence[float], time_below: float) -> float | None:
    """Exposed communication is a difference of two times, so it is known no better than the time is.

    With several launches their interval says whether it is above zero; with one, the lower half of the time's interval.
    """
    if not exposed:
        return 0.0
    if len(exposed) > 1:
        estimate = TrimmedEstimate(exposed, len(exposed))
        return estimate.centre if estimate.lower(stats.ONE_SIDED_ERROR) > 0 else None
    if exposed[0] == 0:
        return 0.0
    return exposed[0] if exposed[0] - time_below > 0 else None


def winner(cell: Measurements) -> str:
    """The fastest variant, and by how much."""
    best = cell.cases[0]
    text = f"{best.variant} {best.median * 1e3:.3g} ms"
    if len(cell.cases) == 1:
        return text
    only = " (one launch)" if cell.estimate_only else ""
    # The smaller median need not be the smaller of paired rounds.
    return f"{text} ~" if cell.lead is None or cell.lead.low <= 1 else f"{text} x{cell.lead.centre:.2f}{only}"


def _varying(keys: Sequence[Key]) -> list[int]:
    return [index for index in range(len(CELL_KEY)) if len({key[index] for key in keys}) > 1]


def _sorted(keys: set[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: [(0, float(word), "") if word.isdigit() else (1, 0.0, word) for word in key])


def crossover_table(runs: dict[str, Cells]) -> list[str]:
    """The winner of each cell in each run."""
    keys = _sorted({key for cells in runs.values() for key in cells})
    shown = _varying(keys)
    rows = [
        [*(key[index] for index in shown), *(winner(cells[key]) if key in cells else _MISSING for cells in runs.values())]
        for key in keys
    ]
    return markdown_table([*(CELL_KEY[index] for index in shown), *runs], rows)


def _case_of(cell: Measurements | None, variant: str) -> Measured | None:
    return next((case for case in cell.cases if case.variant == variant), None) if cell else None


def _milliseconds(seconds: float | None) -> str:
    return NOT_RESOLVED if seconds is None else f"{seconds * 1e3:.3g}"


def traffic_table(runs: dict[str, Cells]) -> list[str]:
    """What each variant of a cell sends, and the communication that each run could not hide."""
    cases = {
        (key, case.variant): case.sent_bytes for cells in runs.values() for key, found in cells.items() for case in found.cases
    }
    moving = {pair: sent for pair, sent in cases.items() if sent > 0}
    shown = _varying([key for key, _ in moving])
    rows = []
    for key in _sorted({key for key, _ in moving}):
        for variant in sorted(name for other, name in moving if other == key):
            found = [_case_of(cells.get(key), variant) for cells in runs.values()]
            exposed = [_MISSING if case is None else _milliseconds(case.exposed) for case in found]
            rows.append([*(key[index] for index in shown), variant, f"{moving[key, variant] / 1e6:.2f}", *exposed])
    names = [f"exposed ms, {name}" for name in runs]
    return markdown_table([*(CELL_KEY[index] for index in shown), "variant", "sent MB per rank", *names], rows) if rows else []
