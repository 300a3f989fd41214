"""From comparisons to words: who votes, the family that shares the error, and the decision at each look."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Callable, Mapping, Sequence

from analysis.estimate import paired_statistics as stats
from analysis.estimate.looks import Schedule, replay
from analysis.estimate.trimmed_mean import TRIMMED_ONE_IN, TrimmedEstimate
from analysis.judge.claims import Claim, Comparison
from analysis.judge.launch_values import LaunchValues, count_estimate, read_values
from analysis.judge.words import Word
from analysis.read.read_run import COUNT_METRICS, VARIANT_FACTORS, Run

Decide = Callable[[stats.Estimate, float], Word | None]


@dataclass(frozen=True)
class PairResult:
    """One comparison and its word."""

    comparison: Comparison
    word: Word
    reason: str  # why it is not resolved or does not vote; empty where the interval says it all
    estimate: stats.Estimate | None
    # Error of one side of the interval: corrected for comparisons and looks where the word is.
    level: float = stats.ONE_SIDED_ERROR
    values: LaunchValues | None = None
    flags: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        return None if self.estimate is None else stats.ratio_of(self.estimate.centre)

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.estimate is None else bounds_of(self.estimate, self.level)

    @property
    def launches(self) -> int:
        return 0 if self.estimate is None else self.estimate.launches

    def sensitivity(self) -> dict[str, float]:
        """The ratio had the median or the minimum of a launch's samples been its value, over the same launches."""
        if self.values is None or self.estimate is None or self.estimate.launches < 2:
            return {}
        return {
            how: stats.ratio_of(self.values.estimate(self.estimate.launches, how).centre) for how in ("median", "minimum")
        }


def bounds_of(estimate: stats.Estimate, level: float) -> tuple[float, float]:
    """As ratios."""
    return stats.ratio_of(estimate.lower(level)), stats.ratio_of(estimate.upper(level))


def half_width(estimate: stats.Estimate, level: float) -> float:
    """w of 'known to +-w %', as a fraction; infinite where the data give no bounds."""
    return stats.ratio_of((estimate.upper(level) - estimate.lower(level)) / 2) - 1


@dataclass(frozen=True)
class Candidate:
    """A comparison before it is judged: its values, or the reason why it does not vote."""

    claim: Claim
    comparison: Comparison
    reason: str
    values: LaunchValues | None
    exact: stats.Estimate | None  # counted, without noise
    left_out: int = 0  # launches in which one of the two was not finished

    @property
    def votes(self) -> bool:
        return not self.reason

    @property
    def key(self) -> tuple[object, ...]:
        """Two claims that ask the same of the same pair are one comparison."""
        return self.claim.metric, self.comparison.names, self.claim.minimum, self.claim.maximum


def without_unfinished(comparison: Comparison) -> tuple[Comparison, int]:
    """The comparison without launches in which a case ran out of time, and how many these are.

    One in five is the share that the trimmed mean can bear; with more, what is left is a selection and nothing is left out:
    the comparison then has no vote. A case that failed is wrong, and not just late: it is never left out.
    """
    late = {
        unit for side in (comparison.fast, comparison.slow) for unit, case in side.items() if case.status not in ("ok", "failed")
    }
    if not late or TRIMMED_ONE_IN * len(late) > len(comparison.launches):
        return comparison, 0
    fast, slow = ({u: c for u, c in side.items() if u not in late} for side in (comparison.fast, comparison.slow))
    return replace(comparison, fast=fast, slow=slow), len(late)


def _why_no_vote(claim: Claim, comparison: Comparison) -> str:
    """Why a comparison may not vote; empty if it may."""
    for case in comparison.cases:
        if case.status != "ok":
            return f"{case.variant} {case.status}" + (f": {case.message}" if case.message else "")
    for case in comparison.cases:
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


def make_candidate(run: Run, claim: Claim, comparison: Comparison) -> Candidate:
    comparison, left_out = without_unfinished(comparison)
    reason = _why_no_vote(claim, comparison)
    if claim.metric in COUNT_METRICS:
        exact = count_estimate(claim, comparison)
        if isinstance(exact, str):
            return Candidate(claim, comparison, reason or exact, None, None)
        return Candidate(claim, comparison, reason, None, exact)
    values = read_values(run, claim.metric, comparison)
    if isinstance(values, str):
        return Candidate(claim, comparison, reason or values, None, None)
    return Candidate(claim, comparison, reason, values, None, left_out)


def family_size(candidates: Sequence[Candidate]) -> int:
    """Distinct voting comparisons; what is counted instead of timed cannot be wrong and takes no share."""
    return len({candidate.key for candidate in candidates if candidate.votes and candidate.exact is None})


def order_rule(margin: float) -> Decide:
    """Shown to lie within the margin; else shown above 1, or below.

    A simultaneous half-width of half the margin then decides every comparison, whatever its ratio. The two words overlap: of a
    ratio within the margin that is not 1, either can come, and is right.
    """
    limit = math.log1p(margin)

    def decide(found: stats.Estimate, level: float) -> Word | None:
        if found.p_below(limit) <= level and found.p_above(-limit) <= level:
            return Word.EQUAL
        if found.p_above(0.0) <= level:
            return Word.FASTER
        if found.p_below(0.0) <= level:
            return Word.SLOWER
        return None

    return decide


def bounds_rule(minimum: float | None, maximum: float | None) -> Decide:
    """Shown inside the bounds of a ratio, or outside; there is no margin."""

    def decide(found: stats.Estimate, level: float) -> Word | None:
        inside, outside = [0.0], [1.0]
        if minimum is not None:
            inside.append(found.p_above(math.log(minimum)))
            outside.append(found.p_below(math.log(minimum)))
        if maximum is not None:
            inside.append(found.p_below(math.log(maximum)))
            outside.append(found.p_above(math.log(maximum)))
        if max(inside) <= level:
            return Word.INSIDE
        return Word.OUTSIDE if min(outside) <= level else None

    return decide


def rule_of(claim: Claim, margin: float) -> Decide:
    return bounds_rule(claim.minimum, claim.maximum) if claim.is_ratio else order_rule(margin)


def _flags(candidate: Candidate, found: stats.Estimate) -> tuple[str, ...]:
    comparison = candidate.comparison
    flags = []
    if candidate.left_out:
        flags.append(f"{candidate.left_out} launch{'es' if candidate.left_out > 1 else ''} left out, which ran out of time")
    drifted = sum(case.drifted for case in comparison.cases)
    if 2 * drifted > len(comparison.cases):
        flags.append("times drifted during the cell")
    if isinstance(found, stats.RoundsEstimate) and found.inflation > 1:
        flags.append(f"rounds not independent, interval widened {math.sqrt(found.inflation):.1f} x")
    if isinstance(found, stats.BlocksEstimate):
        flags.append("not paired: drift between the two blocks is not in the interval")
    return tuple(flags)


def effort(found: stats.Estimate) -> str:
    launches = f"{found.launches} launch" + ("es" if found.launches > 1 else "")
    return f"{launches}, {found.rounds} round" + ("s" if found.rounds > 1 else "")


def width_text(found: stats.Estimate, level: float) -> str:
    """'+-3 %', or that there is no interval."""
    width = half_width(found, level)
    if not math.isfinite(width):
        return "no interval: too few rounds"
    if width >= 0.995:
        return f"known to a factor of {min(width + 1, 999):.3g}"
    return f"+-{100 * width:.{0 if width >= 0.0995 else 1}f} %"


def decide_pair(candidate: Candidate, schedule: Schedule, margin: float) -> PairResult:
    """The word of one comparison, from its looks."""
    comparison, values = candidate.comparison, candidate.values
    if candidate.exact is not None:
        exact, word = candidate.exact, Word.NO_VOTE
        if candidate.votes:
            word = rule_of(candidate.claim, margin)(exact, stats.ONE_SIDED_ERROR) or Word.NOT_RESOLVED
        return PairResult(comparison, word, candidate.reason, exact)
    if values is None:
        return PairResult(comparison, Word.NO_VOTE, candidate.reason, None)
    launches = len(values.launches)
    if not candidate.votes:
        found = values.estimate(launches)
        return PairResult(comparison, Word.NO_VOTE, candidate.reason, found, values=values)
    if launches == 1 and not comparison.one_rank:
        found = values.estimate(1)
        reason = "one launch: an estimate; what differs from launch to launch is not in its interval"
        return PairResult(comparison, Word.ESTIMATE_ONLY, reason, found, values=values, flags=_flags(candidate, found))
    least = 1 if comparison.one_rank else 2
    replayed = replay(schedule, launches, values.estimate, rule_of(candidate.claim, margin), least)
    found, flags = replayed.estimate, _flags(candidate, replayed.estimate)
    if replayed.disagree:
        flags = (*flags, "two looks have no ratio in common")
    if replayed.decision is not None:
        return PairResult(comparison, replayed.decision, "", found, replayed.level, values, flags)
    reason = f"{width_text(found, replayed.level)} ({effort(found)})"
    return PairResult(comparison, Word.NOT_RESOLVED, reason, found, replayed.level, values, flags)


def pooled_values(results: Sequence[PairResult]) -> tuple[list[float], int]:
    """Per launch that measured them all, the mean of the log ratios of these comparisons; and the rounds behind them."""
    series: list[Mapping[int, float]] = []
    for result in results:
        if result.values is None:
            return [], 0
        series.append(dict(zip(result.values.units, result.values.values())))
    common = sorted(set.intersection(*(set(one) for one in series))) if series else []
    rounds = sum(result.values.rounds(len(common)) for result in results if result.values is not None)
    return [sum(one[unit] for one in series) / len(series) for unit in common], rounds


def decide_pooled(results: Sequence[PairResult], claim: Claim, schedule: Schedule, margin: float) -> PairResult | None:
    """The word of several comparisons of one pair together; None where fewer than two launches measured all of them."""
    means, rounds = pooled_values(results)
    if len(means) < 2:
        return None

    def estimate(launches: int) -> stats.Estimate:
        if launches < 2:
            return stats.ExactEstimate(means[0])  # says nothing
        return TrimmedEstimate(means[:launches], rounds * launches // len(means))

    replayed = replay(schedule, len(means), estimate, rule_of(claim, margin))
    found = replayed.estimate
    word = replayed.decision or Word.NOT_RESOLVED
    reason = "" if replayed.decision else f"{width_text(found, replayed.level)} ({effort(found)})"
    return PairResult(results[0].comparison, word, reason, found, replayed.level)
