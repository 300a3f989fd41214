"""The words of the experiment's own claims: one row per claim, pair and regime."""

from __future__ import annotations

from analysis.html_report.blocks import Column, Field, Section, Table, clip, said
from analysis.html_report.comparisons import STYLES, warnings
from analysis.html_report.inputs import Inputs, LoadedRun
from analysis.judge.regimes import RegimePair
from analysis.judge.verdicts import ClaimResult
from analysis.show.verdict_phrases import MARKS, format_interval, phrase, short_names

_COLUMNS = (
    Column("Claim"), Column("Compared"), Column("Regime"), Column("Word"), Column("Ratio", True), Column("Launches", True),
)  # fmt: skip


def _row(loaded: LoadedRun, result: ClaimResult, regime: str, pair: int, found: RegimePair) -> list[Field]:
    names = short_names(result.claim, pair)
    text = phrase(found.word, names, found.ratio, found.interval, loaded.verdict.margin)
    launches = found.pooled.launches if found.pooled is not None else 0
    return [
        Field(clip(result.claim.name)),
        Field(clip(f"{names[1]} over {names[0]}")),
        Field(clip(regime)),
        Field(f"{MARKS[found.word]} {said(text)}", style=STYLES[found.word]),
        Field(format_interval(found.ratio, found.interval), found.ratio),
        Field(str(launches) if launches else "", launches),
    ]


def rows_of(loaded: LoadedRun) -> list[list[Field]]:
    return [
        [Field(loaded.label), *_row(loaded, result, regime.label, pair, found)]
        for result in loaded.verdict.claims
        for regime in result.regimes
        for pair, found in sorted(regime.pairs.items())
    ]


def section(inputs: Inputs) -> Section:
    intro = (
        "A regime is where one answer is expected. A ratio is slow over fast as claimed, so above 1 speaks for the claim; "
        "its interval is as wide as it takes for all words of the run to be right together."
    )
    rows = [row for loaded in inputs.runs for row in rows_of(loaded)]
    if not rows:
        missing = "No claim here has a voting regime. Claims stand under 'expect' in the experiment file; ./reproduce runs it."
        return Section("words", "Every claim, by regime", intro, (), (missing,))
    columns = [Column("Run"), *_COLUMNS]
    if len(inputs.runs) == 1:
        columns, rows = columns[1:], [row[1:] for row in rows]
    table = Table("words", "Words", columns, rows, folded=False, filtered=True)
    return Section("words", "Every claim, by regime", intro, (table,), warnings(inputs.runs))
