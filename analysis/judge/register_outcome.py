"""From words on regimes and cells to the verdict on a claim of the original study, with its reason and its figure."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from typing import Callable, Mapping, Sequence

from analysis.estimate.looks import REGIMES_ERROR, Schedule
from analysis.judge.claims import Claim
from analysis.judge.decisions import PairResult, decide_pooled
from analysis.judge.register_entry import Outcome, RegisterWord
from analysis.judge.regimes import CellResult, RegimeResult, factor_label
from analysis.judge.verdicts import ClaimResult, RunVerdict
from analysis.judge.words import AGAINST, DECIDED, IN_FAVOUR, ClaimWord, Word, combine_pairs, combine_regimes
from analysis.read.read_run import CELL_FACTORS

Worst = Callable[[Sequence[float]], float]
# What a reader is told first of where a claim holds.
_TELLING = ("link", "phase", "kv_heads", "contract", "seq_len", "mask", "isa", "threads", "dtype", "algorithm", "variant", "model")
_MOST_PLACES = 4


@dataclass(frozen=True)
class Part:
    """A place with a word of its own: a regime of what is timed, a cell of what is counted."""

    factors: Mapping[str, str]
    word: Word
    ratios: tuple[float, ...]  # of its cells


@dataclass(frozen=True)
class Figure:
    centre: float
    low: float | None = None
    high: float | None = None


@dataclass
class Evidence:
    """Of one or several runs, before there is a verdict."""

    exact: bool  # counted, without noise
    parts: list[Part] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    cells: Counter[Word] = field(default_factory=Counter)
    launches: list[int] = field(default_factory=list)
    broken: str = ""  # why nothing of it can stand


def smallest(ratios: Sequence[float]) -> float:
    """An order is as strong as its weakest step."""
    return min(ratios)


def farthest_from_one(ratios: Sequence[float]) -> float:
    """A spread is as wide as its widest pair."""
    return max(ratios, key=lambda ratio: abs(math.log(ratio)))


def _bounded(value: float) -> float | None:
    return value if math.isfinite(value) and value > 0 else None


def pooled_figure(results: Sequence[PairResult], claim: Claim, schedule: Schedule, margin: float) -> Figure | None:
    """One ratio for all these cells: their mean by launch as regimes pool it, with its interval; of one cell, its own.

    Cells whose launches cannot be pooled have the mean of their logarithms, without an interval. What is counted has its
    smallest cell, between that and the largest.
    """
    rated = [(result, result.ratio) for result in results if result.ratio is not None and _bounded(result.ratio)]
    if not rated:
        return None
    ratios = [ratio for _, ratio in rated]
    if all(result.values is None for result, _ in rated):
        return Figure(min(ratios), min(ratios), max(ratios))
    one = rated[0][0] if len(rated) == 1 else decide_pooled([result for result, _ in rated], claim, schedule, margin)
    if one is None or one.ratio is None or one.interval is None or one.launches < 2:
        return Figure(math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios)))
    return Figure(one.ratio, _bounded(one.interval[0]), _bounded(one.interval[1]))


def _cell_ratios(cells: Sequence[CellResult], worst: Worst) -> tuple[float, ...]:
    found = []
    for cell in cells:
        ratios = [pair.ratio for pair in cell.pairs.values() if pair.ratio is not None and _bounded(pair.ratio)]
        if ratios:
            found.append(worst(ratios))
    return tuple(found)


def _parts(regime: RegimeResult, exact: bool, worst: Worst, link: str) -> list[Part]:
    place = {"link": link} if link else {}
    if not exact and regime.word is not Word.DIFFERS:
        return [Part({**regime.factors, **place}, regime.word, _cell_ratios(regime.cells, worst))]
    return [Part({**cell.factors, **place}, cell.word, _cell_ratios([cell], worst)) for cell in regime.cells]


def gather(
    evidence: Evidence, verdict: RunVerdict, chosen: Sequence[tuple[ClaimResult, Sequence[RegimeResult]]], link: str, worst: Worst
) -> None:
    """Adds what a run says of these regimes of its claims."""
    figures: list[Figure] = []
    parts: list[Part] = []
    steps = sum(len(result.claim.pairs) for result, _ in chosen)
    schedule = Schedule(verdict.looks, steps, REGIMES_ERROR)
    for result, regimes in chosen:
        for regime in regimes:
            parts += _parts(regime, evidence.exact, worst, link)
            evidence.cells += Counter(cell.word for cell in regime.cells)
        for pair in range(len(result.claim.pairs)):
            members = [cell.pairs[pair] for regime in regimes for cell in regime.cells if pair in cell.pairs]
            voting = [member for member in members if member.word is not Word.NO_VOTE]
            figure = pooled_figure(voting, result.claim, schedule, verdict.margin)
            figures += [figure] if figure else []
    evidence.parts += _merged(parts)
    if figures:
        evidence.figures.append(_worst_figure(figures, worst))
    evidence.launches.append(verdict.launches)
    failed = verdict.controls.failed
    if failed and not evidence.exact:
        evidence.broken = f"the A/A control fails: {len(failed)} of {verdict.controls.count} pairs of equal code differ"


def _merged(parts: Sequence[Part]) -> list[Part]:
    """One part for each place: where several claims speak of one, all of them have to hold there."""
    places: dict[tuple[tuple[str, str], ...], list[Part]] = {}
    for part in parts:
        key = tuple(sorted((name, value) for name, value in part.factors.items() if name in (*CELL_FACTORS, "variant", "link")))
        places.setdefault(key, []).append(part)
    return [
        Part(same[0].factors, combine_pairs([part.word for part in same]), tuple(ratio for part in same for ratio in part.ratios))
        for same in places.values()
    ]


def _worst_figure(figures: Sequence[Figure], worst: Worst) -> Figure:
    wanted = worst([figure.centre for figure in figures])
    return next(figure for figure in figures if figure.centre == wanted)


def _range(parts: Sequence[Part]) -> str:
    ratios = [ratio for part in parts for ratio in part.ratios]
    if not ratios:
        return "no ratio"
    low, high = f"{min(ratios):.3g}", f"{max(ratios):.3g}"
    return low if low == high else f"{low} to {high}"


def _label(name: str, value: str) -> str:
    words = {"kv_heads": f"{value} KV head{'' if value == '1' else 's'}", "link": f"link {value}"}
    return words.get(name) or factor_label(name, value)


def _by_value(values: Sequence[str]) -> tuple[tuple[int, str], ...]:
    """Numbers in their order, before words in theirs."""
    return tuple((int(value), "") if value.isdigit() else (1 << 62, value) for value in values)


def _places(wanted: Sequence[Part], others: Sequence[Part]) -> str:
    """The fewest factors that tell `wanted` from `others`, in words."""
    there = [name for name in _TELLING if len({part.factors.get(name, "") for part in (*wanted, *others)}) > 1]
    for count in range(1, len(there) + 1):
        for names in combinations(there, count):
            inside = sorted({tuple(part.factors.get(name, "-") for name in names) for part in wanted}, key=_by_value)
            if not any(tuple(part.factors.get(name, "-") for name in names) in inside for part in others):
                texts = [", ".join(_label(name, value) for name, value in zip(names, values)) for values in inside]
                more = f" and {len(texts) - _MOST_PLACES} more" if len(texts) > _MOST_PLACES else ""
                return "; ".join(texts[:_MOST_PLACES]) + more
    return f"{len(wanted)} of {len(wanted) + len(others)} places"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def outcome_of(evidence: Evidence, worst: Worst = smallest) -> Outcome:
    """The verdict, its reason and its figure."""
    votes = [part for part in evidence.parts if part.word is not Word.NO_VOTE]
    noun = "cell" if evidence.exact else "regime"
    if not votes:
        return Outcome(RegisterWord.NOT_RESOLVED, "no cell votes")
    figure = _worst_figure(evidence.figures, worst) if evidence.figures else None
    spread = f"{_range(votes)} in {_count(sum(evidence.cells.values()) or len(votes), 'cell')}"
    if not evidence.exact and min(evidence.launches) < 2:
        return Outcome(RegisterWord.ESTIMATE_ONLY, f"one launch gives no verdict; {spread}", figure.centre if figure else None)
    centre, low, high = (figure.centre, figure.low, figure.high) if figure else (None, None, None)
    if evidence.broken:
        return Outcome(RegisterWord.NOT_RESOLVED, evidence.broken, centre, low, high)
    word = combine_regimes([part.word for part in votes])
    favour, against = ([part for part in votes if part.word in side] for side in (IN_FAVOUR, AGAINST))
    rest = len(votes) - len(favour) - len(against)
    exact = "counted, " if evidence.exact else ""
    alone = _alone(evidence)
    if word is ClaimWord.CONFIRMED:
        return Outcome(RegisterWord.REPRODUCED, f"{exact}{spread}{alone}", centre, low, high, evidence.exact)
    if word is ClaimWord.REFUTED:
        split = f"; against it in {len(against)} of {_count(len(votes), noun)}" if rest else ""
        return Outcome(RegisterWord.NOT_REPRODUCED, f"{exact}{spread}{split}{alone}", centre, low, high, evidence.exact)
    if word is ClaimWord.DEPENDS:
        others = [part for part in votes if part.word not in IN_FAVOUR]
        tail = f", {_count(rest, noun)} not resolved" if rest else ""
        reason = f"{_places(favour, others)} ({exact}{_range(favour)} there, {_range(others)} elsewhere{tail})"
        return Outcome(RegisterWord.ONLY_WHERE, reason)
    return Outcome(RegisterWord.NOT_RESOLVED, f"{spread}{alone}", centre, low, high, evidence.exact)


def _alone(evidence: Evidence) -> str:
    """What the cells say each by itself, where that is more than the verdict."""
    counts = {word: number for word, number in evidence.cells.items() if word is not Word.NO_VOTE}
    if evidence.exact or sum(counts.values()) < 2:
        return ""
    order = sorted(counts, key=lambda word: (word not in DECIDED, word.value))
    return "; each by itself: " + ", ".join(f"{counts[word]} {word}" for word in order)
