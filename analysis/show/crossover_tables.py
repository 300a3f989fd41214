"""Which variant wins where, as Markdown: one row per cell, one column per run (such as one per link rate).

An entry is the fastest variant, its median time, and how many times longer the next one takes; '~' instead of that where
their intervals overlap, so that no winner is claimed. A second table has what each variant moves and how much of it is not
hidden behind computing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import LAUNCH_ID_STEP, Case, read_cases
from analysis.show.text_table import markdown_table

# What tells cells apart in a table; those that are the same everywhere are left out.
_FACTORS = ("model", "phase", "contract", "causal", "batch", "seq_len", "ranks", "threads", "isa", "dtype")
_MISSING = "-"


@dataclass(frozen=True)
class Measured:
    """One case: times in seconds, bytes sent by the busiest rank."""

    variant: str
    median: float
    low: float
    high: float
    sent_bytes: float
    exposed: float


Key = tuple[str, ...]
Cells = dict[Key, list[Measured]]


def read_cells(directory: Path) -> Cells:
    """Cases of a run that are ok, by their factors, fastest first. Launches after the first are left out."""
    cells: Cells = {}
    for case in read_cases(directory):
        if case.status == "ok" and int(case.launch) % LAUNCH_ID_STEP == 0:
            cells.setdefault(tuple(case.factors[name] for name in _FACTORS), []).append(_measured(case))
    if not cells:
        raise UnusableInput(f"{directory / 'cases.csv'}: no case that is ok")
    return {key: sorted(cases, key=lambda case: case.median) for key, cases in cells.items()}


def _measured(case: Case) -> Measured:
    def number(value: float | None, default: float) -> float:
        return default if value is None else value

    low, high = number(case.summary["time_low_s"], 0.0), number(case.summary["time_high_s"], math.inf)
    sent, exposed = case.counts["comm_bytes_per_rank"], case.summary["comm_exposed_s"]
    median = number(case.summary["time_median_s"], math.nan)
    return Measured(case.variant, median, low, high, number(sent, 0.0), number(exposed, 0.0))


def winner(cases: Sequence[Measured]) -> str:
    """The fastest variant, and by how much; `cases` are sorted."""
    best = cases[0]
    text = f"{best.variant} {best.median * 1e3:.3g} ms"
    if len(cases) == 1:
        return text
    overlap = best.high >= cases[1].low
    return f"{text} ~" if overlap else f"{text} x{cases[1].median / best.median:.2f}"


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
            exposed = [f"{case.exposed * 1e3:.3g}" if case else _MISSING for case in found]
            rows.append([*(key[index] for index in shown), variant, f"{moving[key, variant] / 1e6:.2f}", *exposed])
    names = [f"exposed ms, {name}" for name in runs]
    return markdown_table([*(_FACTORS[index] for index in shown), "variant", "sent MB per rank", *names], rows) if rows else []
