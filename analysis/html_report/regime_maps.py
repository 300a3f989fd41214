"""The map: length by ranks and run, a facet per contract, coloured by what is known and marked with the same signs."""

from __future__ import annotations

from typing import Sequence

from analysis.html_report.blocks import MapCell, MapFacet, RegimeMaps, Section, clip
from analysis.html_report.comparisons import Compared, Comparison
from analysis.html_report.factors import label, name_of, sort_key, value_label, varying
from analysis.show.verdict_phrases import bounded, percent

_NO_LENGTH = "all"


def _short(cell: Compared) -> str:
    """'+7.1 %', from a factor of two on 'x2.4'; of an estimate even where one launch has no interval."""
    ratio = cell.result.ratio
    if ratio is None or not (bounded(cell.ends) or cell.style == "estimate"):
        return ""
    if ratio >= 2 or ratio <= 0.5:
        return f"\u00d7{ratio:.2f}"
    text = percent(ratio - 1)
    if cell.mark in ("+", "-"):
        return f"{text.lstrip('-')} %"  # the mark is the sign
    return f"{text if text.startswith('-') or text == '0' else '+' + text} %".replace("-", "\u2212")


def _map_cell(cells: Sequence[Compared]) -> MapCell | None:
    if not cells:
        return None
    cell = cells[0]
    return MapCell(cell.style, cell.mark.replace("-", "\u2212"), _short(cell), cell.tip)


def _facet(title: str, cells: Sequence[Compared], rows: Sequence[str], axis: str, columns: Sequence[str]) -> MapFacet:
    found: dict[str, dict[str, list[Compared]]] = {}
    for cell in sorted(cells, key=lambda one: sort_key(one.factors, rows)):
        place = cell.factors.get(axis, _NO_LENGTH)
        found.setdefault(label(cell.factors, rows), {}).setdefault(place, []).append(cell)
    return MapFacet(title, [(clip(row, 80), [_map_cell(there.get(c, [])) for c in columns]) for row, there in found.items()])


def make_map(comparison: Comparison) -> RegimeMaps:
    cells = comparison.cells
    factors = [cell.factors for cell in cells]
    rows = [name for name in varying(factors, leave_out=("seq_len",)) if name != "contract"] or ["ranks"]
    axis = "seq_len"
    columns = sorted({cell.get(axis, _NO_LENGTH) for cell in factors}, key=lambda value: sort_key({axis: value}, [axis]))
    contracts = list(dict.fromkeys(cell.get("contract", "") for cell in factors))
    facets = []
    for contract in contracts:
        there = [cell for cell in cells if cell.factors.get("contract", "") == contract]
        facets.append(_facet(value_label("contract", contract) if contract else "", there, rows, axis, columns))
    fast, slow = comparison.sides
    if comparison.claim.is_ratio:
        explained = f"The ratio of {slow} over {fast}. + inside the claimed bounds, \u2212 outside."
    else:
        explained = f"+ {fast} is faster, as claimed. \u2212 {slow} is faster. The number: by how much {slow} takes longer."
    ranks = {cell["ranks"] for cell in factors if "ranks" in cell}
    if "ranks" not in rows and len(ranks) == 1:
        explained += f" All on {value_label('ranks', ranks.pop())}."
    return RegimeMaps(comparison.title, explained, ", ".join(map(name_of, rows)), columns, facets)


def section(comparisons: Sequence[Comparison], warned: Sequence[str]) -> Section:
    intro = "Length by ranks and run, one map per contract. Colour, hatching and sign say the same; each cell has its interval."
    if not comparisons:
        missing = "These runs compare nothing. Claims stand under 'expect' in the experiment file; ./reproduce runs it."
        return Section("map", "Where which wins", intro, (), (missing,))
    return Section("map", "Where which wins", intro, tuple(make_map(comparison) for comparison in comparisons), warned)
