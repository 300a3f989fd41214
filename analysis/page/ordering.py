"""Figures about the claimed order: experiments/ordering.yaml, and its control aa.yaml."""

from __future__ import annotations

from collections import Counter
from typing import Sequence

from analysis.estimate import paired_statistics as stats
from analysis.estimate.paired_statistics import Interval
from analysis.judge.verdicts import ClaimResult, PairResult, Verdict
from analysis.page.records import Record, Results, count, mask, model, precise, span, table
from analysis.show.verdict_tables import MARKS, counts_text

FIRST, SECOND, WHOLE = "sequence-over-headwise", "online-over-standard", "ordering"
_CONTRACTS = ("native", "replicated", "token_sharded")


def interval_of(pair: PairResult) -> Interval | None:
    return None if pair.estimate is None else stats.interval_of(pair.estimate)


def _pairs(result: ClaimResult, verdict: Verdict | None = None) -> list[tuple[PairResult, Interval]]:
    """The only pair of each voting cell, with its interval; of one verdict if asked."""
    found = []
    for cell in result.voting:
        for pair in cell.pairs.values():
            interval = interval_of(pair)
            if interval is not None and (verdict is None or pair.verdict is verdict):
                found.append((pair, interval))
    return found


def _place(pair: PairResult) -> str:
    factors = pair.comparison.factors
    return f"{model(factors)}, contract `{factors['contract']}`, {factors['seq_len']} tokens, {mask(factors)}"


def claims_table(record: Record) -> str:
    rows = []
    for result in record.judged:
        order = " faster than ".join(f"`{name}`" for name in result.claim.order)
        rows.append([order, f"**{result.verdict}**", counts_text(result.counts)])
    return table(["claim", "verdict", "cells"], rows)


def cells_table(result: ClaimResult) -> str:
    """A row per model, mask and length, a column per contract."""
    cells: dict[tuple[str, str, int], dict[str, str]] = {}
    for pair, interval in _pairs(result):
        factors = pair.comparison.factors
        key = (model(factors), mask(factors), int(factors["seq_len"]))
        cells.setdefault(key, {})[factors["contract"]] = f"{precise(interval)} {MARKS[pair.verdict]}"
    rows = [[*map(str, key), *[row.get(name, "") for name in _CONTRACTS]] for key, row in sorted(cells.items())]
    return table(["model", "mask", "tokens", *[f"`{name}`" for name in _CONTRACTS]], rows)


def whole_sentence(result: ClaimResult) -> str:
    """How the cells of the whole order stand."""
    counts = result.counts
    answer = {Verdict.HOLDS: "confirmed", Verdict.CONTRADICTED: "contradicted", Verdict.EQUIVALENT: "contradicted"}
    parts = [
        f"{words} in {counts[verdict] or 'none'}"
        for verdict, words in ((Verdict.HOLDS, "confirmed"), (Verdict.CONTRADICTED, "contradicted"))
    ]
    rest = [f"{verdict} in {counts[verdict]}" for verdict in (Verdict.EQUIVALENT, Verdict.UNDECIDED) if counts[verdict]]
    return f"{answer.get(result.verdict, 'not confirmed')}. Of {count(len(result.voting), 'cell')} it is " + ", ".join([*parts, *rest])


def decided(result: ClaimResult) -> str:
    """What a reader may take home from one claim: a sentence with the decided cells and their intervals."""
    holds = [interval for _, interval in _pairs(result, Verdict.HOLDS)]
    against = [_inverse(interval) for _, interval in _pairs(result, Verdict.CONTRADICTED)]
    fast, slow = (f"`{name}`" for name in result.claim.order)
    total = len(result.voting)
    parts = []
    if holds:
        parts.append(f"{fast} is faster in {len(holds)} of {count(total, 'cell')}, where {slow} takes {_extremes(holds)} times as long")
    if against:
        parts.append(f"{fast} is slower in {len(against)} of {count(total, 'cell')}, where it takes {_extremes(against)} times as long")
    equal = result.counts[Verdict.EQUIVALENT]
    if equal:
        parts.append(f"the two are equivalent in {equal}")
    left = total - len(holds) - len(against) - equal
    if left:
        parts.append(f"{left} {'is' if left == 1 else 'are'} undecided")
    return "; ".join(parts) + "."


def _inverse(interval: Interval) -> Interval:
    """Of the ratio the other way up."""
    return Interval(1 / interval.high, 1 / interval.centre, 1 / interval.low)


def _extremes(intervals: Sequence[Interval]) -> str:
    ordered = sorted(intervals, key=lambda interval: interval.centre)
    if len(ordered) == 1:
        return precise(ordered[0])
    return f"{precise(ordered[0])} to {precise(ordered[-1])}"


def decided_places(result: ClaimResult) -> str:
    """A list of the cells that contradict."""
    pairs = _pairs(result, Verdict.CONTRADICTED)
    return "\n".join(f"- {_place(pair)}: {precise(interval)}" for pair, interval in pairs) or "- none"


def widths(result: ClaimResult) -> str:
    """How far the ends of the middle cell's interval lie from its centre, in per cent."""
    ordered = sorted((high_low(interval) for _, interval in _pairs(result)))
    return f"{100 * ordered[len(ordered) // 2]:.1f} %"


def high_low(interval: Interval) -> float:
    """Half the width, relative to the centre."""
    return (interval.high - interval.low) / 2 / interval.centre


def controls(results: Sequence[ClaimResult], ranks: str) -> str:
    """The same code under two names, on so many ranks: one sentence."""
    pairs = [pair for result in results for cell in result.cells for pair in cell.pairs.values()]
    chosen = [(p, i) for p in pairs if p.comparison.factors.get("ranks") == ranks and (i := interval_of(p)) is not None]
    intervals = sorted((interval for _, interval in chosen), key=lambda interval: interval.centre)
    including = sum(1 for interval in intervals if interval.low <= 1 <= interval.high)
    words = ", ".join(
        f"{number} {verdict}" for verdict, number in Counter(pair.verdict for pair, _ in chosen).items() if verdict is not Verdict.NO_VOTE
    )
    return (
        f"{including} of {len(intervals)} intervals include 1, from {precise(intervals[0])} to {precise(intervals[-1])}"
        + (f" ({words})" if words else "")
    )


def values(results: Results) -> dict[str, str]:
    record, aa = results.record("ordering"), results.record("aa")
    whole, first, second = (record.claim(name) for name in (WHOLE, FIRST, SECOND))
    lengths = [int(case.factors["seq_len"]) for case in record.run.cases]
    own = [interval for pair in whole.controls.results if (interval := interval_of(pair)) is not None]
    return {
        "ordering.cells": str(len(whole.voting)),
        "ordering.launches": str(record.launches),
        "ordering.rounds": record.rounds,
        "ordering.lengths": f"{min(lengths)} to {max(lengths)}",
        "ordering.whole": whole_sentence(whole),
        "ordering.first_decided": decided(first),
        "ordering.second_decided": decided(second),
        "ordering.first_contradicted": decided_places(first),
        "ordering.claims_table": claims_table(record),
        "ordering.first_table": cells_table(first),
        "ordering.second_table": cells_table(second),
        "ordering.first_width": widths(first),
        "ordering.second_width": widths(second),
        "ordering.controls": f"{sum(1 for i in own if i.low <= 1 <= i.high)} of {len(own)}",
        "ordering.margin": f"{100 * stats.MARGIN:g} %",
        "ordering.confidence": f"{100 * (1 - 2 * stats.ONE_SIDED_ERROR):g} %",
        "ordering.largest_error": f"{max(case.counts['rel_l2_err'] or 0.0 for case in record.run.cases):.1e}",
        "aa.launches": str(aa.launches),
        "aa.lengths": span(int(case.factors["seq_len"]) for case in aa.run.cases),
        "aa.one_rank": controls(aa.judged, "1"),
        "aa.two_ranks": controls(aa.judged, "2"),
    }
