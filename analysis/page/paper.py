"""Tables that only the paper has: the register for readers, and the artifact's table for those who rerun it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Sequence

from analysis.judge.register_entry import Decided, RegisterWord
from analysis.page.records import NOT_MEASURED, Results, table
from analysis.page.register import decided_register
from analysis.read.csv_table import UnusableInput
from analysis.show.findings import conditions
from analysis.show.register_table import figure_text, published_text

_UNSEEN = (RegisterWord.NOT_MEASURED, RegisterWord.CANNOT)
_MEMORY_BOUND = "memory-bound"


def _plain(text: str) -> str:
    """For a cell of a table."""
    return text.replace("|", "\\|")


def register_table(register: Sequence[Decided]) -> str:
    """What a run of ours says something about."""
    rows = [
        [_plain(one.entry.statement), published_text(one), figure_text(one), _verdict(one)]
        for one in register if one.outcome.verdict not in _UNSEEN
    ]  # fmt: skip
    return table(["claim", "published", "here", "verdict"], rows)


def _verdict(decided: Decided) -> str:
    word = f"**{decided.outcome.verdict}**"
    return f"{word}: {decided.outcome.reason}" if decided.outcome.verdict is RegisterWord.ONLY_WHERE else word


def _instant(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        raise UnusableInput(f"manifest.json: '{value}' is no time") from None


def minutes(results: Results, names: Sequence[str]) -> str:
    """How long the launches of these runs took together."""
    seconds = 0.0
    for name in names:
        launches = results.record(name).run.manifest["launches"]
        seconds += sum((_instant(one["ended"]) - _instant(one["started"])).total_seconds() for one in launches)
    return str(max(1, round(seconds / 60)))


def artifact_table(register: Sequence[Decided], results: Results) -> str:
    """Claim, experiment (its command and its place), minutes, rule: a row per claim that such a machine can test."""
    rows = []
    for decided in register:
        entry = decided.entry
        if decided.outcome.verdict is RegisterWord.CANNOT:
            continue
        measured = decided.outcome.verdict is not RegisterWord.NOT_MEASURED
        took = minutes(results, entry.runs) if measured else NOT_MEASURED
        rows.append([entry.name, entry.experiment, took, _plain(decided.rule_text)])
    return table(["claim", "experiment", "minutes", "reproduced if"], rows)


def memory_bound(register: Sequence[Decided]) -> str:
    """Where it is, by the register's own words."""
    for decided in register:
        if decided.entry.name == _MEMORY_BOUND:
            return decided.outcome.reason
    raise UnusableInput(f"claims.yaml has no claim '{_MEMORY_BOUND}'")


def values(results: Results) -> dict[str, str]:
    register = decided_register(results)
    return {
        "paper.register_table": register_table(register),
        "paper.artifact_table": artifact_table(register, results),
        "paper.memory_bound": memory_bound(register),
        "paper.disturbed": conditions(results.record("ordering").run).rstrip("."),
    }
