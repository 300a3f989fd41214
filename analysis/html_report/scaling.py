"""Speed-up over ranks, beside the ideal line and what the cores reach together in the measurement beside."""

from __future__ import annotations

from typing import Sequence

from analysis.estimate.paired_statistics import Interval
from analysis.estimate.rank_efficiency import Efficiency, efficiencies
from analysis.html_report.blocks import Block, Column, Field, Mark, Panel, Panels, Section, Segment, Series, Table, clip
from analysis.html_report.factors import label, varying
from analysis.html_report.geometry import Axis, share_axis, values_axis
from analysis.html_report.inputs import Inputs, LoadedRun
from analysis.html_report.palette import Palette
from analysis.show.verdict_phrases import bounded

_COLUMNS = (
    Column("Case"), Column("Variant"), Column("Ranks", True), Column("Speed-up", True), Column("Efficiency", True),
    Column("Cores alone", True), Column("Kept", True), Column("Slowest over fastest rank", True),
)  # fmt: skip


def _ranks(found: Efficiency) -> int:
    return int(found.factors["ranks"])


def _said(kept: Interval, times: float) -> str:
    """'1.92 [1.88, 1.95]'; few rounds or launches give no bounds."""
    if not bounded((kept.low, kept.high)):
        return f"{times * kept.centre:.2f} [no interval]"
    return f"{times * kept.centre:.2f} [{times * kept.low:.2f}, {times * kept.high:.2f}]"


def _reach(kept: Interval, times: float, y: Axis) -> tuple[float | None, float | None]:
    """Of its interval, where it has bounds."""
    if not bounded((kept.low, kept.high)):
        return None, None
    return round(100 - y.at(times * kept.low), 2), round(100 - y.at(times * kept.high), 2)


def _mark(found: Efficiency, shift: float, x: Axis, y: Axis) -> Mark:
    ranks, kept = _ranks(found), found.efficiency
    who = clip(found.factors["variant"], 80)
    tip = f"{who}, {ranks} ranks: {_said(kept, ranks)} times as fast as one, efficiency {_said(kept, 1)}"
    return Mark(round(x.at(ranks) + shift, 2), 100 - y.at(ranks * kept.centre), *_reach(kept, ranks, y), tip)


def _segments(found: Sequence[Efficiency], axis: Axis, y: Axis) -> list[Segment]:
    most = max(map(_ranks, found))
    ideal = Segment("ideal", axis.at(1), 100 - y.at(1), axis.at(most), 100 - y.at(most))
    cores = [
        Segment("cores", axis.at(1), 100 - y.at(1), axis.at(_ranks(one)), 100 - y.at(_ranks(one) * one.cores.centre))
        for one in found
        if one.cores is not None and _ranks(one) == most
    ]
    return [ideal, *cores[:1]]


def _panel(title: str, found: Sequence[Efficiency], axes: tuple[Axis, Axis], names: Sequence[str], palette: Palette) -> Panel:
    x, y = axes
    series = []
    for index, name in enumerate(name for name in names if any(one.factors["variant"] == name for one in found)):
        shift = 2.2 * (index - (len(names) - 1) / 2)  # side by side, so that intervals do not hide each other
        marks = [_mark(one, shift, x, y) for one in sorted(found, key=_ranks) if one.factors["variant"] == name]
        start = Mark(x.at(1), 100 - y.at(1), None, None, "one rank: 1, by definition", "start")
        series.append(Series(palette.number(name), clip(name), [start, *marks]))
    return Panel(clip(title), x.ticks, y.ticks, _segments(found, x, y), series)


def _row(one: Efficiency, factors: Sequence[str]) -> list[Field]:
    ranks, kept = _ranks(one), one.efficiency
    known = (one.cores, one.quotient, one.imbalance)
    others = [("-" if value is None else _said(value, 1), None if value is None else value.centre) for value in known]
    return [
        Field(clip(label(one.factors, factors), 100)),
        Field(clip(one.factors["variant"])),
        Field(str(ranks), ranks),
        Field(f"{ranks * kept.centre:.2f}", ranks * kept.centre),
        Field(_said(kept, 1), kept.centre),
        *(Field(text, number) for text, number in others),
    ]


def _groups(found: Sequence[Efficiency], leave_out: Sequence[str]) -> dict[str, list[Efficiency]]:
    factors = varying((one.factors for one in found), leave_out=leave_out)
    groups: dict[str, list[Efficiency]] = {}
    for one in found:
        groups.setdefault(label(one.factors, factors), []).append(one)
    return groups


def _over_ranks(title: str, found: Sequence[Efficiency], palette: Palette) -> Panels:
    """Speed-up, where there are several numbers of ranks."""
    ranks = [1.0, *(float(_ranks(one)) for one in found)]
    lowest = min(_ranks(one) * max(one.efficiency.centre, 0.1) for one in found)
    highest = max(_ranks(one) * min(one.efficiency.centre, 2) for one in found)
    y = values_axis([min(1.0, lowest), *ranks, highest]).with_ticks([0.25, 0.5, *sorted(set(ranks))])
    x = values_axis(ranks)
    x = Axis(x.low / 1.15, x.high * 1.15, True).with_ticks(sorted(set(ranks)))
    names = list(dict.fromkeys(one.factors["variant"] for one in found))
    groups = _groups(found, ("variant", "ranks"))
    panels = [_panel(panel, group, (x, y), names, palette) for panel, group in groups.items()]
    lines = [("ideal", "ideal: P ranks, P times as fast"), ("cores", "what the cores reach together, beside the case")]
    return Panels(title, "ranks", "times as fast", palette.legend(names), panels, lines)


def _cores_line(group: Sequence[Efficiency], x: Axis, y: Axis) -> list[Segment]:
    """What the cores reach together, from length to length, of the first variant: it hardly depends on which."""
    first = [one for one in group if one.factors["variant"] == group[0].factors["variant"] and one.cores is not None]
    points = [(x.at(float(one.factors["seq_len"])), 100 - y.at(100 * one.cores.centre)) for one in first if one.cores is not None]
    return [Segment("cores", *one, *other) for one, other in zip(points, points[1:])]


def _over_lengths(title: str, found: Sequence[Efficiency], palette: Palette) -> Panels:
    """Efficiency by length, where there is one number of ranks only."""
    ranks = _ranks(found[0])
    x = values_axis([float(one.factors["seq_len"]) for one in found])
    y = share_axis(min(150.0, max(100 * one.efficiency.centre for one in found)))
    ideal = Segment("ideal", 0, 100 - y.at(100), 100, 100 - y.at(100))
    panels = []
    for panel, group in _groups(found, ("variant", "ranks", "seq_len")).items():
        group.sort(key=lambda one: int(one.factors["seq_len"]))
        series: dict[str, list[Mark]] = {}
        for one in group:
            name, kept = one.factors["variant"], one.efficiency
            tip = f"{clip(name, 80)}, {one.factors['seq_len']} tokens, {ranks} ranks: efficiency {_said(kept, 1)}"
            place = x.at(float(one.factors["seq_len"])), round(100 - y.at(100 * kept.centre), 2)
            series.setdefault(name, []).append(Mark(*place, *_reach(kept, 100, y), tip))
        drawn = [Series(palette.number(name), clip(name), marks) for name, marks in series.items()]
        panels.append(Panel(clip(panel), x.ticks, y.ticks, [ideal, *_cores_line(group, x, y)], drawn))
    lines = [("ideal", f"ideal: {ranks} ranks, {ranks} times as fast"), ("cores", "what the cores reach together, beside the case")]
    names = (one.factors["variant"] for one in found)
    return Panels(f"{title}, {ranks} ranks", "tokens", f"% of {ranks} times as fast", palette.legend(names), panels, lines)


def _of_run(loaded: LoadedRun, palette: Palette) -> list[Block]:
    found = efficiencies(loaded.run)
    if not found:
        return []
    draw = _over_ranks if len({_ranks(one) for one in found}) > 1 else _over_lengths
    factors = varying((one.factors for one in found), leave_out=("variant", "ranks"))
    table = Table("scaling", f"Data: {loaded.label}", _COLUMNS, [_row(one, factors) for one in found])
    return [draw(loaded.label, found, palette), table]


def section(inputs: Inputs, palette: Palette) -> Section:
    intro = (
        "How much faster P ranks are than one, with 95 % intervals. The cores alone may not reach the ideal either, because "
        "they share power, caches or memory: the dotted line says what they reach together."
    )
    blocks = [block for loaded in inputs.runs for block in _of_run(loaded, palette)]
    missing = () if blocks else ("No case on several ranks has the same work on one rank. ./reproduce ordering measures both.",)
    return Section("scaling", "Scaling over ranks", intro, tuple(blocks), missing)
