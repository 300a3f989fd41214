"""Figures about blocks and whole models: experiments/qwen3_block.yaml, qwen3_model.yaml and decode.yaml."""

from __future__ import annotations

import math
from typing import Sequence

from analysis.estimate import paired_statistics as stats
from analysis.estimate.paired_statistics import Interval
from analysis.estimate.rooflines import ORIGINAL_TOKENS, ORIGINAL_TWO_RANKS, Roofline, is_shown, read_rooflines
from analysis.estimate.trimmed_mean import TrimmedEstimate
from analysis.judge.verdicts import ClaimResult
from analysis.page.records import Record, Results, model, precise_pair, span, table
from analysis.read.read_run import Case
from analysis.show.regime_map import sentences
from analysis.show.verdict_phrases import MARKS, short_names

Launches = list[tuple[Case, Roofline]]  # of one case


def _by_case(record: Record) -> list[Launches]:
    """The launches of each case, in the order of the run."""
    cases = [case for case in record.run.cases if is_shown(case)]
    groups: dict[str, Launches] = {}
    for case, line in zip(cases, read_rooflines(record.directory), strict=True):
        groups.setdefault(case.case, []).append((case, line))
    return list(groups.values())


def _interval(launches: Launches, values: Sequence[float]) -> Interval:
    """Over the launches; of one launch, the interval of its rounds."""
    if len(launches) > 1:
        rounds = sum(case.rounds for case, _ in launches)
        return stats.interval_of(TrimmedEstimate([math.log(value) for value in values], rounds))
    low, high = launches[0][0].relative_interval  # of the time, so the other way round for a rate
    return Interval(values[0] / high, values[0], values[0] / low)


def _place(case: Case, types: Sequence[str]) -> tuple[int, int, int, int]:
    """Of a case in a table."""
    factors = case.factors
    return types.index(factors["dtype"]), int(factors["seq_len"]), int(factors["ranks"]), int(factors["threads"])


def roofline_table(record: Record) -> str:
    """A row per case: rate and share of the roofline. By length and ranks, as cells were measured in random order."""
    rows = []
    of_cases = _by_case(record)
    types = list(dict.fromkeys(launches[0][0].factors["dtype"] for launches in of_cases))
    for launches in sorted(of_cases, key=lambda launches: _place(launches[0][0], types)):
        case, line = launches[0]
        rate = _interval(launches, [one.tokens_per_s for _, one in launches])
        share = _interval(launches, [one.share for _, one in launches])
        factors = case.factors
        rows.append([
            factors["dtype"], factors["seq_len"], f"{factors['ranks']} x {factors['threads']}", f"`{case.variant}`",
            f"{rate.centre:.1f} [{rate.low:.1f}, {rate.high:.1f}]", line.bound,
            f"{100 * share.centre:.0f} [{100 * share.low:.0f}, {100 * share.high:.0f}]",
        ])  # fmt: skip
    return table(["type", "tokens", "ranks x threads", "variant", "tokens/s", "bound by", "% of the roofline"], rows)


def ratios_table(result: ClaimResult) -> str:
    """Slow over fast as claimed, for each cell and pair of one record."""
    rows = []
    for cell in result.voting:
        for index, pair in sorted(cell.pairs.items()):
            if pair.estimate is None:
                continue
            fast, slow = result.claim.pairs[index]
            factors = pair.comparison.factors
            rows.append([
                model(factors), factors["dtype"], factors["seq_len"], f"`{slow}` / `{fast}`",
                f"{precise_pair(pair)} {MARKS[pair.word]}",
            ])  # fmt: skip
    return table(["model", "type", "tokens", "ratio of times", "ratio"], rows)


def findings(record: Record) -> str:
    """The sentences of the claim about the order, pair by pair."""
    result = record.claim("ordering")
    found = []
    for pair in range(len(result.claim.pairs)):
        names = f"{' and '.join(short_names(result.claim, pair))}: " if len(result.claim.pairs) > 1 else ""
        found += [names + sentence for sentence in sentences(result, pair, record.judged.margin)]
    return "\n".join(f"- {sentence}" for sentence in found) or "- nothing voted"


def values(results: Results) -> dict[str, str]:
    block, whole, decode = (results.record(name) for name in ("qwen3_block", "qwen3_model", "decode"))
    return {
        "models.launches": span(record.launches for record in (block, whole, decode)),
        "models.prefill_table": roofline_table(whole),
        "models.decode_table": roofline_table(decode),
        "models.block_ratios": ratios_table(block.claim("ordering")),
        "models.block_findings": findings(block),
        "models.prefill_findings": findings(whole),
        "models.decode_findings": findings(decode),
        "models.prefill_ratios": ratios_table(whole.claim("ordering")),
        "models.decode_ratios": ratios_table(decode.claim("ordering")),
        "models.original_rate": f"{ORIGINAL_TWO_RANKS:g} tokens/s",
        "models.original_tokens": str(ORIGINAL_TOKENS),
    }
