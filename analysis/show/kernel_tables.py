"""The tables of kernel_targets.py as text."""

from __future__ import annotations

from typing import Sequence

from analysis.judge.kernel_verdicts import Outcome, Table


def format_table(table: Table) -> str:
    what = max(len(line.what) for line in table.lines)
    target = max(len(line.target) for line in table.lines)
    rows = [
        f"  {line.what:{what}s}  {line.target:{target}s}  {line.outcome.value:8s}  {line.values}".rstrip()
        for line in table.lines
    ]
    return "\n".join([table.title, *rows])


def summary(tables: Sequence[Table]) -> str:
    """How many of the targets are met."""
    counted = [line.outcome for table in tables for line in table.lines if line.outcome is not Outcome.REPORTED]
    return f"{counted.count(Outcome.MET)} of {len(counted)} targets met"
