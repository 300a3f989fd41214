"""The claim register: each published figure beside ours, and what its rule says."""

from __future__ import annotations

from typing import Any, Mapping

from analysis.html_report.blocks import Column, Field, Section, Table, clip
from analysis.html_report.inputs import Inputs
from analysis.show.verdict_phrases import format_ratio

_COLUMNS = (
    Column("Claim", wide=True), Column("Published", True), Column("Ours", True), Column("Verdict", wide=True),
    Column("Decided by", wide=True), Column("Run"), Column("Source"),
)  # fmt: skip
_LONG = 600  # of a statement or a rule


def _style(verdict: str) -> str:
    for beginning, style in (("reproduced", "for"), ("not reproduced", "against"), ("only", "differs"), ("cannot", "silent")):
        if verdict.lower().startswith(beginning):
            return style
    return "open"


def _text(entry: Mapping[str, Any], key: str, longest: int = _LONG) -> str:
    value = entry.get(key)
    if isinstance(value, float):
        return f"{value:g}"
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
    interval = f" [{format_ratio(low)}, {format_ratio(high)}]" if low is not None and high is not None else ""
    return f"{format_ratio(ours)}{interval}{unit}"


def _row(entry: Mapping[str, Any]) -> list[Field]:
    name, verdict = _text(entry, "id", 80), _text(entry, "verdict", 200)
    unit = f" {_text(entry, 'unit', 40)}".rstrip()
    statement, reason = _text(entry, "statement"), _text(entry, "reason")
    published = _text(entry, "published", 200)
    return [
        Field(f"{name}: {statement}" if name else statement),
        Field(published + (unit if _number(entry, "published") is not None else ""), _number(entry, "published")),
        Field(_ours(entry, unit), _number(entry, "ours")),
        Field(verdict + (f": {reason}" if reason else ""), style=_style(verdict)),
        Field(_text(entry, "rule")),
        Field(_text(entry, "run", 200) or _text(entry, "experiment", 200)),
        Field(_text(entry, "source", 300)),
    ]


def section(inputs: Inputs) -> Section:
    intro = "What the original study published, what we measured, and the rule that was written down before the run."
    if not inputs.claims:
        problem = "No claim register here" if inputs.claims is None else "The claim register is empty"
        return Section("claims", "Published claims", intro, (), (f"{problem}. analysis/claims.py writes results/claims.json.",))
    rows = [_row(entry) for entry in inputs.claims]
    table = Table("register", "Published claims", _COLUMNS, rows, folded=False, filtered=True)
    return Section("claims", "Published claims", intro, (table,))
