"""Which variant wins where, as Markdown: one row per cell, one column per run (such as one per link rate).

An entry is the fastest variant, its median time, and how many times longer the next one takes; '~' instead of that where
their intervals overlap, so that no winner is claimed. '(one launch)' marks an estimate: what differs from launch to launch was
not measured. A second table has what each variant moves and how much of it is not
hidden behind computing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from analysis.estimate import paired_statistics as stats
from analysis.estimate.trimmed_mean import TrimmedEstimate
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import Case, read_cases
from analysis.show.text_table import markdown_table

# What tells cells apart in a table; those that are the same everywhere are left out.
_FACTORS = ("model", "phase", "contract", "causal", "batch", "seq_len", "ranks", "threads", "isa", "dtype")
_MISSING = "-"
NOT_RESOLVED = "not resolved"


@dataclass(frozen=True)
class Measured:
    """One case over its launches: times in seconds, bytes sent by the busiest rank."""

    variant: str
    median: float
    low: float
    high: float
    sent_bytes: float
    exposed: float | None  # None where it is not known to be above zero
    estimate_only: bool  # one launch on several ranks


Key = tuple[str, ...]
Cells = dict[Key, list[Measured]]


def read_cells(directory: Path) -> Cells:
    """Cases of a run that are ok, by their factors, fastest first. Copies of variants are controls and take no part."""
    launches: dict[tuple[Key, str], list[Case]] = {}
    for case in read_cases(directory):
        if case.status == "ok" and not case.duplicate_of:
            key = tuple(case.factors[name] for name in _FACTORS)
            launches.setdefault((key, case.variant), []).append(case)
    if not launches:
        raise UnusableInput(f"{directory / 'cases.csv'}: no case that is ok")
    cells: Cells = {}
    for (key, _), cases in launches.items():
        cells.setdefault(key, []).append(_measured(cases))
    return {key: sorted(found, key=lambda case: case.median) for key, found in cells.items()}


def _number(value: float | None, default: float) -> float:
    return default if value is None else value


def _measured(cases: Sequence[Case]) -> Measured:
    """One launch has the interval of its rounds, several have that over the launches."""
    first = cases[0]
    medians = [time for case in cases if (time := case.summary["time_median_s"])]
    if len(medians) > 1:
        over = stats.interval_of(TrimmedEstimate([math.log(time) for time in medians], sum(case.rounds for case in cases)))
        median, low, high = over.centre, over.low, over.high
    else:
        median = _number(first.summary["time_median_s"], math.nan)
        low, high = _number(first.summary["time_low_s"], 0.0), _number(first.summary["time_high_s"], math.inf)
    sent = _number(first.counts["comm_bytes_per_rank"], 0.0)
    exposed = [value for case in cases if (value := case.summary["comm_exposed_s"]) is not None]
    only = len(cases) == 1 and first.factors["ranks"] != "1"
    return Measured(first.variant, median, low, high, sent, _resolved(exposed, median - low), only)


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


def winner(cases: Sequence[Measured]) -> str:
    """The fastest variant, and by how much; `cases` are sorted."""
    best = cases[0]
    text = f"{best.variant} {best.median * 1e3:.3g} ms"
    if len(cases) == 1:
        return text
    overlap = best.high >= cases[1].low
    only = " (one launch)" if best.estimate_only else ""
    return f"{text} ~" if overlap else f"{text} x{cases[1].median / best.median:.2f}{only}"


def _varying(keys: Sequence[Key]) -> list[int]:
    return [index for index in range(len(_FACTORS)) if len({key[index] for key in keys}) > 1]


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
    return markdown_table([*(_FACTORS[index] for index in shown), *runs], rows)


def _milliseconds(seconds: float | None) -> str:
    return NOT_RESOLVED if seconds is None else f"{seconds * 1e3:.3g}"


def traffic_table(runs: dict[str, Cells]) -> list[str]:
    """What each variant of a cell sends, and the communication that each run could not hide."""
    cases = {
        (key, case.variant): case.sent_bytes for cells in runs.values() for key, found in cells.items() for case in found
    }
    moving = {pair: sent for pair, sent in cases.items() if sent > 0}
    shown = _varying([key for key, _ in moving])
    rows = []
    for key in _sorted({key for key, _ in moving}):
        for variant in sorted(name for other, name in moving if other == key):
            found = [next((case for case in cells.get(key, []) if case.variant == variant), None) for cells in runs.values()]
            exposed = [_MISSING if case is None else _milliseconds(case.exposed) for case in found]
            rows.append([*(key[index] for index in shown), variant, f"{moving[key, variant] / 1e6:.2f}", *exposed])
    names = [f"exposed ms, {name}" for name in runs]
    return markdown_table([*(_FACTORS[index] for index in shown), "variant", "sent MB per rank", *names], rows) if rows else []
