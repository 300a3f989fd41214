"""What a verdict says of each claim, in sentences; how sure that is; what disturbed the run. Without a layout."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Sequence

from analysis.estimate import looks
from analysis.judge.decisions import half_width
from analysis.judge.verdicts import ClaimResult, RunVerdict
from analysis.judge.words import Word
from analysis.read.plan import launch_seconds
from analysis.read.read_run import COUNT_METRICS, Run
from analysis.show.regime_map import claim_pairs_said, sentences
from analysis.show.verdict_phrases import MARKS, percent, short_names

_ORDER = tuple(MARKS)  # in which words are counted


@dataclass(frozen=True)
class Finding:
    """What is said of one claim."""

    result: ClaimResult
    summary: str  # 'ordering: OPEN. Regimes: 12 not resolved; 1 of 50 cells decided.'
    told: Sequence[tuple[str, Sequence[str]]]  # a pair of a chain ('sequence and head-wise'; else ''), its sentences


def counts_text(counts: Counter[Word]) -> str:
    """'3 faster, 1 not resolved of 4 voting cells, 2 without a vote'."""
    total = sum(count for word, count in counts.items() if word is not Word.NO_VOTE)
    if total == 0:
        return f"no cell votes ({counts[Word.NO_VOTE]} selected)"
    parts = [f"{counts[word]} {word}" for word in _ORDER if counts[word] and word is not Word.NO_VOTE]
    silent = f", {counts[Word.NO_VOTE]} without a vote" if counts[Word.NO_VOTE] else ""
    return f"{', '.join(parts)} of {total} voting cell{'s' if total != 1 else ''}{silent}"


def certainty(result: ClaimResult, verdict: RunVerdict) -> str:
    pairs = [p for cell in result.voting for p in cell.pairs.values() if p.estimate is not None]
    if not pairs:
        return "How sure: nothing voted."
    if result.claim.metric in COUNT_METRICS:
        return "How sure: counted, not timed; no noise."
    if all(pair.word is Word.ESTIMATE_ONLY for pair in pairs):
        return "How sure: not sure. One launch: intervals of 95 % hold for that launch only, and no word can be given."
    used = sorted({pair.launches for pair in pairs})
    launches = f"{used[0]}" if len(used) == 1 else f"{used[0]} to {used[-1]}"
    unresolved = sorted(half_width(p.estimate, p.level) for p in pairs if p.estimate and p.word is Word.NOT_RESOLVED)
    width = f" The widest interval that left a comparison open is +-{percent(unresolved[-1])} %." if unresolved else ""
    return (
        f"How sure: {launches} launch{'es' if used[-1] > 1 else ''} behind each comparison. The chance that any word below is "
        f"wrong is at most {percent(looks.FAMILY_ERROR)} %, over the {verdict.cells_schedule.comparisons} comparisons and "
        f"{len(verdict.looks)} look{'s' if len(verdict.looks) > 1 else ''} of this run; intervals are that wide.{width}"
    )


def answer(result: ClaimResult) -> str:
    """'ordering: OPEN, because ...'."""
    text = f"{result.claim.name}: {str(result.word).upper()}"
    return text + (f", because {result.reason}" if result.reason else "")


def findings(verdict: RunVerdict) -> list[Finding]:
    """Each claim's word and what to do about it. A pair that another claim has told is not told again."""
    told: set[tuple[str, ...]] = set()
    single = [result for result in verdict.claims if len(result.claim.pairs) == 1]
    for result in single:
        told |= claim_pairs_said(result.claim)
    found = []
    for result in verdict.claims:
        pairs = []
        for pair in range(len(result.claim.pairs)):
            where = tuple(f"{column}={','.join(values)}" for column, values in sorted(result.claim.where.items()))
            key = (result.claim.metric, result.claim.over, *result.claim.pairs[pair], *where)
            if result not in single and key in told:
                continue
            fast, slow = short_names(result.claim, pair)
            title = f"{fast} and {slow}" if len(result.claim.pairs) > 1 else ""
            pairs.append((title, sentences(result, pair, verdict.margin)))
        found.append(Finding(result, f"{answer(result)}. {regimes_text(result)}", pairs))
    return found


def regimes_text(result: ClaimResult) -> str:
    """'3 of 15 regimes not resolved; 41 of 50 cells decided.'"""
    voting = [regime for regime in result.regimes if regime.word is not Word.NO_VOTE]
    cells = f"{len(result.decided)} of {len(result.voting)} cells decided."
    if len(voting) < 2:
        return cells
    counts = Counter(regime.word for regime in voting)
    return f"Regimes: {', '.join(f'{counts[word]} {word}' for word in _ORDER if counts[word])}; {cells}"


def kept_share(run: Run) -> float | None:
    """Time of the samples over the wall time of the launches; None where that is not recorded of all of them."""
    seconds = launch_seconds(run.manifest)
    wall = sum(seconds.values())
    if wall == 0 or len(seconds) < len(run.manifest["launches"]):
        return None
    return sum(sample.metrics["time_s"] or 0.0 for rows in run.samples.values() for sample in rows if sample.status == "ok") / wall


def conditions(run: Run) -> str:
    """How much of the time was measured, and how often something took a core away from a sample, where it was recorded."""
    share = kept_share(run)
    return (f"Samples are {percent(share)} % of the wall time of the launches. " if share is not None else "") + _disturbed(run)


def _disturbed(run: Run) -> str:
    kept = [sample.metrics for rows in run.samples.values() for sample in rows if sample.metrics["steal_s"] is not None]
    if not kept:
        return "Not recorded: what the host or other processes took from the samples."
    stolen = sum(1 for m in kept if (m["steal_s"] or 0) > 0)
    switched = sum(1 for m in kept if (m["involuntary_switches"] or 0) > 0)
    skews = sorted((m["barrier_skew_s"] or 0) / m["time_s"] for m in kept if m["barrier_skew_s"] is not None and m["time_s"])
    middle = skews[len(skews) // 2] if skews else 0.0
    skew = f"; ranks left the barrier within {percent(max(middle, 0.001))} % of the time in the middle" if skews else ""
    return (
        f"Disturbed: {percent(stolen / len(kept))} % of the samples by other guests of the host (steal), "
        f"{percent(switched / len(kept))} % by a switch to another process{skew}."
    )
