"""The tables and numbers of the paper from a run: no figure in the paper is typed by hand.

Writes numbers.tex (macros), regimes.tex (what is known of each regime) and cells.tex (every ratio with its interval) for one
claim.
"""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from analysis.estimate.looks import FAMILY_ERROR
from analysis.judge.decisions import PairResult, half_width
from analysis.judge.regimes import CellResult, RegimePair, regime_label, sort_cells
from analysis.judge.verdicts import ClaimResult, RunVerdict
from analysis.judge.words import Word
from analysis.read.read_run import Run
from analysis.read.whole_file import make_directory, write_whole
from analysis.show.verdict_phrases import bounded, format_ratio, percent
from analysis.show.verdict_tables import letters, pair_name

_MARKS = {
    Word.FASTER: r"$+$",
    Word.INSIDE: r"$+$",
    Word.SLOWER: r"$-$",
    Word.OUTSIDE: r"$-$",
    Word.EQUAL: r"$=$",
    Word.DIFFERS: r"\#",
    Word.NOT_RESOLVED: r"?",
    Word.ESTIMATE_ONLY: r"$\sim$",
    Word.NO_VOTE: r"$\times$",
}
# Macros that count cells, by the word they count.
_COUNTED = {
    "Faster": (Word.FASTER, Word.INSIDE), "Slower": (Word.SLOWER, Word.OUTSIDE), "Equal": (Word.EQUAL,),
    "Unresolved": (Word.NOT_RESOLVED, Word.ESTIMATE_ONLY),
}  # fmt: skip
_SPECIAL = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
            "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}  # fmt: skip


def escape(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in text)


def format_pair(result: PairResult | RegimePair | None) -> str:
    """'1.031 & [1.021, 1.044] & +' as three columns."""
    if result is None or result.ratio is None or result.interval is None:
        mark = _MARKS[result.word] if isinstance(result, RegimePair) else ""
        return f"--- & & {mark}"
    low, high = result.interval
    ends = f"[{format_ratio(low)}, {format_ratio(high)}]" if bounded(result.interval) else "---"
    return f"{format_ratio(result.ratio)} & {ends} & {_MARKS[result.word]}"


def regimes_table(result: ClaimResult) -> str:
    """A line per regime: the pooled ratio of each pair with its interval and word, and how many cells are behind it."""
    pairs = range(len(result.claim.pairs))
    lines = [rf"\begin{{tabular}}{{l{'rlc' * len(pairs)}r}}", r"\toprule"]
    titles = "".join(rf" & \multicolumn{{3}}{{c}}{{${pair_name(result.claim, pair)}$}}" for pair in pairs)
    lines += [rf"regime{titles} & cells \\", r"\midrule"]
    for regime in result.regimes:
        fields = [escape(regime.label), *[format_pair(regime.pairs.get(pair)) for pair in pairs], str(len(regime.cells))]
        lines.append(" & ".join(fields) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def cells_table(result: ClaimResult) -> str:
    """Every voting cell with its ratios and intervals, regime by regime."""
    claim = result.claim
    pairs = range(len(claim.pairs))
    columns = 1 + 3 * len(claim.pairs) + 1
    header = " & ".join(["", *[rf"\multicolumn{{3}}{{c}}{{${pair_name(claim, p)}$}}" for p in pairs], "cell"]) + r" \\"
    lines = [
        rf"\begin{{longtable}}{{l{'rlc' * len(claim.pairs)}l}}",
        r"\caption{Ratio of times, simultaneous interval, and word of every voting cell.}\label{tab:cells}\\",
        *[r"\toprule", header, r"\midrule", r"\endfirsthead", r"\toprule", header, r"\midrule", r"\endhead"],
        *[r"\bottomrule", r"\endfoot"],
    ]
    for number, regime in enumerate(result.regimes):
        if number > 0:
            lines.append(r"\addlinespace")
        lines.append(rf"\multicolumn{{{columns}}}{{l}}{{\textit{{{escape(regime.label)}}}}} \\*")
        for cell in sort_cells(regime.cells, result.rows):
            lines.append(_cell_row(cell, result.rows, len(claim.pairs)))
    lines.append(r"\end{longtable}")
    return "\n".join(lines) + "\n"


def _cell_row(cell: CellResult, rows: Sequence[str], pairs: int) -> str:
    fields = [escape(regime_label(cell.factors, rows))]
    fields += [format_pair(cell.pairs.get(pair)) for pair in range(pairs)]
    return " & ".join([*fields, str(cell.word)]) + r" \\"


def numbers(run: Run, verdict: RunVerdict, result: ClaimResult) -> str:
    """Macros for every number in the text."""
    pairs = [pair for cell in result.voting for pair in cell.pairs.values()]
    launches = [pair.launches for pair in pairs]
    rounds = [pair.estimate.rounds for pair in pairs if pair.estimate]
    controls = verdict.controls
    names = letters(result.claim)
    widths = sorted(half_width(p.estimate, p.level) for p in pairs if p.estimate and p.word is Word.NOT_RESOLVED)
    macros = {
        "ClaimVerdict": str(result.word),
        "VotingCells": str(len(result.voting)),
        "SilentCells": str(len(result.cells) - len(result.voting)),
        **{f"{name}Cells": str(sum(result.counts[word] for word in words)) for name, words in _COUNTED.items()},
        "Regimes": str(len(result.regimes)),
        "Launches": _span(launches),
        "Rounds": _span(rounds),
        "Looks": ", ".join(map(str, verdict.looks)),
        "Comparisons": str(verdict.cells_schedule.comparisons),
        "Margin": percent(verdict.margin),
        "FamilyError": percent(FAMILY_ERROR),
        "WidestOpen": percent(widths[-1]) if widths and widths[-1] < 1 else "---",
        "ControlCells": str(controls.count),
        "ControlCopies": str(len(controls.copies)),
        "ControlDifferent": str(len(controls.failed)),
        "ControlSpread": f"{100 * controls.spread:.2f}",
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


def write_tables(run: Run, verdict: RunVerdict, result: ClaimResult, directory: Path) -> None:
    make_directory(directory)
    write_whole(directory / "numbers.tex", numbers(run, verdict, result))
    write_whole(directory / "regimes.tex", regimes_table(result))
    write_whole(directory / "cells.tex", cells_table(result))
