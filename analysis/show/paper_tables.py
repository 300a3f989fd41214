"""The tables and numbers of the paper from a run: no figure in the paper is typed by hand.

Writes numbers.tex (macros), regimes.tex (cells counted per regime) and cells.tex (every ratio with its interval) for one
claim.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Sequence

from analysis.read.read_run import Run
from analysis.show.verdict_tables import (
    choose_regimes,
    format_ratio,
    group_by_regime,
    letters,
    pair_name,
    regime_label,
    sort_cells,
)
from analysis.judge.verdicts import CellResult, ClaimResult, PairResult, Verdict

_MARKS = {
    Verdict.HOLDS: r"$+$",
    Verdict.CONTRADICTED: r"$-$",
    Verdict.EQUIVALENT: r"$=$",
    Verdict.UNDECIDED: r"?",
    Verdict.NO_VOTE: r"$\times$",
}
_COUNTED = (Verdict.HOLDS, Verdict.CONTRADICTED, Verdict.EQUIVALENT, Verdict.UNDECIDED)
_SPECIAL = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
            "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}  # fmt: skip


def escape(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in text)


def format_pair(result: PairResult | None) -> str:
    """'1.031 & [1.021, 1.044] & +' as three columns."""
    if result is None or result.ratio is None or result.interval is None:
        return "--- & & "
    low, high = result.interval
    return f"{format_ratio(result.ratio)} & [{format_ratio(low)}, {format_ratio(high)}] & {_MARKS[result.verdict]}"


def regimes_table(result: ClaimResult) -> str:
    """Cells counted per regime: one column per verdict of each pair, and the verdicts of the cells."""
    claim = result.claim
    regimes, _ = choose_regimes(result.voting, None)
    groups = group_by_regime(result.voting, regimes)
    blocks = len(claim.pairs) + 1
    lines = [rf"\begin{{tabular}}{{l{'rrrr' * blocks}}}", r"\toprule"]
    titles = [f"${pair_name(claim, pair)}$" for pair in range(len(claim.pairs))] + ["whole order"]
    lines.append("".join(f" & \\multicolumn{{4}}{{c}}{{{title}}}" for title in titles) + r" \\")
    lines.append("".join(rf"\cmidrule(lr){{{2 + 4 * i}-{5 + 4 * i}}}" for i in range(blocks)))
    lines.append("regime" + "".join(f" & {_MARKS[v]}" for _ in titles for v in _COUNTED) + r" \\")
    lines.append(r"\midrule")
    for label, cells in groups.items():
        columns = [_counts([c.pairs[p].verdict for c in cells if p in c.pairs]) for p in range(len(claim.pairs))]
        columns.append(_counts([cell.verdict for cell in cells]))
        lines.append(" & ".join([escape(label), *columns]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _counts(verdicts: Sequence[Verdict]) -> str:
    counts = Counter(verdicts)
    return " & ".join(str(counts[verdict]) if counts[verdict] else r"$\cdot$" for verdict in _COUNTED)


def cells_table(result: ClaimResult) -> str:
    """Every voting cell with its ratios and intervals, regime by regime."""
    claim = result.claim
    regimes, rows = choose_regimes(result.voting, None)
    pairs = range(len(claim.pairs))
    columns = 1 + 3 * len(claim.pairs) + 1
    header = " & ".join(["", *[rf"\multicolumn{{3}}{{c}}{{${pair_name(claim, p)}$}}" for p in pairs], "cell"]) + r" \\"
    lines = [
        rf"\begin{{longtable}}{{l{'rlc' * len(claim.pairs)}l}}",
        r"\caption{Ratio of times, \SI{95}{\percent} interval, and verdict of every voting cell.}\label{tab:cells}\\",
        *[r"\toprule", header, r"\midrule", r"\endfirsthead", r"\toprule", header, r"\midrule", r"\endhead"],
        *[r"\bottomrule", r"\endfoot"],
    ]
    for number, (label, cells) in enumerate(group_by_regime(result.voting, regimes).items()):
        if number > 0:
            lines.append(r"\addlinespace")
        lines.append(rf"\multicolumn{{{columns}}}{{l}}{{\textit{{{escape(label)}}}}} \\*")
        for cell in sort_cells(cells, rows):
            lines.append(_cell_row(cell, rows, len(claim.pairs)))
    lines.append(r"\end{longtable}")
    return "\n".join(lines) + "\n"


def _cell_row(cell: CellResult, rows: Sequence[str], pairs: int) -> str:
    fields = [escape(regime_label(cell.factors, rows).replace("seq_len ", ""))]
    fields += [format_pair(cell.pairs.get(pair)) for pair in range(pairs)]
    return " & ".join([*fields, str(cell.verdict)]) + r" \\"


def numbers(run: Run, result: ClaimResult) -> str:
    """Macros for every number in the text."""
    rounds = [pair.estimate.rounds for cell in result.voting for pair in cell.pairs.values() if pair.estimate]
    launches = [pair.estimate.launches for cell in result.voting for pair in cell.pairs.values() if pair.estimate]
    controls = result.controls
    names = letters(result.claim)
    undecided = sorted(p.detectable for c in result.voting for p in c.pairs.values() if p.detectable is not None)
    macros = {
        "ClaimVerdict": str(result.verdict),
        "VotingCells": str(len(result.voting)),
        "SilentCells": str(len(result.cells) - len(result.voting)),
        **{f"{str(v).title()}Cells": str(result.counts[v]) for v in _COUNTED},
        "Launches": _span(launches),
        "Rounds": _span(rounds),
        "DetectableLargest": format_ratio(undecided[-1]) if undecided else "---",
        "ControlCells": str(len(controls.measured)),
        "ControlIncluding": str(controls.including_one),
        "ControlBiasMedian": f"{100 * (controls.median_bias or 0):+.2f}",
        "ControlBiasLow": f"{100 * controls.biases[0]:+.2f}" if controls.biases else "---",
        "ControlBiasHigh": f"{100 * controls.biases[-1]:+.2f}" if controls.biases else "---",
        "LargestError": f"{_largest_error(run):.1e}",
        "Revision": str(run.manifest.get("git_revision") or "unknown")[:12],
        **_machine(run),
        "Order": " $<$ ".join(rf"{names[value]} \texttt{{{escape(value)}}}" for value in result.claim.order),
        "Question": escape(run.title),
        "Experiment": escape(run.experiment),
    }
    head = f"% Written by analysis/paper_table.py from {run.experiment}; do not edit.\n"
    return head + "".join(rf"\newcommand{{\{name}}}{{{value}}}" + "\n" for name, value in macros.items())


def _machine(run: Run) -> dict[str, str]:
    """What the first launch ran on."""
    launches = run.manifest.get("launches")
    first = launches[0] if isinstance(launches, list) and launches and isinstance(launches[0], dict) else {}
    pinning = first.get("pinning") if isinstance(first.get("pinning"), dict) else {}
    peaks = sorted(case.peak_gflops for case in run.cases if case.peak_gflops and case.factors["ranks"] == "1")
    return {
        "Cpu": escape(str(first.get("cpu", "unknown CPU"))),
        "MpiLibrary": escape(str(first.get("mpi", "unknown MPI"))),
        "Compiler": escape(str(run.manifest.get("compiler", "unknown compiler"))),
        "Isas": escape(", ".join(sorted({case.factors["isa"] for case in run.cases}))),
        "Pinning": escape("; ".join(f"{shape}: {cpus}" for shape, cpus in (pinning or {}).items()) or "not recorded"),
        "PeakOneRank": f"{peaks[len(peaks) // 2]:.0f}" if peaks else "---",
    }


def _span(values: Sequence[int]) -> str:
    if not values:
        return "0"
    return str(min(values)) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _largest_error(run: Run) -> float:
    return max((case.counts["rel_l2_err"] or 0.0 for case in run.cases if case.status == "ok"), default=0.0)


def write_tables(run: Run, result: ClaimResult, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "numbers.tex").write_text(numbers(run, result), encoding="utf-8")
    (directory / "regimes.tex").write_text(regimes_table(result), encoding="utf-8")
    (directory / "cells.tex").write_text(cells_table(result), encoding="utf-8")
