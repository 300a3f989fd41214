"""The checked-in runs that the pages are about, each read once, and how their figures are written."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any, Mapping, Sequence

from analysis.estimate import paired_statistics as stats
from analysis.estimate.paired_statistics import Interval
from analysis.estimate.trimmed_mean import TrimmedEstimate
from analysis.judge.decisions import PairResult
from analysis.judge.verdicts import ClaimResult, RunVerdict, judge_run
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import Case, Run, read_run
from analysis.show.text_table import markdown_table

LINKS = {"unshaped": "unshaped", "10gbit": "10 Gbit", "1gbit": "1 Gbit", "shared_memory": "shared memory"}
NOT_MEASURED = ""


class Record:
    """One run directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @cached_property
    def run(self) -> Run:
        return read_run(self.directory)

    @cached_property
    def judged(self) -> RunVerdict:
        return judge_run(self.run)

    def claim(self, name: str) -> ClaimResult:
        return self.judged.claim(name)

    @property
    def launches(self) -> int:
        return len({case.unit for case in self.run.cases})

    @property
    def cells(self) -> int:
        return len({case.cell for case in self.run.cases})

    @property
    def rounds(self) -> str:
        """Of one case in one launch."""
        return span(case.rounds for case in self.run.cases)

    def launch_facts(self) -> Mapping[str, Any]:
        """What the manifest says of the first launch."""
        launches = self.run.manifest.get("launches")
        if not isinstance(launches, list) or not launches or not isinstance(launches[0], dict):
            raise UnusableInput(f"{self.directory / 'manifest.json'}: no launches")
        return launches[0]


class Results:
    """results/: records by 'experiment' or 'experiment/link'."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._records: dict[str, Record] = {}

    def record(self, name: str) -> Record:
        experiment, _, link = name.partition("/")
        return self._records.setdefault(name, Record(self.directory / experiment / "reference" / link))

    def links(self, experiment: str) -> dict[str, Record]:
        """The runs of an experiment over links, by the name of the link."""
        directory = self.directory / experiment / "reference"
        found = {link: self.record(f"{experiment}/{link}") for link in LINKS if (directory / link / "cases.csv").is_file()}
        if not found:
            raise UnusableInput(f"{directory}: no run over any link")
        return found


def span(values: Any) -> str:
    """'15', or '2 to 36'."""
    ordered = sorted(set(values))
    return str(ordered[0]) if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """'1 cell', '3 cells'."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def precise(interval: Interval) -> str:
    """'1.031 [1.021, 1.044]'; an interval that the data cannot bound says so."""
    if interval.low <= 0 or not math.isfinite(interval.high):
        return f"{interval.centre:.3f} [no bounds]"
    return f"{interval.centre:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def precise_pair(pair: PairResult) -> str:
    """'1.031 [1.021, 1.044]' of a comparison, the interval as wide as its word needs."""
    if pair.ratio is None or pair.interval is None:
        return "no ratio"
    return precise(Interval(pair.interval[0], pair.ratio, pair.interval[1]))


def percent(interval: Interval) -> str:
    """'91.5 [90.9, 92.1]', from fractions."""
    return f"{100 * interval.centre:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def over_launches(medians: Sequence[float], rounds: int) -> Interval:
    """Of logarithms, one per launch."""
    return stats.interval_of(TrimmedEstimate(medians, rounds))


def mask(case_or_factors: Case | Mapping[str, str]) -> str:
    factors = case_or_factors.factors if isinstance(case_or_factors, Case) else case_or_factors
    return "causal" if factors["causal"] == "true" else "full"


def model(factors: Mapping[str, str]) -> str:
    """The name people use."""
    return factors["model"].replace("qwen3-", "Qwen3-").replace("6b", "6B").replace("8b", "8B")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        raise UnusableInput("a table of a page would be empty")
    return "\n".join(markdown_table(header, rows))
