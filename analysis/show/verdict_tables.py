"""Verdicts as text of at most 80 columns: what was asked, what came out, how sure that is, and why."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from typing import Mapping, Sequence

from analysis.estimate import paired_statistics as stats
from analysis.judge.claims import Claim
from analysis.judge.verdicts import CellResult, ClaimResult, ControlSummary, PairResult, Verdict
from analysis.read.read_run import CELL_FACTORS, COUNT_METRICS, Run
from analysis.show.text_table import format_columns

WIDTH = 80
_ROW_FACTORS = ("seq_len", "batch")  # rows of a regime table; everything else that varies makes the regime
MARKS = {
    Verdict.HOLDS: "+",
    Verdict.CONTRADICTED: "-",
    Verdict.EQUIVALENT: "=",
    Verdict.UNDECIDED: "?",
    Verdict.NO_VOTE: "x",
}
LEGEND = "+ holds  - contradicted  = equivalent (within 1 %)  ? undecided  x no vote"
_VOTES = (Verdict.HOLDS, Verdict.CONTRADICTED, Verdict.EQUIVALENT, Verdict.UNDECIDED, Verdict.NO_VOTE)


def wrap(text: str, indent: int = 0, hang: int | None = None) -> str:
    spaces = " " * indent
    hanging = " " * (indent if hang is None else hang)
    return textwrap.fill(
        text, WIDTH, initial_indent=spaces, subsequent_indent=hanging, break_on_hyphens=False
    )  # fmt: skip


def format_ratio(value: float) -> str:
    if math.isinf(value):
        return "inf"
    return f"{value:.3f}" if value < 10 else f"{value:.2f}" if value < 100 else f"{value:.0f}" if value < 1e5 else f"{value:.0e}"


def format_pair(result: PairResult | None) -> str:
    """'1.031 [1.021, 1.044] +', or why there is no number."""
    if result is None:
        return "not measured"
    interval = result.interval
    if result.ratio is None or interval is None:
        return f"no ratio {MARKS[result.verdict]}"
    low, high = interval
    return f"{format_ratio(result.ratio)} [{format_ratio(low)}, {format_ratio(high)}] {MARKS[result.verdict]}"


def letters(claim: Claim) -> dict[str, str]:
    return {value: chr(ord("A") + index) for index, value in enumerate(claim.order)}


def pair_name(claim: Claim, pair: int) -> str:
    names = letters(claim)
    fast, slow = claim.pairs[pair]
    return f"{names[slow]}/{names[fast]}"


def varying_factors(cells: Sequence[CellResult]) -> list[str]:
    # `causal` and `mask` say the same of most runs: one of them is shown.
    plain = all(cell.factors.get("mask", "full") in ("causal", "full") for cell in cells)
    hidden = "mask" if plain else "causal"
    names = [name for name in (*CELL_FACTORS, "variant") if name != hidden]
    return [name for name in names if len({cell.factors.get(name, "") for cell in cells}) > 1]


def choose_regimes(cells: Sequence[CellResult], wanted: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """(factors that make a regime, factors that make its rows)."""
    varying = varying_factors(cells)
    if wanted is None:
        rows = [name for name in varying if name in _ROW_FACTORS]
        if not rows and varying:
            rows = varying[-1:]
    else:
        rows = [name for name in varying if name not in wanted]
    rows.sort(key=lambda name: name in _ROW_FACTORS)
    regimes = [name for name in (varying if wanted is None else wanted) if name not in rows]
    # A model's name says its head counts and width.
    if "model" in regimes + rows:
        implied = ("heads", "kv_heads", "head_dim")
        regimes = [name for name in regimes if name not in implied]
        rows = [name for name in rows if name not in implied]
    return regimes, rows


def _label(name: str, value: str) -> str:
    if name == "causal":
        return "causal" if value == "true" else "full"
    return value if name in ("contract", "mask", "model", "isa", "variant", "phase", "scope") else f"{name} {value}"


def regime_label(factors: Mapping[str, str], regimes: Sequence[str]) -> str:
    return ", ".join(_label(name, factors.get(name, "-")) for name in regimes) or "all cells"


def group_by_regime(cells: Sequence[CellResult], regimes: Sequence[str]) -> dict[str, list[CellResult]]:
    groups: dict[str, list[CellResult]] = {}
    for cell in cells:
        groups.setdefault(regime_label(cell.factors, regimes), []).append(cell)
    return groups


def counts_text(counts: Counter[Verdict]) -> str:
    """'3 hold, 1 undecided of 4 voting cells, 2 without a vote'."""
    total = sum(count for verdict, count in counts.items() if verdict is not Verdict.NO_VOTE)
    if total == 0:
        return f"no cell votes ({counts[Verdict.NO_VOTE]} selected)"
    words = {Verdict.HOLDS: "hold"}
    parts = [f"{counts[v]} {words.get(v, str(v))}" for v in _VOTES if counts[v] and v is not Verdict.NO_VOTE]
    silent = f", {counts[Verdict.NO_VOTE]} without a vote" if counts[Verdict.NO_VOTE] else ""
    return f"{', '.join(parts)} of {total} voting cell{'s' if total != 1 else ''}{silent}"


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


def _certainty(result: ClaimResult) -> str:
    pairs = [p for cell in result.voting for p in cell.pairs.values() if p.estimate is not None]
    if not pairs:
        return "How sure: nothing voted."
    if result.claim.metric in COUNT_METRICS:
        return "How sure: counted, not timed; no noise."
    launches = sorted({p.estimate.launches for p in pairs if p.estimate is not None})
    rounds = sorted({p.estimate.rounds for p in pairs if p.estimate is not None})
    effort = f"{launches[0]}" if len(launches) == 1 else f"{launches[0]} to {launches[-1]}"
    each = f"{rounds[0]}" if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]}"
    text = (
        f"How sure: 95 % intervals, {each} rounds in {effort} launch{'es' if launches[-1] > 1 else ''}; the chance that "
        f"any 'holds' below is wrong is at most 2.5 % (Holm over {len(pairs)} comparisons)."
    )
    if launches[0] == 1:
        text += " One launch: what differs from launch to launch is not in the intervals."
    elif launches[0] < 5:
        text += " Fewer than 5 launches make wide intervals."
    return text


def format_controls(controls: ControlSummary, claim: Claim) -> list[str]:
    measured = len(controls.measured)
    if not measured:
        return []
    biases = controls.biases
    median = controls.median_bias or 0.0
    spread = f", {100 * biases[0]:+.2f} to {100 * biases[-1]:+.2f} % over all" if measured > 1 else ""
    counts = Counter(result.verdict for result in controls.results)
    low, high = max((r.interval for r in controls.measured if r.interval), key=lambda ends: ends[1] / max(ends[0], 1e-9))
    state = "FAILED" if controls.failed else "biased" if controls.biased else "passed"
    text = (
        f"A/A control (one rank, same code under two names): {state}. {controls.including_one} of {measured} intervals "
        f"include 1; {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}; bias {100 * median:+.2f} % "
        f"in the middle{spread}; widest interval [{format_ratio(low)}, {format_ratio(high)}]."
    )
    if controls.biased and not controls.failed:
        text += " The bias is within the margin of 1 %, which covers it."
    lines = [wrap(text, 2, 4)]
    for result in [*controls.failed, *controls.biased]:
        factors = result.comparison.factors
        place = ", ".join(_label(n, factors[n]) for n in ("model", "contract", "causal", "seq_len") if n in factors)
        lines.append(wrap(f"{place}: {pair_name(claim, result.comparison.pair)} {format_pair(result)}", 4, 6))
    return lines


def _regime_summary(groups: Mapping[str, Sequence[CellResult]]) -> list[str]:
    verdicts = [v for v in _VOTES if any(cell.verdict is v for cells in groups.values() for cell in cells)]
    rows = []
    for label, cells in groups.items():
        counts = Counter(cell.verdict for cell in cells)
        rows.append([textwrap.shorten(label, 40, placeholder="..."), *[str(counts[v] or ".") for v in verdicts]])
    return ["  " + line for line in format_columns(["cells by regime", *[str(v) for v in verdicts]], rows, left=1)]


def _cell_notes(claim: Claim, cell: CellResult) -> list[str]:
    """Reasons and warnings below a cell's line; pairs with the same one share it."""
    pairs_by_text: dict[tuple[str, str], list[str]] = {}
    for pair, result in sorted(cell.pairs.items()):
        # A widened interval that decided all the same needs no excuse.
        flags = [f for f in result.flags if result.verdict is Verdict.UNDECIDED or "not independent" not in f]
        text = "; ".join(text for text in (result.reason, *flags) if text)
        if text:
            pairs_by_text.setdefault((MARKS[result.verdict], text), []).append(pair_name(claim, pair))
    return [wrap(f"{', '.join(pairs)} {mark} {text}", 8, 10) for (mark, text), pairs in pairs_by_text.items()]


def _sort_key(cell: CellResult, names: Sequence[str]) -> tuple[tuple[float, str], ...]:
    key = []
    for name in names:
        value = cell.factors.get(name, "")
        try:
            key.append((float(value), ""))
        except ValueError:
            key.append((math.inf, value))
    return tuple(key)


def sort_cells(cells: Sequence[CellResult], rows: Sequence[str]) -> list[CellResult]:
    """By the factors `rows`, numbers by value."""
    return sorted(cells, key=lambda cell: _sort_key(cell, rows))


def format_regime(claim: Claim, label: str, cells: Sequence[CellResult], rows: Sequence[str]) -> list[str]:
    """The table of one regime: a line per cell, two pairs beside each other, reasons below the cell.

    Where the factors that tell the rows apart leave no room, each row gets a line above it that names them.
    """
    ordered = sort_cells(cells, rows)
    lines: list[str] = []
    for start in range(0, len(claim.pairs), 2):
        shown = list(range(len(claim.pairs)))[start : start + 2]
        last = start + 2 >= len(claim.pairs)
        table = _regime_columns(claim, ordered, shown, rows, last)
        named_above = max(len(line) for line in table) > WIDTH - 4
        if named_above:
            table = _regime_columns(claim, ordered, shown, [], last)
        lines.append("    " + table[0])
        for cell, line in zip(ordered, table[1:]):
            if named_above:
                lines.append("    " + regime_label(cell.factors, rows))
            lines.append("    " + line)
            if last:
                lines += _cell_notes(claim, cell)
    return [f"  {label}", *lines]


def _regime_columns(
    claim: Claim, cells: Sequence[CellResult], pairs: Sequence[int], rows: Sequence[str], with_verdict: bool
) -> list[str]:
    header = [*rows, *[f"{pair_name(claim, pair)} [95 % interval]  " for pair in pairs]]
    body = [[*[c.factors.get(name, "-") for name in rows], *[format_pair(c.pairs.get(p)) for p in pairs]] for c in cells]
    if with_verdict:
        header.append("verdict")
        body = [[*line, str(cell.verdict)] for line, cell in zip(body, cells)]
    return format_columns(header, body)


def format_claim(result: ClaimResult, wanted_regimes: Sequence[str] | None = None) -> str:
    claim = result.claim
    regimes, rows = choose_regimes(result.cells, wanted_regimes)
    groups = group_by_regime(result.cells, regimes)
    answer = f"Answer: {str(result.verdict).upper()}. {counts_text(result.counts)}."
    if result.reason and result.voting:
        answer += f" Because {result.reason}."
    lines = [wrap(f"CLAIM {claim.name}"), *_question(claim), wrap(answer, 2, 4), wrap(_certainty(result), 2, 4)]
    lines += format_controls(result.controls, claim)
    if len(groups) > 1:
        lines += ["", *_regime_summary(groups)]
    if not claim.is_ratio:
        lines += ["", "  B/A is the ratio of the two; above 1 speaks for the claim."]
    lines.append(f"  {LEGEND}")
    for label, cells in groups.items():
        lines += ["", *format_regime(claim, label, cells, rows)]
    return "\n".join(lines)


def format_verdict_lines(results: Sequence[ClaimResult]) -> str:
    """One line per claim (a second only if its name is long)."""
    return "\n".join(
        wrap(f"{r.claim.name}: {str(r.verdict).upper()}; {r.reason if r.voting and r.reason else counts_text(r.counts)}", 2, 4) for r in results
    )


def format_report(run: Run, results: Sequence[ClaimResult], wanted_regimes: Sequence[str] | None = None) -> str:
    """The whole report; the verdicts come last because that is where a terminal leaves the eye."""
    launches = len({case.launch for case in run.cases})
    revision = str(run.manifest.get("git_revision") or "unknown")[:12]
    dirty = " with uncommitted changes" if run.manifest.get("git_dirty") else ""
    left_out = f"; {run.ignored_samples} samples of unfinished cells left out" if run.ignored_samples else ""
    failed = sum(1 for case in run.cases if case.status != "ok")
    header = [
        wrap(f"{run.experiment}: {run.title}"),
        wrap(
            f"{len({case.cell for case in run.cases})} cells, {len(run.cases)} cases in {launches} launch"
            f"{'es' if launches != 1 else ''}{f', {failed} of them not ok' if failed else ''}{left_out}; "
            f"revision {revision}{dirty}."
        ),
        "",
    ]
    if not results:
        return "\n".join([*header, "This experiment makes no claim: there is nothing to judge."])
    body = [format_claim(result, wanted_regimes) + "\n" for result in results]
    return "\n".join([*header, *body, "VERDICTS", format_verdict_lines(results)])


assert stats.MARGIN == 0.01 and stats.ONE_SIDED_ERROR == 0.025, "the texts above name these figures"
