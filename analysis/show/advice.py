"""Which variant to use in a cell, by what is shown there, and the evidence. No word is stronger than those it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from analysis.judge.decisions import PairResult
from analysis.judge.words import Word
from analysis.show.verdict_phrases import format_interval, percent, phrase

UNKNOWN = "not resolved"


@dataclass(frozen=True)
class Advice:
    use: Sequence[str]  # the fastest shown; several that are shown to be equal; none where it is not resolved
    text: str
    evidence: Sequence[str]
    votes: bool = True  # whether any comparison has a vote


def _beaten_by(results: Sequence[PairResult]) -> set[str]:
    beaten = set()
    for result in results:
        fast, slow = result.comparison.variants
        if result.word is Word.FASTER:
            beaten.add(slow)
        elif result.word is Word.SLOWER:
            beaten.add(fast)
    return beaten


def _evidence(result: PairResult, margin: float) -> str:
    fast, slow = result.comparison.variants
    said = phrase(result.word, (fast, slow), result.ratio, result.interval, margin)
    numbers = format_interval(result.ratio, result.interval)
    launches = f"{result.launches} launch{'es' if result.launches != 1 else ''}"
    why = f": {result.reason}" if result.word is Word.NO_VOTE and result.reason else ""
    return f"{slow} over {fast}: {numbers}, {launches}; {said}{why}"


def advise(results: Sequence[PairResult], margin: float) -> Advice:
    """`results`: what one cell shows of pairs of variants by time."""
    evidence = [_evidence(result, margin) for result in results]
    variants = list(dict.fromkeys(name for result in results for name in result.comparison.variants))
    beaten = _beaten_by(results)
    left = [name for name in variants if name not in beaten]
    equal = {frozenset(result.comparison.variants) for result in results if result.word is Word.EQUAL}
    if len(left) == 1:
        return Advice(left, f"{left[0]} is the fastest shown of {len(variants)}.", evidence)
    if len(left) > 1 and all(frozenset((a, b)) in equal for i, a in enumerate(left) for b in left[i + 1 :]):
        return Advice(left, f"{' or '.join(left)}: shown to be equal within {percent(margin)} %.", evidence)
    words = {result.word for result in results}
    if words == {Word.ESTIMATE_ONLY}:
        return Advice((), f"{UNKNOWN}: one launch gives estimates only.", evidence)
    if words == {Word.NO_VOTE}:
        return Advice((), f"{UNKNOWN}: no comparison has a vote here.", evidence, False)
    out = [name for name in variants if name in beaten]
    ruled = f"; shown not to be the fastest: {', '.join(out)}" if out and left else ""
    return Advice((), f"{UNKNOWN}{ruled}.", evidence)
