"""Figures about blocks and whole models: experiments/qwen3_block.yaml, qwen3_model.yaml and decode.yaml. One launch each."""

from __future__ import annotations

from analysis.estimate import paired_statistics as stats
from analysis.estimate.rooflines import ORIGINAL_TOKENS, ORIGINAL_TWO_RANKS, read_rooflines
from analysis.judge.verdicts import ClaimResult
from analysis.page.records import Record, Results, model, precise, span, table


def roofline_table(record: Record) -> str:
    """A row per case: rate and share of the roofline, with the ends of the interval within the launch."""
    ends = {(case.launch, case.cell, case.variant): case.relative_interval for case in record.run.cases}
    cases = [case for case in record.run.cases if case.status == "ok"]
    lines = read_rooflines(record.directory)
    rows = []
    for case, line in zip(cases, lines, strict=True):
        low, high = ends[case.launch, case.cell, case.variant]
        factors = case.factors
        rows.append([
            factors["dtype"], factors["seq_len"], f"{factors['ranks']} x {factors['threads']}", f"`{case.variant}`",
            f"{line.tokens_per_s:.1f} [{line.tokens_per_s / high:.1f}, {line.tokens_per_s / low:.1f}]", line.bound,
            f"{100 * line.share:.0f} [{100 * line.share / high:.0f}, {100 * line.share / low:.0f}]",
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
                precise(stats.interval_of(pair.estimate)),
            ])  # fmt: skip
    return table(["model", "type", "tokens", "ratio of times", "estimate"], rows)


def values(results: Results) -> dict[str, str]:
    block, whole, decode = (results.record(name) for name in ("qwen3_block", "qwen3_model", "decode"))
    return {
        "models.launches": span(record.launches for record in (block, whole, decode)),
        "models.prefill_table": roofline_table(whole),
        "models.decode_table": roofline_table(decode),
        "models.block_ratios": ratios_table(block.claim("ordering")),
        "models.prefill_ratios": ratios_table(whole.claim("ordering")),
        "models.decode_ratios": ratios_table(decode.claim("ordering")),
        "models.original_rate": f"{ORIGINAL_TWO_RANKS:g} tokens/s",
        "models.original_tokens": str(ORIGINAL_TOKENS),
    }
