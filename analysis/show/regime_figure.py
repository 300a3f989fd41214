"""Draws the answer: per pair of a claim a panel, in it a line per regime, with simultaneous intervals and the margin."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

from matplotlib import pyplot

from analysis.judge.verdicts import ClaimResult
from analysis.judge.words import DECIDED, Word
from analysis.show.figure_style import COLOURS, MARKERS, save, word_handles
from analysis.show.regime_map import Entry, MapRow, RegimeMap, make_map
from analysis.show.verdict_phrases import bounded, percent, short_names

_WIDTH, _HEIGHT = 8.6, 3.5  # inches
# An interval that leaves the panel says "hardly known"; drawn whole it would flatten all others.
_FARTHEST = 25.0  # per cent


def _per_cent(ratio: float) -> float:
    return 100 * (ratio - 1)


def _known(row: MapRow, columns: Sequence[str]) -> list[tuple[int, Entry]]:
    """What can be drawn of a row, with the number of its column."""
    found = []
    for index, column in enumerate(columns):
        entry = row.entries.get(column)
        if entry is not None and entry.ratio is not None and bounded(entry.ends):
            found.append((index, entry))
    return found


def _draw_row(axes: Any, known: Sequence[tuple[int, Entry]], colour: str, shift: float) -> None:
    for index, entry in known:
        assert entry.ratio is not None and entry.ends is not None  # by _known
        x, y = index + shift, _per_cent(entry.ratio)
        low, high = (_per_cent(end) for end in entry.ends)
        axes.plot([x, x], [low, high], color=colour, linewidth=1.4, solid_capstyle="butt")
        face = colour if entry.word in DECIDED else "white"
        axes.plot([x], [y], marker=MARKERS[entry.word], markersize=6, color=colour, markerfacecolor=face, zorder=3)


def _limits(shown: Sequence[RegimeMap]) -> tuple[float, float]:
    """The same for all panels, so that they can be compared."""
    entries = [entry for each in shown for row in each.rows for _, entry in _known(row, each.columns)]
    ends = [_per_cent(end) for entry in entries if entry.ends for end in entry.ends]
    centres = [_per_cent(entry.ratio) for entry in entries if entry.ratio]
    low = min([-5.0, *centres, max(min(ends), -_FARTHEST)])
    high = max([5.0, *centres, min(max(ends), _FARTHEST)])
    return low - 2, high + 2


def draw_regimes(result: ClaimResult, margin: float, path: Path) -> bool:
    """False if there is nothing to draw: no map over lengths, or no interval in it."""
    shown = [make_map(result, pair) for pair in range(len(result.claim.pairs))]
    shown = [each for each in shown if each.column and any(_known(row, each.columns) for row in each.rows)]
    if not shown or len(shown) < len(result.claim.pairs) or max(len(each.rows) for each in shown) > len(COLOURS):
        return False
    figure, grid = pyplot.subplots(1, len(shown), figsize=(_WIDTH, _HEIGHT), squeeze=False, sharey=True)
    low, high = _limits(shown)
    words: set[Word] = set()
    for pair, (axes, each) in enumerate(zip(grid[0], shown)):
        axes.axhspan(_per_cent(1 / (1 + margin)), _per_cent(1 + margin), color="0.88", zorder=0)
        axes.axhline(0, color="0.4", linewidth=0.8, zorder=1)
        for number, row in enumerate(each.rows):
            shift = 0.16 * (number - (len(each.rows) - 1) / 2)
            known = _known(row, each.columns)
            _draw_row(axes, known, COLOURS[number], shift)
            words |= {entry.word for _, entry in known}
        axes.set_xticks(range(len(each.columns)), each.columns)
        axes.set_xlabel("tokens" if each.column == "seq_len" else each.column)
        axes.set_ylim(low, high)
        fast, slow = short_names(result.claim, pair)
        axes.set_title(f"{slow} takes longer than {fast} by ... %", fontsize=10)
        axes.tick_params(labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0][0].set_ylabel(f"per cent; grey: within {percent(margin)} %", fontsize=9)
    handles = [pyplot.Line2D([], [], color=COLOURS[n], linewidth=3, label=row.label) for n, row in enumerate(shown[0].rows)]
    handles += word_handles(words)
    figure.legend(
        handles=handles, loc="lower center", ncols=min(len(handles), 7), frameon=False, fontsize=9, columnspacing=1.2, handlelength=1.4
    )
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    save(figure, path)
    return True
