"""The verdict as text of at most 100 columns: what was found, in sentences; how sure that is; the map; every cell."""

from __future__ import annotations

import textwrap
from typing import Sequence

from analysis.judge.claims import Claim
from analysis.judge.controls import ControlSummary
from analysis.judge.decisions import PairResult
from analysis.judge.regimes import CellResult, choose_regimes, factor_label, regime_label, sort_cells
from analysis.judge.verdicts import ClaimResult, RunVerdict
from analysis.judge.words import DECIDED, Word
from analysis.read.read_run import COUNT_METRICS, Run
from analysis.show.findings import answer, certainty, conditions, counts_text, findings
from analysis.show.regime_map import format_map
from analysis.show.text_table import format_columns
from analysis.show.verdict_phrases import MARKS, format_interval, legend, percent

WIDTH = 100


def wrap(text: str, indent: int = 0, hang: int | None = None) -> str:
    spaces = " " * indent
    hanging = " " * (indent if hang is None else hang)
    return textwrap.fill(text, WIDTH, initial_indent=spaces, subsequent_indent=hanging, break_on_hyphens=False)


def format_pair(result: PairResult | None) -> str:
    """'1.031 [1.021, 1.044] +', or why there is no number."""
    if result is None:
        return "not measured"
    return f"{format_interval(result.ratio, result.interval)} {MARKS[result.word]}"


def letters(claim: Claim) -> dict[str, str]:
    return {value: chr(ord("A") + index) for index, value in enumerate(claim.order)}


def pair_name(claim: Claim, pair: int) -> str:
    names = letters(claim)
    fast, slow = claim.pairs[pair]
    return f"{names[slow]}/{names[fast]}"


def _question(claim: Claim) -> list[str]:
    names = letters(claim)
    where = "; ".join(f"{k} = {' or '.join(v)}" for k, v in claim.where.items())
    lines = []
    if claim.is_ratio:
        fast, slow = claim.order
        low = f"at least {claim.minimum:g}" if claim.minimum is not None else ""
        high = f"at most {claim.maximum:g}" if claim.maximum is not None else ""
        bounds = " and ".join(text for text in (low, high) if text)
        lines.append(f"Is {claim.metric} of {slow} (B) / {fast} (A) {bounds}?")
    else:
        lines.append(f"Is the order of {claim.metric}, smallest first, this everywhere?")
        lines += [f"  {names[value]}  {value}" for value in claim.order]
    if where:
        lines.append(f"Where {where}.")
    return [wrap(line, len(line) - len(line.lstrip()) + 2, 4) for line in lines]


def format_controls(controls: ControlSummary, margin: float) -> list[str]:
    """What equal code showed, beside the margin."""
    if not controls.count:
        return [wrap("A/A control: none. Nothing in this run shows what equal code differs by.", 2, 4)]
    biases = controls.biases
    same_ranks = len(controls.copies)
    kinds = [f"{same_ranks} cop{'y' if same_ranks == 1 else 'ies'} at the same ranks" if same_ranks else "",
             f"{controls.count - same_ranks} at one rank" if controls.count > same_ranks else ""]  # fmt: skip
    spread = f"{_signed(biases[0])} %"
    if len(biases) > 1:
        spread = f"{_signed(biases[0])} to {_signed(biases[-1])} % with a standard deviation of {100 * controls.spread:.2f} %"
    state = f"FAILED, {len(controls.failed)} declared different" if controls.failed else "passed, none declared different"
    text = (
        f"A/A control: {state}. {controls.count} pair{'s' if controls.count > 1 else ''} of equal code "
        f"({', '.join(kind for kind in kinds if kind)}), different by {spread}; the margin is {percent(margin)} %."
    )
    lines = [wrap(text, 2, 4)]
    for result in controls.failed:
        factors = result.comparison.factors
        place = ", ".join(factor_label(n, factors[n]) for n in ("model", "contract", "causal", "seq_len", "ranks") if n in factors)
        lines.append(wrap(f"{place}: {format_pair(result)}", 4, 6))
    return lines


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.2f}"


def _cell_notes(claim: Claim, cell: CellResult) -> list[str]:
    """Reasons and warnings below a cell's line; pairs with the same one share it."""
    pairs_by_text: dict[tuple[str, str], list[str]] = {}
    for pair, result in sorted(cell.pairs.items()):
        if result.word is Word.ESTIMATE_ONLY:
            continue  # said once, for the claim
        # A widened interval that decided all the same needs no excuse.
        flags = [f for f in result.flags if result.word not in DECIDED or "not independent" not in f]
        reason = f"not resolved: {result.reason}" if result.word is Word.NOT_RESOLVED else result.reason
        text = "; ".join(text for text in (reason, *flags) if text)
        if text:
            pairs_by_text.setdefault((MARKS[result.word], text), []).append(pair_name(claim, pair))
    return [wrap(f"{', '.join(pairs)} {mark} {text}", 8, 10) for (mark, text), pairs in pairs_by_text.items()]


def format_cells(claim: Claim, label: str, cells: Sequence[CellResult], rows: Sequence[str]) -> list[str]:
    """The table of one regime: a line per cell, two pairs beside each other, reasons below the cell.

    Where the factors that tell the rows apart leave no room, each row gets a line above it that names them.
    """
    ordered = sort_cells(cells, rows)
    lines: list[str] = []
    for start in range(0, len(claim.pairs), 2):
        shown = list(range(len(claim.pairs)))[start : start + 2]
        last = start + 2 >= len(claim.pairs)
        table = _cell_columns(claim, ordered, shown, rows, last)
        named_above = max(len(line) for line in table) > WIDTH - 4
        if named_above:
            table = _cell_columns(claim, ordered, shown, [], last)
        lines.append("    " + table[0])
        for cell, line in zip(ordered, table[1:]):
            if named_above:
                lines.append("    " + regime_label(cell.factors, rows))
            lines.append("    " + line)
            if last:
                lines += _cell_notes(claim, cell)
    return [f"  {label}", *lines]


def _cell_columns(
    claim: Claim, cells: Sequence[CellResult], pairs: Sequence[int], rows: Sequence[str], with_word: bool
) -> list[str]:
    header = [*rows, *[f"{pair_name(claim, pair)} [interval]  " for pair in pairs]]
    body = [[*[c.factors.get(name, "-") for name in rows], *[format_pair(c.pairs.get(p)) for p in pairs]] for c in cells]
    if with_word:
        header.append("word")
        body = [[*line, str(cell.word)] for line, cell in zip(body, cells)]
    return format_columns(header, body)


def format_findings(verdict: RunVerdict) -> list[str]:
    """The first lines: each claim's word and what to do about it."""
    lines = []
    for finding in findings(verdict):
        lines.append(wrap(finding.summary, 0, 2))
        for title, said in finding.told:
            if title:
                lines.append(wrap(f"{title}:", 2))
            lines += [wrap(sentence, 2, 4) for sentence in said]
    return lines


def _apart(result: ClaimResult) -> list[str]:
    """What was compared without having been measured in the same minutes."""
    if result.claim.metric in COUNT_METRICS:
        return []
    pairs = [pair.comparison for cell in result.voting for pair in cell.pairs.values()]
    apart = sum(1 for comparison in pairs if not comparison.by_turns)
    if not apart:
        return []
    return [f"Not by turns: {apart} of {len(pairs)} comparisons are of cells that were measured one after the other."]


def format_claim(result: ClaimResult, verdict: RunVerdict) -> str:
    claim = result.claim
    lines = [wrap(f"CLAIM {claim.name}"), *_question(claim)]
    lines += [wrap(f"Answer: {str(result.word).upper()}. {counts_text(result.counts)}.", 2, 4)]
    if result.reason:
        lines.append(wrap(f"Because {result.reason}.", 2, 4))
    lines.append(wrap(certainty(result, verdict), 2, 4))
    lines += [wrap(text, 2, 4) for text in _apart(result)]
    for pair in range(len(claim.pairs)):
        table = format_map(result, pair, WIDTH - 4)
        if len(table) > 1:
            title = "Ratio" if claim.is_ratio else "Time" if claim.metric == "time_s" else claim.metric
            lines += ["", f"  {title} {pair_name(claim, pair)}, % more than 1 [interval] word", *["    " + line for line in table]]
    lines += ["", f"  {legend(verdict.margin)}"]
    if not claim.is_ratio:
        lines.append("  B/A is the ratio of the two; above 1 speaks for the claim.")
    silent = [cell for cell in result.cells if cell.word is Word.NO_VOTE]
    for regime in result.regimes:
        lines += ["", *format_cells(claim, regime.label, regime.cells, result.rows)]
    if silent:
        lines += ["", *format_cells(claim, "without a vote", silent, choose_regimes(silent, [])[1])]
    return "\n".join(line.rstrip() for line in lines)


def _header(run: Run, verdict: RunVerdict) -> list[str]:
    launches = verdict.launches
    revision = str(run.manifest.get("git_revision") or "unknown")[:12]
    dirty = " with uncommitted changes" if run.manifest.get("git_dirty") else ""
    left_out = f"; {run.ignored_samples} samples of unfinished cells left out" if run.ignored_samples else ""
    failed = sum(1 for case in run.cases if case.status != "ok")
    planned = ", ".join(map(str, verdict.looks))
    seed = f"; seed of the orders {run.plan.order_seed}" if run.plan.order_seed is not None else ""
    return [
        wrap(
            f"{len({case.cell for case in run.cases})} cells, {len(run.cases)} cases in {launches} launch"
            f"{'es' if launches != 1 else ''}{f', {failed} of them not ok' if failed else ''}{left_out}; judged after {planned}"
            f"{seed}; revision {revision}{dirty}.", 2, 4,
        ),
        wrap(conditions(run), 2, 4),
    ]  # fmt: skip


def format_report(run: Run, verdict: RunVerdict) -> str:
    """The whole report. The words come first, and once more last, because that is where a terminal leaves the eye."""
    title = wrap(f"{run.experiment}: {run.title}", 0, 2)
    if not verdict.claims:
        controls = format_controls(verdict.controls, verdict.margin) if verdict.controls.count else []
        return "\n".join([title, "This experiment makes no claim: there is nothing to judge.", "", *_header(run, verdict), *controls])
    body = [format_claim(result, verdict) + "\n" for result in verdict.claims]
    top = [title, "", *format_findings(verdict), "", *_header(run, verdict), *format_controls(verdict.controls, verdict.margin), ""]
    last = [wrap(f"{answer(result)}; {counts_text(result.counts)}", 2, 4) for result in verdict.claims]
    return "\n".join([*top, *body, "VERDICTS", *last])
