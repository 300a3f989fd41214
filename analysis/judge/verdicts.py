"""From comparisons to verdicts: per pair, per cell, per claim, and for the A/A controls.

Pair      holds / contradicted / equivalent / undecided, after Holm's correction over all voting pairs of the claim.
Cell      what its pairs say together: contradicted if any is; else equivalent if any is (a strict order fails
          there); else undecided if any is; else holds.
Claim     holds, contradicted or equivalent only if every voting cell says so. Once some cell is contradicted or
          equivalent and not all are, the claim is mixed; otherwise undecided.
Control   at one rank, two strategies with one algorithm run the same code: the interval must include 1. If a
          control shows a difference beyond the margin, the instrument is broken and the claim stays undecided.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Mapping, Sequence

from analysis.estimate import paired_statistics as stats
from analysis.judge.claims import Claim, Comparison, find_comparisons, find_controls, parse_claims
from analysis.read.read_run import COUNT_METRICS, VARIANT_FACTORS, Case, Run, Sample


class Verdict(str, Enum):
    HOLDS = "holds"
    CONTRADICTED = "contradicted"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    MIXED = "mixed"  # claims only
    NO_VOTE = "no vote"  # pairs and cells only

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class PairResult:
    comparison: Comparison
    verdict: Verdict
    reason: str  # why it is undecided or does not vote; empty where the interval says it all
    estimate: stats.Estimate | None
    # With Holm's level for this pair. None: not even a ratio of any size could have been shown.
    detectable: float | None = None
    flags: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        return None if self.estimate is None else stats.ratio_of(self.estimate.centre)

    @property
    def interval(self) -> tuple[float, float] | None:
        if self.estimate is None:
            return None
        lower, upper = (self.estimate.lower(stats.ONE_SIDED_ERROR), self.estimate.upper(stats.ONE_SIDED_ERROR))
        return stats.ratio_of(lower), stats.ratio_of(upper)


@dataclass(frozen=True)
class CellResult:
    factors: Mapping[str, str]
    pairs: Mapping[int, PairResult]  # by index into claim.pairs
    verdict: Verdict


@dataclass(frozen=True)
class ControlSummary:
    """What the A/A controls of a claim show."""

    results: Sequence[PairResult] = ()
    including_one: int = 0
    failed: Sequence[PairResult] = ()  # a difference beyond the margin
    biased: Sequence[PairResult] = ()  # 1 is excluded (after Holm), within the margin

    @property
    def measured(self) -> list[PairResult]:
        return [result for result in self.results if result.estimate is not None]

    @property
    def biases(self) -> list[float]:
        """Observed ratio minus 1, per control."""
        return sorted(result.ratio - 1 for result in self.measured if result.ratio is not None)

    @property
    def median_bias(self) -> float | None:
        return statistics.median(self.biases) if self.biases else None


@dataclass(frozen=True)
class ClaimResult:
    claim: Claim
    verdict: Verdict
    reason: str
    cells: Sequence[CellResult]
    controls: ControlSummary = field(default_factory=ControlSummary)

    @property
    def voting(self) -> list[CellResult]:
        return [cell for cell in self.cells if cell.verdict is not Verdict.NO_VOTE]

    @property
    def counts(self) -> Counter[Verdict]:
        return Counter(cell.verdict for cell in self.cells)


def _why_no_vote(claim: Claim, comparison: Comparison) -> str:
    """Why a comparison may not vote; empty if it may."""
    for case in [*comparison.fast.values(), *comparison.slow.values()]:
        if case.status != "ok":
            return f"{case.variant} {case.status}" + (f": {case.message}" if case.message else "")
    for case in [*comparison.fast.values(), *comparison.slow.values()]:
        if case.oversubscribed:
            return "oversubscribed"
        # Around the attention, the block itself sums what head-wise ranks leave apart.
        apart = case.factors["exchange"] == "none" and case.factors["scope"] == "attention"
        if apart and case.factors["ranks"] != "1" and claim.over in VARIANT_FACTORS:
            return f"{case.variant}: exchange none leaves the output sharded"
    if claim.over in VARIANT_FACTORS and comparison.factors.get("ranks") == "1":
        if comparison.same_code:
            return "one rank: the same code, a control"
        # On one rank nothing is parallel; only a claim that asks for it is about algorithms alone.
        if claim.where.get("ranks") != ("1",):
            return "one rank (votes only where: {ranks: [1]})"
    return ""


def _measurement(case: Case, sample: Sample, metric: str) -> float | None:
    """One round's value of a metric that is measured, or follows from what is measured, every round."""
    measured = sample.metrics
    if metric in measured:
        return measured[metric]
    time, total, exposed = measured["time_s"], measured["comm_total_s"], measured["comm_exposed_s"]
    if metric == "overlap_fraction":
        return None if not total or exposed is None else 1 - exposed / total
    if case.work_gflop is None or not time:
        return None
    rate = case.work_gflop / time
    if metric == "gflops":
        return rate
    peak = measured["peak_gflops"]
    return 100 * rate / peak if peak else None


def _values(run: Run, case: Case, metric: str) -> dict[int, float | None]:
    """Logarithms by round; None where the value is not positive. Failed and unmeasured rounds are left out."""
    found: dict[int, float | None] = {}
    for sample in run.samples.get((case.launch, case.case), []):
        value = _measurement(case, sample, metric)
        if sample.status == "ok" and value is not None:
            found[sample.round] = math.log(value) if value > 0 else None
    return found


def _present(values: Mapping[int, float | None]) -> list[float]:
    return [value for value in values.values() if value is not None]


def _estimate_count(claim: Claim, comparison: Comparison) -> stats.Estimate | str:
    fast_launch, slow_launch = comparison.launches[0]
    fast = comparison.fast[fast_launch].counts[claim.metric]
    slow = comparison.slow[slow_launch].counts[claim.metric]
    if fast is None or slow is None:
        return f"{claim.metric} was not measured"
    return stats.ExactEstimate(math.log(slow / fast)) if fast > 0 and slow > 0 else f"{claim.metric} is zero"


def estimate(run: Run, claim: Claim, comparison: Comparison) -> stats.Estimate | str:
    """The ratio slow / fast, or why there is none.

    Rounds in which the metric is not positive (exposed communication lost in the noise) have no logarithm. They
    are not dropped, which would keep only the large values: the comparison then has no ratio at all.
    """
    if claim.metric in COUNT_METRICS:
        return _estimate_count(claim, comparison)
    per_launch: list[tuple[list[float], list[float]]] = []
    for fast_launch, slow_launch in comparison.launches:
        fast = _values(run, comparison.fast[fast_launch], claim.metric)
        slow = _values(run, comparison.slow[slow_launch], claim.metric)
        if comparison.same_cell:
            rounds = sorted(set(fast) & set(slow))
            fast, slow = {n: fast[n] for n in rounds}, {n: slow[n] for n in rounds}
        if None in fast.values() or None in slow.values():
            return f"{claim.metric} is zero or negative in some rounds"
        if fast and slow:
            per_launch.append((_present(slow), _present(fast)))
    if not per_launch:
        return f"{claim.metric} was not measured"
    if len(per_launch) > 1:
        if comparison.same_cell:
            medians = [statistics.median(s - f for s, f in zip(slow, fast)) for slow, fast in per_launch]
        else:
            medians = [statistics.median(slow) - statistics.median(fast) for slow, fast in per_launch]
        return stats.LaunchesEstimate(medians, sum(min(len(slow), len(fast)) for slow, fast in per_launch))
    slow_logs, fast_logs = per_launch[0]
    if comparison.same_cell:
        return stats.RoundsEstimate([s - f for s, f in zip(slow_logs, fast_logs)])
    return stats.BlocksEstimate(slow_logs, fast_logs)


def _order_p_values(found: stats.Estimate) -> tuple[float, float, float]:
    """p-values for holds, contradicted and equivalent."""
    above, below = math.log(1 + stats.MARGIN), math.log(1 - stats.MARGIN)
    return (
        found.p_above(above),
        found.p_below(below),
        max(found.p_below(above), found.p_above(below)),
    )


def _ratio_p_values(claim: Claim, found: stats.Estimate) -> tuple[float, float, float]:
    """p-values for inside the bounds, outside them; a bounded ratio has no equivalence."""
    inside, outside = [0.0], [1.0]
    if claim.minimum is not None:
        inside.append(found.p_above(math.log(claim.minimum)))
        outside.append(found.p_below(math.log(claim.minimum)))
    if claim.maximum is not None:
        inside.append(found.p_below(math.log(claim.maximum)))
        outside.append(found.p_above(math.log(claim.maximum)))
    return max(inside), min(outside), 1.0


_DECISIONS = (Verdict.HOLDS, Verdict.CONTRADICTED, Verdict.EQUIVALENT)


def _flags(comparison: Comparison, found: stats.Estimate) -> tuple[str, ...]:
    flags = []
    if any(case.drifted for case in [*comparison.fast.values(), *comparison.slow.values()]):
        flags.append("times drifted during the cell")
    if isinstance(found, stats.RoundsEstimate) and found.inflation > 1:
        flags.append(f"rounds not independent, interval widened {math.sqrt(found.inflation):.1f} x")
    if isinstance(found, stats.BlocksEstimate):
        flags.append("not paired: drift between the two blocks is not in the interval")
    return tuple(flags)


def _why_undecided(claim: Claim, found: stats.Estimate, level: float, alone: Verdict) -> tuple[str, float | None]:
    """The reason, and the smallest ratio that could have been detected at this level."""
    effort = f"{found.rounds} rounds, {found.launches} launch" + ("es" if found.launches > 1 else "")
    if math.isinf(found.lower(level)) or math.isinf(found.upper(level)):
        return f"too few rounds to say anything ({effort})", None
    detectable = stats.detectable_ratio(found, level)
    prefix = f"{alone} on its own, not after Holm's correction; " if alone is not Verdict.UNDECIDED else ""
    if claim.is_ratio:
        reach = stats.ratio_of((found.upper(level) - found.lower(level)) / 2)
        known = f"+-{100 * (reach - 1):.2g} %" if reach < 1.5 else f"a factor of {min(reach, 999):.3g}"
        return f"{prefix}a bound lies in the interval; the ratio is known to {known} ({effort})", detectable
    smallest = f"{detectable:.3f}" if detectable < 10 else "nothing below 10"
    return f"{prefix}could have detected {smallest} ({effort})", detectable


def judge_pairs(run: Run, claim: Claim, comparisons: Sequence[Comparison]) -> list[PairResult]:
    """A verdict for every comparison, Holm-corrected over those that vote."""
    reasons = [_why_no_vote(claim, comparison) for comparison in comparisons]
    estimates: list[stats.Estimate | None] = []
    for index, comparison in enumerate(comparisons):
        found = estimate(run, claim, comparison)
        estimates.append(None if isinstance(found, str) else found)
        if isinstance(found, str):
            reasons[index] = reasons[index] or found
    voting = [index for index, reason in enumerate(reasons) if not reason]
    results = {index: PairResult(comparisons[index], Verdict.NO_VOTE, reasons[index], estimates[index])
               for index in range(len(comparisons)) if index not in voting}  # fmt: skip
    judged = [(comparisons[i], e) for i in voting if (e := estimates[i]) is not None]
    results.update(zip(voting, _judge_voting(claim, judged)))
    return [results[index] for index in range(len(comparisons))]


def _judge_voting(claim: Claim, voting: Sequence[tuple[Comparison, stats.Estimate]]) -> list[PairResult]:
    found = [estimated for _, estimated in voting]
    p_values = [_ratio_p_values(claim, e) if claim.is_ratio else _order_p_values(e) for e in found]
    families = [stats.holm([p[kind] for p in p_values]) for kind in range(3)]
    results = []
    for index, (comparison, estimated) in enumerate(voting):
        decided = [_DECISIONS[kind] for kind in range(3) if families[kind][index].rejected]
        flags = _flags(comparison, estimated)
        if decided:
            results.append(PairResult(comparison, decided[0], "", estimated, flags=flags))
            continue
        alone = [_DECISIONS[kind] for kind in range(3) if p_values[index][kind] <= stats.ONE_SIDED_ERROR]
        reason, detectable = _why_undecided(
            claim, estimated, families[0][index].level, alone[0] if alone else Verdict.UNDECIDED
        )
        results.append(PairResult(comparison, Verdict.UNDECIDED, reason, estimated, detectable, flags))
    return results


def combine_pairs(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a cell whose pairs have these verdicts; pairs without a vote do not count."""
    for verdict in (Verdict.CONTRADICTED, Verdict.EQUIVALENT, Verdict.UNDECIDED, Verdict.HOLDS):
        if verdict in verdicts:
            return verdict
    return Verdict.NO_VOTE


def combine_cells(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a claim whose cells have these verdicts; cells without a vote do not count."""
    votes = {verdict for verdict in verdicts if verdict is not Verdict.NO_VOTE}
    if len(votes) == 1:
        return votes.pop()
    if votes & {Verdict.CONTRADICTED, Verdict.EQUIVALENT}:
        return Verdict.MIXED
    return Verdict.UNDECIDED


def _group_cells(results: Sequence[PairResult]) -> list[CellResult]:
    groups: dict[tuple[tuple[str, str], ...], dict[int, PairResult]] = {}
    cells: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
    for result in results:
        factors = result.comparison.factors
        key = tuple(sorted((k, v) for k, v in factors.items() if k not in VARIANT_FACTORS or k == "variant"))
        groups.setdefault(key, {})[result.comparison.pair] = result
        cells.setdefault(key, factors)
    return [CellResult(cells[key], pairs, combine_pairs([r.verdict for r in pairs.values()]))
            for key, pairs in groups.items()]  # fmt: skip


def judge_controls(run: Run, claim: Claim, cases: list[Case]) -> ControlSummary:
    comparisons = find_controls(claim, cases)
    usable = [c for c in comparisons if all(case.status == "ok" and not case.oversubscribed
              for case in [*c.fast.values(), *c.slow.values()])]  # fmt: skip
    measured = [(c, e) for c in usable if not isinstance(e := estimate(run, claim, c), str)]
    order = Claim(claim.name, claim.metric, claim.over, claim.order, claim.where)
    results = _judge_voting(order, measured)
    # Two-sided: 1 is excluded if either bound passes it at half of 5 %.
    differs = stats.holm([min(e.p_above(0.0), e.p_below(0.0)) for _, e in measured])
    including = sum(1 for r in results if r.interval is not None and r.interval[0] <= 1 <= r.interval[1])
    failed = [r for r in results if r.verdict in (Verdict.HOLDS, Verdict.CONTRADICTED)]
    biased = [r for r, d in zip(results, differs) if d.rejected and r not in failed]
    return ControlSummary(results, including, failed, biased)


def judge_claim(run: Run, claim: Claim) -> ClaimResult:
    cells = _group_cells(judge_pairs(run, claim, find_comparisons(claim, run.cases)))
    controls = judge_controls(run, claim, run.cases)
    verdict = combine_cells([cell.verdict for cell in cells])
    reason = ""
    if all(cell.verdict is Verdict.NO_VOTE for cell in cells):
        reason = "no cell votes"
    elif controls.failed:
        verdict = Verdict.UNDECIDED
        reason = f"the A/A control fails in {len(controls.failed)} of {len(controls.measured)} cells"
    return ClaimResult(claim, verdict, reason, cells, controls)


def judge_run(run: Run) -> list[ClaimResult]:
    """Judges every claim of the experiment; raises UnusableInput where a claim does not fit the data."""
    return [judge_claim(run, claim) for claim in parse_claims(run)]


EXIT_HOLDS, EXIT_NOT_ALL_HOLD, EXIT_UNUSABLE, EXIT_UNDECIDED = 0, 1, 2, 3


def exit_code(results: Sequence[ClaimResult]) -> int:
    """0 every claim holds, 1 some claim is known not to hold, 3 none is known not to hold but some are open."""
    verdicts = {result.verdict for result in results}
    if verdicts & {Verdict.CONTRADICTED, Verdict.EQUIVALENT, Verdict.MIXED}:
        return EXIT_NOT_ALL_HOLD
    return EXIT_UNDECIDED if Verdict.UNDECIDED in verdicts else EXIT_HOLDS
