"""Which variant wins where: one row per cell, one column per run directory (such as one per link rate), as Markdown.

usage: crossovers.py RUN_DIR...

A column is named after its directory. An entry is the fastest variant, its median time, and how many times longer the next
one takes; '~' instead of that where their intervals overlap, so that no winner is claimed. A second table has what each
variant moves and how much of it is not hidden behind computing. Exit status: 0, or 2 for input that cannot be used.
"""

from __future__ import annotations

import csv
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

# What tells cells apart in a table; those that are the same everywhere are left out.
_FACTORS = ("model", "phase", "contract", "causal", "batch", "seq_len", "ranks", "threads", "isa", "dtype")
_MISSING = "-"


class UnusableInput(Exception):
    """The message is one line for the user."""


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
    path = directory / "cases.csv"
    cells: Cells = {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["status"] != "ok" or int(row["launch"]) % 1000 != 0:
                    continue
                cells.setdefault(tuple(row[name] for name in _FACTORS), []).append(_measured(row))
    except OSError as problem:
        raise UnusableInput(f"{path}: cannot be read: {problem.strerror}") from None
    except (KeyError, ValueError) as problem:
        raise UnusableInput(f"{path}: {problem}: not the cases of a run") from None
    if not cells:
        raise UnusableInput(f"{path}: no case that is ok")
    return {key: sorted(cases, key=lambda case: case.median) for key, cases in cells.items()}


def _measured(row: dict[str, str]) -> Measured:
    def number(name: str, default: float) -> float:
        return float(row[name]) if row[name] else default

    median = float(row["time_median_s"])
    low, high = number("time_low_s", 0.0), number("time_high_s", math.inf)
    return Measured(row["variant"], median, low, high, number("comm_bytes_per_rank", 0.0), number("comm_exposed_s", 0.0))


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


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def crossover_table(runs: dict[str, Cells]) -> list[str]:
    """The winner of each cell in each run."""
    keys = _sorted({key for cells in runs.values() for key in cells})
    shown = _varying(keys)
    rows = [
        [*(key[index] for index in shown), *(winner(cells[key]) if key in cells else _MISSING for cells in runs.values())]
        for key in keys
    ]
    return _table([*(_FACTORS[index] for index in shown), *runs], rows)


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
    return _table([*(_FACTORS[index] for index in shown), "variant", "sent MB per rank", *names], rows) if rows else []


def main(arguments: Sequence[str]) -> int:
    """Prints the tables; returns the exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    try:
        runs = {Path(argument).name: read_cells(Path(argument)) for argument in arguments}
    except UnusableInput as problem:
        print(f"crossovers.py: {problem}", file=sys.stderr)
        return 2
    print("\n".join(crossover_table(runs)))
    traffic = traffic_table(runs)
    if traffic:
        print("\n" + "\n".join(traffic))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
