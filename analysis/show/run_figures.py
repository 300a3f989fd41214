"""Draws a run: ratios with their intervals, and efficiency under the hardware's limit.

Points carry their 95 % intervals; lines run along sequence length only, where what lies between two points is meaningful.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Collection, Mapping, Sequence

from matplotlib import pyplot

from analysis.judge.claims import Claim
from analysis.judge.verdicts import ClaimResult, RunVerdict
from analysis.judge.words import DECIDED, Word
from analysis.read.read_run import Run
from analysis.read.whole_file import make_directory
from analysis.show.figure_panels import Panels, Point, efficiency_panels, ratio_panels
from analysis.show.figure_style import COLOURS, MARKERS, save, style, word_handles
from analysis.show.regime_figure import draw_regimes
from analysis.show.verdict_phrases import percent


def _colours(panels: Sequence[Panels]) -> dict[str, str]:
    names = list(dict.fromkeys(name for each in panels for series in each.values() for name in series))
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def _draw_series(axes: Any, series: Mapping[str, Sequence[Point]], colours: Mapping[str, str], marked: bool) -> None:
    for name, points in series.items():
        # Side by side, so that intervals do not hide each other; a few per cent of an octave do not mislead.
        shift = 2 ** (0.06 * (list(colours).index(name) - (len(colours) - 1) / 2))
        x, y = [p.x * shift for p in points], [p.y for p in points]
        errors = [[p.y - p.low for p in points], [p.high - p.y for p in points]]
        axes.errorbar(x, y, yerr=errors, color=colours[name], linewidth=0.8, capsize=2, elinewidth=1, label=name or None)
        for point in points:
            filled = point.word in DECIDED
            marker = MARKERS[point.word] if marked else "o"
            face = colours[name] if filled else "white"
            axes.plot(point.x * shift, point.y, marker=marker, markersize=5, color=colours[name], markerfacecolor=face, zorder=3)


def _length_axis(axes: Any, panels: Sequence[Panels]) -> None:
    lengths = sorted({p.x for each in panels for s in each.values() for points in s.values() for p in points})
    axes.set_xscale("log", base=2)
    axes.set_xticks(lengths, [f"{length:.0f}" for length in lengths])
    axes.minorticks_off()
    axes.set_xlabel("sequence length [tokens]")


def _legend(figure: Any, colours: Mapping[str, str], words: Collection[Word]) -> None:
    handles = [pyplot.Line2D([], [], color=colour, label=name) for name, colour in colours.items() if name]
    handles += word_handles(words)
    columns = 4 if figure.get_size_inches()[0] > 8 else 2
    height = 0.2 * math.ceil(len(handles) / columns) / figure.get_size_inches()[1]
    if handles:
        figure.legend(handles=handles, loc="lower center", ncols=columns, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, height + 0.01, 1, 1))


def _make_figure(rows: int, columns: int) -> tuple[Any, Any]:
    size = (max(6.4, 3.2 * columns), 2.5 * rows + 1.2)
    figure, grid = pyplot.subplots(rows, columns, figsize=size, squeeze=False, sharex=True)
    return figure, grid


def draw_ratios(result: ClaimResult, margin: float, path: Path) -> bool:
    """False if there is nothing to draw."""
    claim: Claim = result.claim
    rows = [ratio_panels(result, pair) for pair in range(len(claim.pairs))]
    titles = list(dict.fromkeys(title for panels in rows for title in panels))
    if not titles:
        return False
    colours = _colours(rows)
    figure, grid = _make_figure(len(rows), len(titles))
    for row, (panels, (fast, slow)) in enumerate(zip(rows, claim.pairs)):
        for column, title in enumerate(titles):
            axes = grid[row][column]
            axes.axhspan(1 / (1 + margin), 1 + margin, color="0.88", zorder=0)
            axes.axhline(1.0, color="0.4", linewidth=0.8, zorder=1)
            _draw_series(axes, panels.get(title, {}), colours, marked=True)
            _length_axis(axes, rows)
            axes.set_title(title, fontsize=9)
            axes.set_xlabel("sequence length [tokens]" if row == len(rows) - 1 else "")
        # One scale per pair, so that panels can be compared.
        limits = [axes.get_ylim() for axes in grid[row]]
        for axes in grid[row]:
            axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        grid[row][0].set_ylabel(f"{claim.metric} of\n{slow} /\n{fast}", fontsize=8)
    figure.suptitle(f"{claim.name}: {result.word}. Above 1 speaks for the claim; grey: within {percent(margin)} %", fontsize=10)
    drawn = {p.word for panels in rows for series in panels.values() for points in series.values() for p in points}
    _legend(figure, colours, drawn)
    save(figure, path)
    return True


def draw_efficiency(run: Run, contract: str, path: Path) -> bool:
    """False if there is nothing to draw."""
    panels = efficiency_panels(run.cases, contract)
    if not panels:
        return False
    colours = _colours([panels])
    columns = min(4 if len(panels) > 6 else 3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure, grid = _make_figure(rows, columns)
    for index, axes in enumerate(grid.flat):
        if index >= len(panels):
            axes.axis("off")
            continue
        title = list(panels)[index]
        axes.axhline(100, color="black", linewidth=1.5)
        _draw_series(axes, panels[title], colours, marked=False)
        _length_axis(axes, [panels])
        axes.set_title(title, fontsize=9)
        axes.set_ylim(0, 108)
        lowest = index + columns >= len(panels)
        axes.tick_params(labelbottom=lowest)
        axes.set_xlabel("sequence length [tokens]" if lowest else "")
    for row in grid:
        row[0].set_ylabel("% of FMA peak", fontsize=8)
    peaks = sorted({f"{case.peak_gflops:.0f}" for case in run.cases if case.peak_gflops}, key=float)
    limit = " to ".join(dict.fromkeys([peaks[0], peaks[-1]])) + " GFLOP/s" if peaks else "not measured"
    figure.suptitle(f"{contract}: efficiency; black line: FMA peak measured beside each case, {limit}", fontsize=10)
    _legend(figure, colours, [])
    save(figure, path)
    return True


def draw_run(run: Run, verdict: RunVerdict, directory: Path, suffix: str) -> list[Path]:
    """Draws everything; returns the files written."""
    make_directory(directory)
    with style():
        return _draw(run, verdict, directory, suffix)


def _file_name(kind: str, name: str, suffix: str) -> str:
    """Of letters that are safe in every path, and no longer than a file system takes."""
    return f"{kind}_{re.sub(r'[^A-Za-z0-9-]+', '_', name)[:100]}.{suffix}"


def _draw(run: Run, verdict: RunVerdict, directory: Path, suffix: str) -> list[Path]:
    written = []
    for result in verdict.claims:
        path = directory / _file_name("ratios", result.claim.name, suffix)
        if draw_ratios(result, verdict.margin, path):
            written.append(path)
        path = directory / _file_name("regimes", result.claim.name, suffix)
        if draw_regimes(result, verdict.margin, path):
            written.append(path)
    for contract in dict.fromkeys(case.factors["contract"] for case in run.cases):
        path = directory / _file_name("efficiency", contract, suffix)
        if draw_efficiency(run, contract, path):
            written.append(path)
    return written
