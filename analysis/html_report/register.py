"""The claim register: each published figure beside ours, and what its rule says."""

from __future__ import annotations

from typing import Any, Mapping

from analysis.html_report.blocks import Column, Field, Section, Table, clip
from analysis.html_report.inputs import Inputs

_COLUMNS = (
    Column("Claim", wide=True), Column("Published", True), Column("Ours", True), Column("Verdict"), Column("Why", wide=True),
    Column("Decided by", wide=True),
)  # fmt: skip
_LONG = 600  # of a statement or a rule


def _style(verdict: str) -> str:
    for beginning, style in (
        ("reproduced", "for"), ("not reproduced", "against"), ("only", "differs"), ("cannot", "silent"), ("estimate", "estimate"),
    ):  # fmt: skip
        if verdict.lower().startswith(beginning):
            return style
    return "open"


def _text(entry: Mapping[str, Any], key: str, longest: int = _LONG) -> str:
    value = entry.get(key)
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return clip(", ".join(map(str, value)), longest)
    return "" if value is None else clip(str(value), longest)


def _number(entry: Mapping[str, Any], key: str) -> float | None:
    value = entry.get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _ours(entry: Mapping[str, Any], unit: str) -> str:
    ours, low, high = (_number(entry, key) for key in ("ours", "low", "high"))
    if ours is None:
        return _text(entry, "ours")
    if low is None or high is None:
        return f"{_figure(ours)} ~{unit}"
    return f"{_figure(ours)}{unit}, counted" if low == high else f"{_figure(ours)} [{_figure(low)}, {_figure(high)}]{unit}"


def _figure(value: float) -> str:
    return f"{value:.3f}" if 0.1 <= abs(value) < 10 else f"{value:.4g}"


def _row(entry: Mapping[str, Any]) -> list[Field]:
    name, verdict = _text(entry, "id", 80), _text(entry, "verdict", 200)
    unit = f" {_text(entry, 'unit', 40).replace('percent', '%')}".rstrip()
    source = _text(entry, "source", 200)
    claim = ": ".join(part for part in (name, _text(entry, "statement")) if part) + (f" ({source})" if source else "")
    number = _number(entry, "published")
    decided_by = [_text(entry, "rule"), _text(entry, "run", 300) or _text(entry, "experiment", 300)]
    return [
        Field(claim),
        Field(_text(entry, "published", 200) + (unit if number is not None else ""), number),
        Field(_ours(entry, unit), _number(entry, "ours")),
        Field(verdict, style=_style(verdict)),
        Field(_text(entry, "reason")),
        Field("; ".join(part for part in decided_by if part)),
    ]


def section(inputs: Inputs) -> Section:
    intro = "What the original study published, what we measured, and the rule that was written down before the run."
    if not inputs.claims:
        problem = "No claim register here" if inputs.claims is None else "The claim register is empty"
        return Section("claims", "Published claims", intro, (), (f"{problem}. analysis/claims.py writes results/claims.json.",))
    rows = [_row(entry) for entry in inputs.claims]
    table = Table("register", "Published claims", _COLUMNS, rows, folded=False, filtered=True)
    return Section("claims", "Published claims", intro, (table,))
