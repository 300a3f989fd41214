"""Ratios with their intervals on a logarithmic axis, the margin shaded."""

from __future__ import annotations

from typing import Sequence

from analysis.html_report.blocks import Block, Column, Field, Section, StripRow, Strips, Table, clip, said
from analysis.html_report.comparisons import Compared, Comparison
from analysis.html_report.factors import label, sort_key, varying
from analysis.html_report.geometry import Axis, ratio_axis
from analysis.show.verdict_phrases import bounded, percent


def _row(cell: Compared, factors: Sequence[str], axis: Axis) -> StripRow:
    name, ratio, ends = clip(label(cell.factors, factors), 100), cell.result.ratio, cell.ends
    text = f"{cell.numbers} {cell.mark}"
    if ratio is None:
        return StripRow(name, text, cell.tip, cell.style, cell.mark)
    if ends is None or not bounded(ends):
        return StripRow(name, text, cell.tip, cell.style, cell.mark, axis.at(ratio))
    low, high = ends
    return StripRow(
        name, text, cell.tip, cell.style, cell.mark, axis.at(ratio), axis.at(low), axis.at(high),
        not axis.contains(low), not axis.contains(high),
    )  # fmt: skip


def _strips(comparison: Comparison) -> list[Block]:
    chosen = varying(cell.factors for cell in comparison.cells)
    ordered = sorted(comparison.cells, key=lambda cell: (not cell.decided, sort_key(cell.factors, chosen)))
    ratios = [cell.result.ratio for cell in ordered if cell.result.ratio]
    axis = ratio_axis(ratios, [end for cell in ordered if bounded(cell.ends) for end in cell.ends or ()])
    margin = ordered[0].margin
    fast, slow = comparison.sides
    claim = comparison.claim
    band: tuple[float, float] = (axis.at(1 / (1 + margin)), axis.at(1 + margin))
    if claim.is_ratio:
        band = (axis.at(claim.minimum or axis.low), axis.at(claim.maximum or axis.high))
    strips = Strips(
        comparison.title, f"{slow} faster", f"{fast} faster", axis.ticks, [_row(cell, chosen, axis) for cell in ordered], band,
        axis.at(1.0),
    )  # fmt: skip
    rows = [
        [
            Field(clip(label(cell.factors, chosen), 100)),
            Field(f"{cell.mark} {said(cell.said)}", style=cell.style),
            Field(cell.numbers, cell.result.ratio),
            Field(str(cell.result.launches), cell.result.launches),
        ]
        for cell in ordered
    ]
    columns = (Column("Cell"), Column("Word"), Column("Ratio", True), Column("Launches", True))
    return [strips, Table(f"ratios-{comparison.pair}", f"Data: {comparison.title}", columns, rows)]


def section(comparisons: Sequence[Comparison], warned: Sequence[str]) -> Section:
    margins = sorted({cell.margin for comparison in comparisons for cell in comparison.cells})
    within = " or ".join(percent(margin) for margin in margins)
    intro = (
        f"Above 1 the claim's faster side is faster; the band is the margin ({within} %), within which an interval is equal, or the "
        "claimed bounds. Filled: decided. Hollow: not. An arrow: the interval goes on. No line: none is known. Decided cells come first."
    )
    if not comparisons:
        missing = "These runs compare nothing. Claims stand under 'expect' in the experiment file; ./reproduce runs it."
        return Section("ratios", "Ratios with intervals", "", (), (missing,))
    blocks = [block for comparison in comparisons for block in _strips(comparison)]
    return Section("ratios", "Ratios with intervals", intro, tuple(blocks), warned)
