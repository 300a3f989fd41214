"""Rooflines: operations per byte against speed, under the peak and the bandwidth measured beside each case."""

from __future__ import annotations

from statistics import median_low
from typing import Sequence

from analysis.estimate.rooflines import Roofline, rooflines_of
from analysis.html_report.blocks import Block, Column, Field, Mark, Panel, Panels, Section, Segment, Series, Table, clip
from analysis.html_report.factors import label, varying
from analysis.html_report.geometry import Axis, log_axis
from analysis.html_report.inputs import Inputs, LoadedRun
from analysis.html_report.palette import Palette
from analysis.read.csv_table import UnusableInput

# Cases with these in common stand under one roof.
_ROOF = ("ranks", "threads", "isa", "dtype")
_COLUMNS = (
    Column("Case"), Column("Variant"), Column("FLOP/byte", True), Column("GFLOP/s", True), Column("Bound by"),
    Column("% of roofline", True), Column("% of peak", True), Column("% of bandwidth", True),
)  # fmt: skip


def _middle_launches(cases: Sequence[Roofline]) -> list[Roofline]:
    """Of each case the launch in the middle, by its share of the roofline."""
    launches: dict[tuple[object, ...], list[Roofline]] = {}
    for case in cases:
        key = (case.variant, *(value for name, value in sorted(case.factors.items())))
        launches.setdefault(key, []).append(case)
    return [sorted(group, key=lambda case: case.share)[len(group) // 2] for group in launches.values()]


def _intensity(case: Roofline) -> float:
    return case.operations / case.minimum_bytes


def _speed(case: Roofline) -> float:
    return case.operations / case.time_s / 1e9


def _said(case: Roofline, factors: Sequence[str]) -> str:
    return (
        f"{clip(case.variant, 80)}, {clip(label(case.factors, factors), 100)}: {_speed(case):.3g} GFLOP/s at {_intensity(case):.3g} "
        f"FLOP/byte, {100 * case.share:.1f} % of the roofline, bound by {'computing' if case.bound == 'compute' else 'memory'}"
    )


def _roof(cases: Sequence[Roofline], x: Axis, y: Axis) -> list[Segment]:
    """Of the middle of the limits measured beside these cases."""
    peak = median_low([case.peak_flops for case in cases]) / 1e9
    bandwidth = median_low([case.read_bytes for case in cases]) / 1e9
    ridge = peak / bandwidth
    start = max(x.low, y.low / bandwidth)
    height = 100 - y.at(peak)
    left = max(ridge, x.low)
    roof = [Segment("limit", x.at(left), height, 100, height)]
    if start < ridge:
        roof.append(Segment("limit", x.at(start), 100 - y.at(start * bandwidth), x.at(ridge), height))
    return roof


def _panel(title: str, cases: Sequence[Roofline], axes: tuple[Axis, Axis], factors: Sequence[str], palette: Palette) -> Panel:
    x, y = axes
    series: dict[str, list[Mark]] = {}
    for case in cases:
        mark = Mark(x.at(_intensity(case)), 100 - y.at(_speed(case)), None, None, _said(case, factors))
        series.setdefault(case.variant, []).append(mark)
    drawn = [Series(palette.number(who), clip(who), marks) for who, marks in series.items()]
    return Panel(clip(title), x.ticks, y.ticks, _roof(cases, x, y), drawn)


def _row(case: Roofline, factors: Sequence[str]) -> list[Field]:
    numbers = (_intensity(case), _speed(case))
    shares = (case.share, case.share_of_peak, case.share_of_bandwidth)
    return [
        Field(clip(label(case.factors, factors), 100)),
        Field(clip(case.variant)),
        *(Field(f"{number:.3g}", number) for number in numbers),
        Field(case.bound),
        *(Field(f"{100 * share:.1f}", share) for share in shares),
    ]


def _of_run(loaded: LoadedRun, palette: Palette) -> list[Block]:
    cases = _middle_launches(rooflines_of(loaded.run.cases, loaded.directory))
    factors = varying((case.factors for case in cases), leave_out=("variant",))
    roofs = [name for name in factors if name in _ROOF]
    groups: dict[str, list[Roofline]] = {}
    for case in cases:
        groups.setdefault(label(case.factors, roofs), []).append(case)
    x = log_axis([value for case in cases for value in (_intensity(case), case.peak_flops / case.read_bytes / 2)])
    y = log_axis([value for case in cases for value in (_speed(case), case.peak_flops / 1e9)])
    panels = [_panel(title, group, (x, y), factors, palette) for title, group in groups.items()]
    legend = palette.legend(case.variant for case in cases)
    lines = [("limit", "the roofline: bandwidth, then peak")]
    title = loaded.label
    drawing = Panels(title, "FLOP per byte", "GFLOP/s", legend, panels, lines, joined=False, shown=4)
    return [drawing, Table("roofs", f"Data: {title}", _COLUMNS, [_row(case, factors) for case in cases])]


def section(inputs: Inputs, palette: Palette) -> Section:
    intro = (
        "But for noise no case can lie above the line: on its slope memory cannot deliver faster, on its level the cores cannot multiply "
        "faster. Bytes are the fewest that any implementation has to move. Points are the launch in the middle."
    )
    blocks: list[Block] = []
    missing: list[str] = []
    for loaded in inputs.runs:
        try:
            blocks += _of_run(loaded, palette)
        except UnusableInput:
            missing.append(
                f"{loaded.label}: bytes, bandwidth or peak are missing in cases.csv. A new run measures them: "
                f"./reproduce {loaded.run.experiment}"
            )
    if not inputs.runs:
        missing.append("No run of an experiment was given. ./reproduce makes one.")
    return Section("roofline", "Roofline", intro, tuple(blocks), tuple(clip(text, 300) for text in missing))


