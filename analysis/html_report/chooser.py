"""'Which strategy should I use': what is shown to be the fastest in a cell, looked up. No model: only what was measured."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from analysis.html_report.blocks import Block, Chooser, Column, Field, Section, Table, clip, said
from analysis.html_report.factors import label, name_of, sort_key, value_label, varying
from analysis.html_report.inputs import Inputs, LoadedRun
from analysis.judge.decisions import PairResult
from analysis.read.read_run import VARIANT_FACTORS
from analysis.show.advice import UNKNOWN, Advice, advise

_COLUMNS = (Column("Cell"), Column("Use", wide=True), Column("Evidence", wide=True))
_SHOWN = ("contract", "seq_len", "ranks", "mask", "model")  # asked for even where there is nothing to choose

Advised = tuple[Mapping[str, str], Advice]


def _advise(loaded: LoadedRun, pairs: Sequence[PairResult]) -> Advice:
    """Where the control fails nothing is shown, whatever the pairs say."""
    found = advise(pairs, loaded.verdict.margin)
    return Advice((), f"{UNKNOWN}: {loaded.broken}.", found.evidence) if loaded.broken else found


def advise_run(loaded: LoadedRun) -> list[Advised]:
    """Every cell in which the run compares times of variants."""
    cells: dict[tuple[tuple[str, str], ...], dict[object, PairResult]] = {}
    for result in loaded.verdict.claims:
        claim = result.claim
        if claim.over != "variant" or claim.metric != "time_s" or claim.is_ratio:
            continue
        for cell in result.cells:
            factors = tuple((name, value) for name, value in cell.factors.items() if name not in VARIANT_FACTORS)
            for pair in cell.pairs.values():
                cells.setdefault(factors, {}).setdefault(pair.comparison.names, pair)
    return [(dict(key), _advise(loaded, list(pairs.values()))) for key, pairs in cells.items()]


def _asked(advised: Sequence[Advised]) -> list[str]:
    factors = [cell for cell, _ in advised]
    chosen = varying(factors, leave_out=("variant",))
    return [name for name in _SHOWN if name in chosen or name in factors[0]] + [name for name in chosen if name not in _SHOWN]


def _style(advice: Advice) -> str:
    if not advice.votes:
        return "silent"
    return "open" if not advice.use else "equal" if len(advice.use) > 1 else "for"


def _for_script(label_of_run: str, advised: Sequence[Advised]) -> dict[str, Any]:
    asked = _asked(advised)
    values = {
        name: sorted({cell.get(name, "") for cell, _ in advised}, key=lambda value: sort_key({name: value}, [name]))
        for name in asked
    }
    return {
        "run": label_of_run,
        "factors": [
            {"name": name, "title": name_of(name), "values": [[clip(v), clip(value_label(name, v))] for v in values[name]]}
            for name in asked
        ],
        "cells": [
            {
                "where": [clip(cell.get(name, "")) for name in asked],
                "style": _style(advice),
                "text": said(advice.text, 400),
                "evidence": [said(text, 400) for text in advice.evidence],
            }
            for cell, advice in advised
        ],
    }


def _rows(loaded: LoadedRun, advised: Sequence[Advised], several: bool) -> list[list[Field]]:
    names = varying([cell for cell, _ in advised], leave_out=("variant",))
    return [
        [
            Field(clip(", ".join(part for part in (loaded.label if several else "", label(cell, names)) if part))),
            Field(said(advice.text, 300), style=_style(advice)),
            Field(" | ".join(said(text, 300) for text in advice.evidence)),
        ]
        for cell, advice in sorted(advised, key=lambda pair: (not pair[1].use, sort_key(pair[0], names)))
    ]


def section(inputs: Inputs) -> Section:
    intro = (
        "Looked up in what was measured; nothing is predicted. An answer appears where the data show one variant to be faster "
        "than each of the others, or some to be equal."
    )
    found = [(loaded, advised) for loaded in inputs.runs if (advised := advise_run(loaded))]
    if not found:
        missing = "No run here compares times of strategies. ./reproduce ordering does."
        return Section("use", "Which strategy should I use?", "", (), (missing,))
    answered = sum(1 for _, advised in found for _, advice in advised if advice.use)
    total = sum(len(advised) for _, advised in found)
    rows = [row for loaded, advised in found for row in _rows(loaded, advised, len(found) > 1)]
    table = Table("use", f"All {total} cells; {answered} have an answer", _COLUMNS, rows, folded=True, filtered=True)
    blocks: list[Block] = [Chooser({"runs": [_for_script(loaded.label, advised) for loaded, advised in found]}), table]
    return Section("use", "Which strategy should I use?", intro, tuple(blocks))
