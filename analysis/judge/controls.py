"""The A/A control: what equal code shows as a difference, and whether the instrument may speak at all.

Two kinds of pairs run the same code. A copy of a variant, with buffers of its own, stands beside its original in every so
many cells, at the ranks that the claims are about. At one rank, two strategies with one algorithm differ in name only. A pair
that is declared different, by the rule and the correction that judge the claims, says that the instrument is broken.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Sequence

from analysis.estimate.looks import FAMILY_ERROR, Schedule
from analysis.estimate.trimmed_mean import spread_of
from analysis.judge.claims import Claim, Comparison, find_controls, find_copies
from analysis.judge.decisions import Candidate, PairResult, decide_pair, without_unfinished
from analysis.judge.launch_values import read_values
from analysis.judge.words import Word
from analysis.read.read_run import Run


@dataclass(frozen=True)
class ControlSummary:
    """What the A/A controls of a run show."""

    results: Sequence[PairResult] = ()

    @property
    def count(self) -> int:
        return len(self.results)

    @property
    def failed(self) -> list[PairResult]:
        """Equal code, declared different."""
        return [result for result in self.results if result.word in (Word.FASTER, Word.SLOWER)]

    @property
    def copies(self) -> list[PairResult]:
        """At the ranks of the claims, not at one."""
        return [result for result in self.results if not result.comparison.one_rank]

    @property
    def including_one(self) -> int:
        return sum(1 for result in self.results if result.interval and result.interval[0] <= 1 <= result.interval[1])

    @property
    def biases(self) -> list[float]:
        """Observed ratio minus 1, per control, in order."""
        return sorted(result.ratio - 1 for result in self.results if result.ratio is not None)

    @property
    def median_bias(self) -> float | None:
        return statistics.median(self.biases) if self.biases else None

    @property
    def spread(self) -> float:
        """Standard deviation of the biases."""
        return spread_of(self.biases)


def _candidates(run: Run, claims: Sequence[Claim]) -> list[Candidate]:
    """Every pair of equal code that was measured, once."""
    asked = Claim("A/A", "time_s", "variant", (), {})
    pairs: list[tuple[Claim, Comparison]] = [(asked, comparison) for comparison in find_copies(run.cases)]
    for claim in claims:
        order = Claim(claim.name, claim.metric, claim.over, claim.order, claim.where)
        pairs += [(order, comparison) for comparison in find_controls(claim, run.cases)]
    found: dict[tuple[object, ...], Candidate] = {}
    for claim, whole in pairs:
        comparison, left_out = without_unfinished(whole)
        if any(case.status != "ok" or case.oversubscribed for case in comparison.cases):
            continue
        values = read_values(run, claim.metric, comparison)
        if not isinstance(values, str):
            candidate = Candidate(claim, comparison, "", values, None, left_out)
            found.setdefault(candidate.key, candidate)
    return list(found.values())


def judge_controls(run: Run, claims: Sequence[Claim], looks: tuple[int, ...]) -> ControlSummary:
    candidates = _candidates(run, claims)
    schedule = Schedule(looks, len(candidates), FAMILY_ERROR)
    return ControlSummary([decide_pair(candidate, schedule, run.plan.margin) for candidate in candidates])
