"""The original study's published figures: rows of results/original/published.csv, named and never typed again.

A row is named by its source, claim and setting, with bars between: `table4 | naive OpenMP time | 2 threads`. A claim's figure
follows from rows by one of FORMS, so that "1.35 times as long" is computed from the two times that were published.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

from analysis.read.csv_table import UnusableInput, read_table

COLUMNS = ("source", "claim", "setting", "value", "unit")
BAR = " | "
RATIO_UNIT = "x"


@dataclass(frozen=True)
class PublishedRow:
    source: str
    name: str  # all three, as a claim names it
    value: float
    unit: str


@dataclass(frozen=True)
class Published:
    """What a claim says in figures; no value where it says none."""

    value: float | None
    unit: str
    source: str  # 'table 4', 'figure 8, repo'
    rows: tuple[str, ...]  # every row that this claim speaks of


def read_published(path: Path) -> dict[str, PublishedRow]:
    """The rows by name; raises UnusableInput."""
    found: dict[str, PublishedRow] = {}
    for row in read_table(path, COLUMNS).rows:
        name = BAR.join(row.text(column) for column in COLUMNS[:3])
        value = row.number("value")
        if name in found:
            raise row.error("setting", f"'{name}' appears twice")
        if value is None:
            raise row.error("value", "empty")
        found[name] = PublishedRow(row.text("source"), name, value, row.text("unit"))
    return found


def _ratio(above: PublishedRow, below: PublishedRow) -> float:
    if below.value <= 0 or above.unit != below.unit:
        raise UnusableInput(f"'{above.name}' and '{below.name}' have no ratio: {above.unit} over {below.unit}")
    return above.value / below.value


def _value(rows: Sequence[PublishedRow]) -> tuple[float, str]:
    return rows[0].value, rows[0].unit


def _quotient(rows: Sequence[PublishedRow]) -> tuple[float, str]:
    return _ratio(rows[0], rows[1]), RATIO_UNIT


def _order(rows: Sequence[PublishedRow]) -> tuple[float, str]:
    return min(_ratio(slow, fast) for fast, slow in zip(rows, rows[1:])), RATIO_UNIT


def _spread(rows: Sequence[PublishedRow]) -> tuple[float, str]:
    ordered = sorted(rows, key=lambda row: row.value)
    return _ratio(ordered[-1], ordered[0]), RATIO_UNIT


def _gain(rows: Sequence[PublishedRow]) -> tuple[float, str]:
    return 1 + rows[0].value / 100, RATIO_UNIT


# Name: how many rows at least and at most, and the figure. `order` has the fastest first; its figure is its smallest step.
FORMS = {
    "value": (1, 1, _value),
    "quotient": (2, 2, _quotient),
    "order": (2, 9, _order),
    "spread": (2, 9, _spread),
    "gain": (1, 1, _gain),  # so many per cent, as a ratio of times
}
NO_FIGURE = "none"  # the claim has words only; its value says where
ALSO = "also"  # rows that say the same at other settings


def _named(rows: Mapping[str, PublishedRow], wanted: object) -> list[PublishedRow]:
    names = wanted if isinstance(wanted, list) else [wanted]
    found = []
    for name in names:
        row = rows.get(str(name))
        if row is None:
            source = str(name).split(BAR)[0]
            near = [other for other in rows if other.startswith(source + BAR)] or list(rows)
            raise UnusableInput(f"published.csv has no row '{name}'; there are: {'; '.join(near)}")
        found.append(row)
    return found


def _source_text(rows: Sequence[PublishedRow]) -> str:
    """'table 4, figure 8', each once."""
    words = [re.sub(r"^(table|fig)(\d+)$", r"\1 \2", row.source).replace("fig ", "figure ") for row in rows]
    return ", ".join(dict.fromkeys(words))


def published_figure(spec: object, rows: Mapping[str, PublishedRow]) -> Published:
    """What `published:` of a claim means; raises UnusableInput without the claim's name, which the caller adds."""
    allowed = (*FORMS, NO_FIGURE)
    if not isinstance(spec, dict):
        raise UnusableInput(f"'published' must be a mapping with one of {', '.join(allowed)}")
    forms = [key for key in spec if key in allowed]
    unknown = [str(key) for key in spec if key not in (*allowed, ALSO)]
    if unknown or len(forms) != 1:
        problem = f"has the unknown key '{unknown[0]}'" if unknown else f"has {len(forms)} figures"
        raise UnusableInput(f"'published' {problem}; it has one of {', '.join(allowed)}, and {ALSO}")
    also = _named(rows, spec.get(ALSO, []))
    (form,) = forms
    if form == NO_FIGURE:
        return Published(None, "", str(spec[form]), tuple(row.name for row in also))
    least, most, figure = FORMS[form]
    chosen = _named(rows, spec[form])
    if not least <= len(chosen) <= most:
        raise UnusableInput(f"'published': {form} takes {least if least == most else f'{least} to {most}'} rows, not {len(chosen)}")
    value, unit = figure(chosen)
    return Published(value, unit, _source_text([*chosen, *also]), tuple(row.name for row in [*chosen, *also]))
