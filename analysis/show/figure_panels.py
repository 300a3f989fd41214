"""The data of a run's figures: ratios with their intervals, and efficiency under the hardware's limit, by length.

Apart from what draws them, so that a page can show the same points without matplotlib.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Mapping, Sequence

from analysis.judge.regimes import choose_regimes, regime_label
from analysis.judge.verdicts import ClaimResult
from analysis.judge.words import Word
from analysis.read.read_run import Case


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    low: float
    high: float
    word: Word = Word.FASTER


Panels = Mapping[str, Mapping[str, Sequence[Point]]]  # panel title -> series -> points in order of x


def ratio_panels(result: ClaimResult, pair: int) -> Panels:
    """One panel per contract (or the first factor that varies), one series per remaining regime."""
    regimes, _ = choose_regimes(result.voting, None)
    facet = "contract" if "contract" in regimes else (regimes[0] if regimes else "")
    rest = [name for name in regimes if name != facet]
    panels: dict[str, dict[str, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for cell in result.voting:
        found = cell.pairs.get(pair)
        if found is None or found.ratio is None or found.interval is None or "seq_len" not in cell.factors:
            continue
        low, high = found.interval
        if low <= 0 or not math.isfinite(high):
            continue  # an interval without an end cannot be drawn; the table lists it
        point = Point(float(cell.factors["seq_len"]), found.ratio, low, high, found.word)
        title = regime_label(cell.factors, [facet] if facet else [])
        panels[title][regime_label(cell.factors, rest) if rest else ""].append(point)
    return _sorted(panels)


def efficiency_panels(cases: Sequence[Case], contract: str) -> Panels:
    """Per cent of the FMA peak: a panel per model, mask, ranks, threads and ISA, a series per variant."""
    usable = [case for case in cases if case.status == "ok" and not case.duplicate_of]
    chosen = [case for case in usable if case.factors["contract"] == contract]
    names = ("model", "scope", "phase", "isa", "dtype", "causal", "ranks", "threads", "cache", "data", "batch")
    varying = [name for name in names if len({case.factors[name] for case in chosen}) > 1]
    values: dict[tuple[str, str, float], list[Case]] = defaultdict(list)
    for case in chosen:
        key = (regime_label(case.factors, varying), case.variant, float(case.factors["seq_len"]))
        values[key].append(case)
    panels: dict[str, dict[str, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for (title, variant, length), launches in values.items():
        point = _efficiency_point(length, launches)
        if point is not None:
            panels[title][variant].append(point)
    return _sorted(panels)


def _efficiency_point(length: float, launches: Sequence[Case]) -> Point | None:
    """The median launch, with the interval of its time as its interval."""
    known = sorted((c for c in launches if c.efficiency is not None), key=lambda c: c.efficiency or 0.0)
    if not known:
        return None
    middle = known[len(known) // 2]
    efficiency = middle.efficiency or 0.0
    spread = [c.efficiency or 0.0 for c in known]
    fast, slow = middle.relative_interval
    return Point(length, efficiency, min(efficiency / slow, *spread, efficiency), max(efficiency / fast, *spread, efficiency))


def _sorted(panels: Mapping[str, Mapping[str, list[Point]]]) -> Panels:
    return {
        title: {name: sorted(points, key=lambda p: p.x) for name, points in series.items()}
        for title, series in panels.items()
    }
