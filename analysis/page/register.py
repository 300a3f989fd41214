"""Figures about the original study's claims, one by one: analysis/claims.yaml, decided by the checked-in runs."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from analysis.judge.register import decide_register, read_register
from analysis.judge.register_entry import SETTLED, Decided, run_directory
from analysis.judge.verdicts import RunVerdict
from analysis.page.records import Results, table
from analysis.read.read_run import Run
from analysis.show.register_table import HEADER, counts_text, row


class CheckedInRuns:
    """results/*/reference as the register's rules ask for it; each run is read and judged once for all pages."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def path(self, name: str) -> Path:
        return self._results.directory / run_directory(name)

    def has(self, name: str) -> bool:
        return (self.path(name) / "manifest.json").is_file()

    def run(self, name: str) -> Run:
        return self._results.record(name).run

    def judged(self, name: str) -> RunVerdict:
        return self._results.record(name).judged


def decided_register(results: Results) -> list[Decided]:
    """Every entry with its verdict; raises UnusableInput."""
    return list(decide_register(read_register(results.directory.parent), CheckedInRuns(results)))


def _settled(register: Sequence[Decided]) -> int:
    return sum(1 for decided in register if decided.outcome.verdict in SETTLED)


def values(results: Results) -> dict[str, str]:
    register = decided_register(results)
    return {
        "register.entries": str(len(register)),
        "register.settled": str(_settled(register)),
        "register.counts": counts_text(register),
        "register.table": table(HEADER, [row(decided) for decided in register]),
    }
