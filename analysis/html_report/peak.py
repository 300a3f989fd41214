"""Per cent of the multiply-add peak by length, 100 % on top; other libraries beside it where a run of them is given."""

from __future__ import annotations

from typing import Mapping, Sequence

from analysis.html_report.blocks import Block, Column, Field, Mark, Panel, Panels, Section, Segment, Series, Table, clip
from analysis.html_report.geometry import Axis, share_axis, values_axis
from analysis.html_report.inputs import Inputs, LoadedRun, Peers
from analysis.html_report.palette import Palette
from analysis.read.csv_table import Row
from analysis.show.figure_panels import Point, efficiency_panels

_COLUMNS = (
    Column("Panel"), Column("Variant"), Column("Tokens", True), Column("% of peak", True), Column("from", True),
    Column("to", True),
)  # fmt: skip
_TITLES = {"full": "no mask", "causal": "causal", "decode": "decode, % of read bandwidth"}
_OURS = {"ours": "ours, online softmax", "ours_row_blocked": "ours, row-blocked"}

Curves = Mapping[str, Mapping[str, Sequence[Point]]]  # panel -> series -> points by length


def _mark(point: Point, name: str, x: Axis, y: Axis) -> Mark:
    tip = f"{clip(name, 80)}, {point.x:.0f} tokens: {point.y:.1f} % [{point.low:.1f}, {point.high:.1f}]"
    return Mark(x.at(point.x), 100 - y.at(point.y), 100 - y.at(point.low), 100 - y.at(point.high), tip)


def draw_shares(title: str, curves: Curves, palette: Palette, y_title: str, shown: int = 6) -> Panels:
    """A panel per set of curves; lines run along length, where what lies between two points is meaningful."""
    points = [point for series in curves.values() for curve in series.values() for point in curve]
    x, y = values_axis([point.x for point in points]), share_axis(max(point.high for point in points))
    limit = Segment("limit", 0, 100 - y.at(100), 100, 100 - y.at(100))
    panels = [
        Panel(
            clip(name), x.ticks, y.ticks, [limit],
            [Series(palette.number(who), clip(who), [_mark(p, who, x, y) for p in curve]) for who, curve in series.items()],
        )
        for name, series in curves.items()
    ]  # fmt: skip
    legend = palette.legend(who for series in curves.values() for who in series)
    return Panels(title, "tokens", y_title, legend, panels, [("limit", "100 %, the limit measured beside")], shown=shown)


def _data(name: str, title: str, curves: Curves) -> Table:
    rows = [
        [Field(clip(panel)), Field(clip(who)), Field(f"{p.x:.0f}", p.x)]
        + [Field(f"{value:.1f}", value) for value in (p.y, p.low, p.high)]
        for panel, series in curves.items()
        for who, curve in series.items()
        for p in curve
    ]
    return Table(name, f"Data: {title}", _COLUMNS, rows)


def _of_run(loaded: LoadedRun, palette: Palette) -> list[Block]:
    curves: dict[str, Mapping[str, Sequence[Point]]] = {}
    contracts = list(dict.fromkeys(case.factors["contract"] for case in loaded.run.cases))
    for contract in contracts:
        for title, series in efficiency_panels(loaded.run.cases, contract).items():
            contract_said = [contract] if len(contracts) > 1 else []
            said = contract_said + ([title] if title and title != "all cells" else [])
            curves[", ".join(said) or "all cells"] = series
    if not curves:
        return []
    peaks = sorted({round(case.peak_gflops) for case in loaded.run.cases if case.peak_gflops})
    ends = " to ".join(dict.fromkeys(str(end) for end in (peaks[:1] + peaks[-1:])))
    limit = f"; the peak is {ends} GFLOP/s" if ends else ""
    title = f"{loaded.label}{limit}"
    return [draw_shares(title, curves, palette, "% of peak"), _data("peak", loaded.label, curves)]


def peer_curves(rows: Sequence[Row]) -> Curves:
    """Columns are named MASK_LENGTH."""
    curves: dict[str, dict[str, list[Point]]] = {}
    for row in rows:
        kind, _, length = row.text("column").rpartition("_")
        share = row.number("pct_of_limit")
        if not length.isdigit() or share is None:
            continue
        low, high = row.number("pct_of_limit_low"), row.number("pct_of_limit_high")
        point = Point(float(length), share, share if low is None else low, share if high is None else high)
        who = row.text("contestant")
        curves.setdefault(_TITLES.get(kind, kind), {}).setdefault(_OURS.get(who, who), []).append(point)
    return {title: {who: sorted(curve, key=lambda p: p.x) for who, curve in found.items()} for title, found in curves.items()}


def _of_peers(peers: Peers, palette: Palette) -> list[Block]:
    curves = peer_curves(peers.rows)
    if not curves:
        return []
    drawing = draw_shares("Other libraries, same work, same rounds", curves, palette, "% of limit")
    return [drawing, _data("peers", "other libraries", curves)]


def section(inputs: Inputs, palette: Palette) -> Section:
    intro = (
        "What each case reaches of the multiply-add peak that was measured beside it, with the same ranks, threads, instruction "
        "set and type. Points are the launch in the middle; bars reach from the lowest to the highest launch and its interval."
    )
    blocks = [block for loaded in inputs.runs for block in _of_run(loaded, palette)]
    missing = []
    if inputs.runs and not blocks:
        missing.append("No case has a peak beside it (pct_peak in cases.csv). ./reproduce measures it.")
    peers = [block for each in inputs.peers for block in _of_peers(each, palette)]
    if not peers:
        missing.append(
            "No other libraries here. peers/compare measures them; analysis/report.py RUN results/peers/reference shows them."
        )
    return Section("peak", "Per cent of peak, by length", intro, (*blocks, *peers), tuple(missing))
