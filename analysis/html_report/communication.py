"""Communication that computing does not hide, as a share of the time, by length."""

from __future__ import annotations

from typing import Mapping, Sequence

from analysis.html_report.blocks import Block, Column, Field, Mark, Panel, Panels, Section, Series, Table, clip
from analysis.html_report.factors import label, sort_key, varying
from analysis.html_report.geometry import Axis, share_axis, values_axis
from analysis.html_report.inputs import Inputs, LoadedRun
from analysis.html_report.palette import Palette
from analysis.read.csv_table import UnusableInput
from analysis.show.crossover_tables import CELL_KEY, NOT_RESOLVED, Measured, measure_cells

_COLUMNS = (
    Column("Cell"), Column("Variant"), Column("Sent by the busiest rank, MB", True), Column("Time, ms", True),
    Column("Exposed, ms", True), Column("Exposed, % of time", True),
)  # fmt: skip
Moving = tuple[Mapping[str, str], Measured]


def _moving(loaded: LoadedRun) -> list[Moving]:
    """Cases that send something, each with its factors."""
    found: list[Moving] = []
    for key, cell in measure_cells(loaded.run).items():
        factors = dict(zip(CELL_KEY, key))
        found += [({**factors, "variant": case.variant}, case) for case in cell.cases if case.sent_bytes > 0]
    return found


def _share(case: Measured) -> float | None:
    return None if case.exposed is None or not case.median > 0 else 100 * case.exposed / case.median


def _mark(factors: Mapping[str, str], case: Measured, x: Axis, y: Axis) -> Mark:
    """Hollow, and on the axis, where it is not resolved."""
    share = _share(case)
    said = NOT_RESOLVED if share is None else f"{share:.1f} % of {1e3 * case.median:.3g} ms"
    sent = f"{case.sent_bytes / 1e6:.2f} MB sent by the busiest rank"
    tip = f"{clip(case.variant, 80)}, {factors['seq_len']} tokens: {said}; {sent}"
    return Mark(x.at(float(factors["seq_len"])), 100 - y.at(share or 0.0), None, None, tip, hollow=share is None)


def _panel(title: str, cases: Sequence[Moving], x: Axis, y: Axis, palette: Palette) -> Panel:
    variants = list(dict.fromkeys(case.variant for _, case in cases))
    series = [
        Series(palette.number(who), clip(who), [_mark(factors, case, x, y) for factors, case in cases if case.variant == who])
        for who in variants
    ]
    return Panel(clip(title), x.ticks, y.ticks, (), series)


def _data(cases: Sequence[Moving], names: Sequence[str], title: str) -> Table:
    rows = []
    for factors, case in cases:
        share = _share(case)
        rows.append([
            Field(clip(label(factors, names), 120)),
            Field(clip(case.variant)),
            Field(f"{case.sent_bytes / 1e6:.2f}", case.sent_bytes),
            Field(f"{1e3 * case.median:.3g}", case.median),
            Field(NOT_RESOLVED if case.exposed is None else f"{1e3 * case.exposed:.3g}", case.exposed),
            Field(NOT_RESOLVED if share is None else f"{share:.1f}", share),
        ])  # fmt: skip
    return Table("exposed", f"Data: {title}", _COLUMNS, rows)


def _of_run(loaded: LoadedRun, palette: Palette) -> list[Block]:
    try:
        cases = _moving(loaded)
    except UnusableInput:
        return []
    if not cases:
        return []
    names = varying((factors for factors, _ in cases), leave_out=("variant",))
    cases.sort(key=lambda pair: (sort_key(pair[0], names), pair[1].variant))
    facets = [name for name in names if name != "seq_len"]
    groups: dict[str, list[Moving]] = {}
    for pair in cases:
        groups.setdefault(label(pair[0], facets), []).append(pair)
    x = values_axis([float(factors["seq_len"]) for factors, _ in cases])
    y = share_axis(max((share for _, case in cases if (share := _share(case)) is not None), default=0.0), least=5.0)
    panels = [_panel(title, group, x, y, palette) for title, group in groups.items()]
    legend = palette.legend(case.variant for _, case in cases)
    drawing = Panels(loaded.label, "tokens", "% of the time", legend, panels)
    return [drawing, _data(cases, names, loaded.label)]


def section(inputs: Inputs, palette: Palette) -> Section:
    intro = (
        "Exposed is what exchange adds to computing alone: both together, minus computing alone. Hollow, on the axis: not known "
        "to be above zero."
    )
    blocks = [block for loaded in inputs.runs for block in _of_run(loaded, palette)]
    missing = "No case sends anything between ranks. ./reproduce ordering has some; slurm/submit network has links."
    return Section("communication", "Exposed communication", intro, tuple(blocks), () if blocks else (missing,))
