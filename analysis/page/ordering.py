"""Figures about the claimed order: experiments/ordering.yaml, and its control aa.yaml."""

from __future__ import annotations

from collections import Counter
from typing import Sequence

from analysis.estimate.looks import FAMILY_ERROR
from analysis.judge.controls import ControlSummary
from analysis.judge.decisions import PairResult, half_width
from analysis.judge.regimes import factor_label
from analysis.judge.verdicts import ClaimResult, RunVerdict
from analysis.judge.words import IN_FAVOUR, ClaimWord, Word
from analysis.page.records import Record, Results, count, mask, model, precise_pair, span, table
from analysis.show.findings import counts_text
from analysis.show.regime_map import Entry, format_entry, make_map, sentences
from analysis.show.verdict_phrases import MARKS, by_how_much, inverse, percent, short_names

FIRST, SECOND, WHOLE = "sequence-over-headwise", "online-over-standard", "ordering"
_CONTRACTS = ("native", "replicated", "token_sharded")
_HARMFUL = (Word.SLOWER, Word.EQUAL)


def _pairs(result: ClaimResult, word: Word | None = None) -> list[PairResult]:
    """The comparisons of the voting cells; of one word if asked."""
    found = [pair for cell in result.voting for pair in cell.pairs.values() if pair.estimate is not None]
    return [pair for pair in found if word is None or pair.word is word]


def _place(pair: PairResult) -> str:
    factors = pair.comparison.factors
    return f"{model(factors)}, contract `{factors['contract']}`, {factors['seq_len']} tokens, {mask(factors)}"


def claims_table(record: Record) -> str:
    rows = []
    for result in record.judged.claims:
        order = " faster than ".join(f"`{name}`" for name in result.claim.order)
        rows.append([order, f"**{result.word}**", counts_text(result.counts)])
    return table(["claim", "verdict", "cells"], rows)


def map_table(result: ClaimResult) -> str:
    """Regimes in rows, lengths in columns."""
    shown = make_map(result, 0)
    together = any(row.whole is not None for row in shown.rows)
    header = ["regime", *(["together"] if together else []), *[factor_label(shown.column, value) for value in shown.columns]]
    rows = []
    for row in shown.rows:
        whole = [format_entry(row.whole)] if together else []
        rows.append([row.label, *whole, *[format_entry(row.entries.get(value)) for value in shown.columns]])
    return table(header, rows)


def _choice(entry: Entry | None, names: tuple[str, str]) -> str:
    if entry is None:
        return "not measured"
    fast, slow = names
    mixed = "\\*" if entry.mixed else ""
    if entry.word is Word.FASTER and entry.ends is not None:
        return f"{fast} {by_how_much(entry.ends)}{mixed}"
    if entry.word is Word.SLOWER and entry.ends is not None:
        return f"{slow} {by_how_much(inverse(entry.ends))}{mixed}"
    return {Word.EQUAL: "either", Word.DIFFERS: "differs"}.get(entry.word, "?") + mixed


def use_table(result: ClaimResult) -> str:
    """What is shown to be fastest, by regime, and by how much: a line per pair of the order."""
    maps = [make_map(result, pair) for pair in range(len(result.claim.pairs))]
    names = [short_names(result.claim, pair) for pair in range(len(maps))]
    columns = maps[0].columns
    rows = []
    for row in maps[0].rows:
        same = [next((other for other in each.rows if other.label == row.label), None) for each in maps]
        rows.append([
            f"`{row.label}`",
            *["<br>".join(_choice(one.entries.get(value) if one else None, name) for one, name in zip(same, names)) for value in columns],
        ])  # fmt: skip
    return table(["contract", *[factor_label(maps[0].column, value) for value in columns]], rows)


def findings(result: ClaimResult, margin: float) -> str:
    """The sentences of a claim, as a list."""
    return "\n".join(f"- {sentence}" for sentence in sentences(result, 0, margin)) or "- nothing voted"


def cells_table(result: ClaimResult) -> str:
    """A row per model, mask and length, a column per contract."""
    cells: dict[tuple[str, str, int], dict[str, str]] = {}
    for pair in _pairs(result):
        factors = pair.comparison.factors
        key = (model(factors), mask(factors), int(factors["seq_len"]))
        cells.setdefault(key, {})[factors["contract"]] = f"{precise_pair(pair)} {MARKS[pair.word]}"
    rows = [[*map(str, key), *[row.get(name, "") for name in _CONTRACTS]] for key, row in sorted(cells.items())]
    return table(["model", "mask", "tokens", *[f"`{name}`" for name in _CONTRACTS]], rows)


def whole_sentence(result: ClaimResult) -> str:
    """How the whole order stands, regime by regime."""
    answers = {
        ClaimWord.CONFIRMED: "confirmed", ClaimWord.REFUTED: "refuted", ClaimWord.DEPENDS: "true in some regimes and not in others",
        ClaimWord.OPEN: "not confirmed, and not refuted either",
    }  # fmt: skip
    words = Counter(regime.word for regime in result.regimes)
    known = sum(words[word] for word in words if word in IN_FAVOUR)
    against = sum(words[word] for word in (*_HARMFUL, Word.DIFFERS))
    left = len(result.regimes) - known - against
    unknown = f"; {left} {'is' if left == 1 else 'are'} not resolved" if left else ""
    return (
        f"{answers[result.word]}. Of {count(len(result.regimes), 'regime')} it is shown to hold in {known or 'none'} and not to "
        f"hold in {against or 'none'}{unknown}"
    )


def half_sentence(result: ClaimResult, margin: float, names: tuple[str, str] | None = None) -> str:
    """How one comparison of the order stands, regime by regime; of its two sides by these names, or their own."""
    words = Counter(regime.word for regime in result.regimes)
    phrases = ((Word.FASTER, "faster"), (Word.EQUAL, f"equal within {percent(margin)} %"), (Word.SLOWER, "slower"))
    parts = [f"{phrase} in {words[word]}" for word, phrase in phrases if words[word]]
    left = len(result.regimes) - sum(words[word] for word, _ in phrases)
    if left:
        parts.append(f"not resolved in {left}")
    fast, slow = names or (f"`{name}`" for name in result.claim.order)
    return f"{fast} beside {slow} is {', '.join(parts)} of {count(len(result.regimes), 'regime')}"


def decided(result: ClaimResult) -> str:
    """What a reader may take home from one claim: a sentence with the decided cells and their intervals."""
    faster, slower = _pairs(result, Word.FASTER), _pairs(result, Word.SLOWER)
    fast, slow = (f"`{name}`" for name in result.claim.order)
    total = len(result.voting)
    parts = []
    if faster:
        parts.append(f"{fast} is faster in {len(faster)} of {count(total, 'cell')}, where {slow} takes {_extremes(faster)} times as long")
    if slower:
        parts.append(f"{fast} is slower in {len(slower)} of {count(total, 'cell')}, where {slow} takes {_extremes(slower)} times as long")
    equal = result.counts[Word.EQUAL]
    if equal:
        parts.append(f"the two are equal in {equal}")
    left = total - len(faster) - len(slower) - equal
    if left:
        parts.append(f"{left} of {count(total, 'cell')} {'is' if left == 1 else 'are'} not resolved")
    return "; ".join(parts) + "."


def _extremes(pairs: Sequence[PairResult]) -> str:
    ordered = sorted(pairs, key=lambda pair: pair.ratio or 0.0)
    if len(ordered) == 1:
        return precise_pair(ordered[0])
    return f"{precise_pair(ordered[0])} to {precise_pair(ordered[-1])}"


def older_rule(first: ClaimResult, second: ClaimResult, margin: float) -> str:
    """What would have a word if a direction had to lie beyond the margin: counts of cells and regimes."""

    def words(intervals: Sequence[tuple[float, float] | None]) -> Counter[str]:
        known: Counter[str] = Counter()
        for low, high in (ends for ends in intervals if ends is not None):
            known["faster"] += low > 1 + margin
            known["slower"] += high < 1 / (1 + margin)
            known["equal"] += low >= 1 / (1 + margin) and high <= 1 + margin
        return known

    cells = [words([pair.interval for pair in _pairs(result)]) for result in (first, second)]
    regimes = words([regime.pairs[0].interval for regime in first.regimes if 0 in regime.pairs])
    ahead = f"sequence is ahead in {regimes['faster'] or 'none'} and behind in {regimes['slower'] or 'none'} of {count(len(first.regimes), 'regime')}"
    return (
        f"{sum(cells[0].values())} of {len(first.voting)} cells have a word about sequence and head-wise, "
        f"{sum(cells[1].values())} about the algorithms, and {ahead}"
    )


def decided_places(result: ClaimResult) -> str:
    """A list of the cells that are decided against the claim."""
    pairs = _pairs(result, Word.SLOWER)
    return "\n".join(f"- {_place(pair)}: {precise_pair(pair)}" for pair in pairs) or "- none"


def widths(result: ClaimResult) -> str:
    """How far the ends of the middle cell's interval lie from its centre, in per cent."""
    ordered = sorted(half_width(pair.estimate, pair.level) for pair in _pairs(result) if pair.estimate is not None)
    return f"{percent(ordered[len(ordered) // 2])} %"


def controls(found: ControlSummary) -> str:
    """What equal code showed: one sentence."""
    if not found.count:
        return "no pair of equal code was measured"
    low, high = (f"{100 * bias:+.2f} %" for bias in (found.biases[0], found.biases[-1]))
    return (
        f"{count(found.count, 'pair')} of equal code, {len(found.copies) or 'none'} of them at the ranks of the claims, "
        f"{len(found.failed) or 'none'} declared different; they differ by {low} to {high}, with a standard deviation of "
        f"{100 * found.spread:.2f} %"
    )


def same_code(verdict: RunVerdict, ranks: str) -> str:
    """The comparisons of aa.yaml, whose claims are about equal code, on so many ranks: one sentence."""
    pairs = [pair for result in verdict.claims for cell in result.cells for pair in cell.pairs.values()]
    chosen = [pair for pair in pairs if pair.comparison.factors.get("ranks") == ranks and pair.ratio is not None]
    if not chosen:
        return "nothing was measured"
    ordered = sorted(chosen, key=lambda pair: pair.ratio or 0.0)
    voting: Counter[Word] = Counter(pair.word for pair in chosen if pair.word is not Word.NO_VOTE)
    words = ", ".join(f"{voting[word]} {word}" for word in MARKS if voting[word])
    return f"{count(len(chosen), 'ratio')} from {precise_pair(ordered[0])} to {precise_pair(ordered[-1])}" + (f" ({words})" if words else "")


def values(results: Results) -> dict[str, str]:
    record, aa = results.record("ordering"), results.record("aa")
    verdict = record.judged
    whole, first, second = (verdict.claim(name) for name in (WHOLE, FIRST, SECOND))
    lengths = [int(case.factors["seq_len"]) for case in record.run.cases]
    return {
        "ordering.cells": str(len(whole.voting)),
        "ordering.launches": str(record.launches),
        "ordering.looks": ", ".join(map(str, verdict.looks)),
        "ordering.comparisons": str(verdict.cells_schedule.comparisons),
        "ordering.rounds": record.rounds,
        "ordering.lengths": f"{min(lengths)} to {max(lengths)}",
        "ordering.whole": whole_sentence(whole),
        "ordering.first_half": half_sentence(first, verdict.margin),
        "ordering.second_half": half_sentence(second, verdict.margin),
        "ordering.first_decided": decided(first),
        "ordering.second_decided": decided(second),
        "ordering.first_findings": findings(first, verdict.margin),
        "ordering.second_findings": findings(second, verdict.margin),
        "ordering.first_against": decided_places(first),
        "ordering.use_table": use_table(whole),
        "ordering.older_rule": older_rule(first, second, verdict.margin),
        "ordering.claims_table": claims_table(record),
        "ordering.first_map": map_table(first),
        "ordering.second_map": map_table(second),
        "ordering.first_table": cells_table(first),
        "ordering.second_table": cells_table(second),
        "ordering.first_width": widths(first),
        "ordering.second_width": widths(second),
        "ordering.controls": controls(verdict.controls),
        "ordering.margin": f"{percent(verdict.margin)} %",
        "ordering.error": f"{percent(FAMILY_ERROR)} %",
        "ordering.largest_error": f"{max(case.counts['rel_l2_err'] or 0.0 for case in record.run.cases):.1e}",
        "aa.launches": str(aa.launches),
        "aa.lengths": span(int(case.factors["seq_len"]) for case in aa.run.cases),
        "aa.controls": controls(aa.judged.controls),
        "aa.two_ranks": same_code(aa.judged, "2"),
    }
