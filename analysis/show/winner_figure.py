"""Draws what is fastest where: a panel per run (a link, say), a row per place, a column per length.

A field has the colour of the fastest strategy and says by how much the next one is slower, each by its fastest variant; in runs of
one strategy, variants take the place of strategies. Where no lead is shown the field is pale: `=` if it is shown to be within the
margin, `?` if it is not known. `~`: an estimate of one launch. Where the run has an automatic variant, a corner says what its choice
was worth: filled if what it chose is within the margin of the fastest. The intervals hold for all fields together in 95 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from matplotlib import pyplot
from matplotlib.patches import Patch, Polygon, Rectangle

from analysis.estimate import paired_statistics as stats
from analysis.estimate.predictions import results_of_choices
from analysis.judge.regimes import factor_label
from analysis.read.read_run import Case, Run
from analysis.show.crossover_tables import CELL_KEY, Key, Measurements, key_of, measure_cells
from analysis.show.figure_style import COLOURS, save
from analysis.show.verdict_phrases import percent

_COLUMN = CELL_KEY.index("seq_len")
_FIELD_WIDTH, _FIELD_HEIGHT = 0.85, 0.34  # inches
_PALE = 0.25


@dataclass(frozen=True)
class Field:
    """What is known of one place in one run."""

    way: str  # the fastest strategy, or variant
    text: str
    shown: bool  # whether there is known to be a lead that is not within the margin
    choice_is_good: bool | None  # None: nothing chose


@dataclass(frozen=True)
class WinnerMap:
    columns: list[str]  # lengths, or what `columns_are` says
    rows: list[str]  # places, as they are labelled
    panels: Mapping[str, Mapping[tuple[str, str], Field]]  # by run, row and column
    ways: list[str]  # those that are fastest somewhere
    columns_are: str = "tokens"


def _text(cell: Measurements, margin: float) -> tuple[str, bool]:
    lead = cell.lead
    if lead is None:
        return "alone", True
    if cell.estimate_only:
        return f"~{percent(max(0.0, lead.centre - 1))} %", False
    if lead.high <= 1 + margin and lead.low >= 1 / (1 + margin):
        return "=", False
    return (f"{percent(lead.centre - 1)} %", True) if lead.low > 1 else ("?", False)


def _choices(run: Run, margin: float) -> dict[Key, bool]:
    """By cell: whether what was chosen is nearly as fast as the fastest."""
    keys = {case.cell: key_of(case) for case in run.cases}
    return {keys[result.case.split("/")[0]]: result.regret <= margin for result in results_of_choices(run)}


def _strategy(case: Case) -> str:
    """How a variant divides the work."""
    if "grid" in case.variant:
        return case.variant.partition("+")[0]
    return {"headwise": "head-wise"}.get(case.factors["strategy"], case.factors["strategy"])


def _way_of(runs: Mapping[str, Run]) -> Callable[[Case], str]:
    strategies = {_strategy(case) for run in runs.values() for case in run.cases}
    return _strategy if len(strategies) > 1 else lambda case: case.variant


def _number(word: str) -> tuple[int, float, str]:
    return (0, float(word), "") if word.isdigit() else (1, 0.0, word)


def _label(key: Key, shown: Sequence[int]) -> str:
    return ", ".join(factor_label(CELL_KEY[index], key[index]) for index in shown) or "all"


def winner_map(runs: Mapping[str, Run], margin: float) -> WinnerMap:
    """Of runs by name. Raises UnusableInput if one has no case that is ok."""
    way_of = _way_of(runs)
    ways = dict.fromkeys(way_of(case) for run in runs.values() for case in run.cases)  # as the experiment has them
    way_of_variant = {case.variant: way_of(case) for run in runs.values() for case in run.cases}
    # Bonferroni over the fields and over the pairs of ways of which a field shows one.
    fields = sum(len({key_of(case) for case in run.cases}) for run in runs.values())
    error = stats.ONE_SIDED_ERROR / (fields * max(math.comb(len(ways), 2), 1))
    cells = {name: measure_cells(run, way_of, error) for name, run in runs.items()}
    keys = sorted({key for found in cells.values() for key in found}, key=lambda key: [_number(word) for word in key])
    shown = [i for i in range(len(CELL_KEY)) if i != _COLUMN and len({key[i] for key in keys}) > 1]
    panels: dict[str, dict[tuple[str, str], Field]] = {}
    for name, found in cells.items():
        choices = _choices(runs[name], margin)
        panels[name] = {}
        for key, cell in found.items():
            text, is_shown = _text(cell, margin)
            field = Field(way_of_variant[cell.cases[0].variant], text, is_shown, choices.get(key))
            panels[name][_label(key, shown), key[_COLUMN]] = field
    columns = sorted({key[_COLUMN] for key in keys}, key=_number)
    rows = list(dict.fromkeys(_label(key, shown) for key in keys))
    fastest = {field.way for fields in panels.values() for field in fields.values()}
    return WinnerMap(columns, rows, panels, [way for way in ways if way in fastest])


def _colours(ways: Sequence[str]) -> dict[str, str]:
    return {way: COLOURS[number % len(COLOURS)] for number, way in enumerate(ways)}


def _draw_field(axes: Any, x: int, y: int, field: Field, colour: str) -> None:
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, alpha=1.0 if field.shown else _PALE, edgecolor="white", linewidth=1.5))
    axes.text(x + 0.5, y + 0.52, field.text, ha="center", va="center", fontsize=8.5, color="white" if field.shown else "0.15")
    if field.choice_is_good is not None:
        corner = [(x + 0.86, y + 0.94), (x + 0.97, y + 0.94), (x + 0.97, y + 0.62)]
        axes.add_patch(Polygon(corner, facecolor="black" if field.choice_is_good else "white", edgecolor="black", linewidth=0.8))


def _legend(figure: Any, shown: WinnerMap, colours: Mapping[str, str]) -> None:
    handles: list[Any] = [Patch(facecolor=colours[way], label=way) for way in shown.ways]
    fields = [field for panel in shown.panels.values() for field in panel.values()]
    for good, label in ((True, "choice of auto within the margin"), (False, "choice of auto slower")):
        if any(field.choice_is_good is good for field in fields):
            handles.append(Patch(facecolor="black" if good else "white", edgecolor="black", label=label))
    figure.legend(handles=handles, loc="lower center", ncols=2, frameon=False, fontsize=8.5)


def draw_winners(shown: WinnerMap, margin: float, path: Path) -> None:
    """Writes the figure, in the format that the path's suffix names."""
    colours = _colours(shown.ways)
    label = max(map(len, shown.rows)) * 0.075
    chosen = {field.choice_is_good for panel in shown.panels.values() for field in panel.values()} - {None}
    legend = 0.2 * ((len(shown.ways) + len(chosen) + 1) // 2) + 0.1
    width = label + len(shown.panels) * (len(shown.columns) * _FIELD_WIDTH + 0.15) + 0.2
    height = len(shown.rows) * _FIELD_HEIGHT + 1.0 + legend
    figure, grid = pyplot.subplots(1, len(shown.panels), figsize=(max(width, 5.0), height), squeeze=False, sharey=True)
    for axes, (name, fields) in zip(grid[0], shown.panels.items()):
        for y, row in enumerate(shown.rows):
            for x, column in enumerate(shown.columns):
                field = fields.get((row, column))
                if field is not None:
                    _draw_field(axes, x, y, field, colours[field.way])
        axes.set_xlim(0, len(shown.columns))
        axes.set_ylim(len(shown.rows), 0)
        axes.set_xticks([x + 0.5 for x in range(len(shown.columns))], shown.columns, fontsize=9)
        axes.set_yticks([y + 0.5 for y in range(len(shown.rows))], shown.rows, fontsize=9)
        axes.set_xlabel(shown.columns_are, fontsize=9)
        axes.set_title(name, fontsize=10)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    figure.text(0.01, 0.995, f"Fastest, and how much slower the next is; pale: no lead (= within {percent(margin)} %, ? not known, ~ one launch)",
                fontsize=8.5, va="top", color="0.3")  # fmt: skip
    _legend(figure, shown, colours)
    figure.tight_layout(rect=(0, legend / height, 1, 1 - 0.2 / height))
    save(figure, path)
