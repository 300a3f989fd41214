"""Errors against float64, as a share of what is tolerated."""

from __future__ import annotations

from analysis.html_report.blocks import Block, Column, Field, Section, StripRow, Strips, Table, clip
from analysis.html_report.factors import label, varying
from analysis.html_report.geometry import Axis, log_axis
from analysis.html_report.inputs import Inputs, LoadedRun
from analysis.read.read_run import Case

_COLUMNS = (
    Column("Case"), Column("Variant"), Column("Relative error", True), Column("Tolerated", True), Column("% of it", True),
    Column("Largest error", True),
)  # fmt: skip


def _share(case: Case) -> float | None:
    """Of the tolerance that the error takes."""
    error, tolerance = case.counts["rel_l2_err"], case.summary["tolerance_rel_l2"]
    return None if error is None or not tolerance else error / tolerance


def _worst(loaded: LoadedRun) -> list[tuple[Case, float]]:
    """Of every case the launch with the largest error."""
    worst: dict[str, tuple[Case, float]] = {}
    for case in loaded.run.cases:
        share = _share(case)
        if share is not None and (case.case not in worst or share > worst[case.case][1]):
            worst[case.case] = (case, share)
    return list(worst.values())


def _row(name: str, shares: list[float], axis: Axis) -> StripRow:
    dots = sorted({axis.at(100 * share) for share in shares})
    beyond = sum(1 for share in shares if share > 1)
    most = max(shares)
    text = f"{len(shares)} case{'s' if len(shares) > 1 else ''}, at most {100 * most:.3g} %"
    tip = f"{clip(name)}: {text} of what is tolerated" + (f"; {beyond} beyond it" if beyond else "")
    return StripRow(clip(name, 120), text, tip, "against" if beyond else "plain", dots=dots)


def _of_run(loaded: LoadedRun) -> list[Block]:
    cases = _worst(loaded)
    if not cases:
        return []
    groups: dict[str, list[float]] = {}
    types = [name for name in varying(case.factors for case, _ in cases) if name in ("dtype", "isa", "model")]
    for case, share in cases:
        group = ", ".join(part for part in (case.variant, label(case.factors, types) if types else "") if part)
        groups.setdefault(group, []).append(share)
    axis = log_axis([100.0, *(max(100 * share, 1e-3) for _, share in cases)])
    drawn = [_row(name, shares, axis) for name, shares in groups.items()]
    strips = Strips(loaded.label, "exact", "% of what is tolerated", axis.ticks, drawn, centre=axis.at(100.0), shown=16)
    names = varying((case.factors for case, _ in cases), leave_out=("variant",))
    rows = [
        [
            Field(clip(label(case.factors, names), 120)),
            Field(clip(case.variant)),
            *(_error(value) for value in (case.counts["rel_l2_err"], case.summary["tolerance_rel_l2"])),
            Field(f"{100 * share:.3g}", share, "against" if share > 1 else ""),
            _error(case.counts["max_abs_err"]),
        ]
        for case, share in cases
    ]
    return [strips, Table("accuracy", f"Data: {loaded.label}", _COLUMNS, rows)]


def _error(value: float | None) -> Field:
    return Field("-" if value is None else f"{value:.2e}", value)


def section(inputs: Inputs) -> Section:
    intro = (
        "The relative error (L2) against float64 on sampled rows of every head, over what is tolerated; the worst launch of "
        "each case. Beyond 100 % a case counts as failed and has no vote."
    )
    blocks = [block for loaded in inputs.runs for block in _of_run(loaded)]
    missing = () if blocks else ("No case was checked (rel_l2_err in cases.csv). ./reproduce checks every case.",)
    return Section("accuracy", "Accuracy", intro, tuple(blocks), missing)
