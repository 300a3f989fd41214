"""Looks: when a run that is still growing is judged, and what each judgement may cost.

The run is judged at numbers of launches that were fixed before it (the looks). Each of its comparisons is tested at every
look until one decides it. Bonferroni's inequality over comparisons and looks keeps the chance of any wrong word, over the
whole run however long it went on, at FAMILY_ERROR: no assumption is made on how looks or comparisons depend on each other.
Group-sequential boundaries (O'Brien and Fleming 1979; Lan and DeMets 1983) would spend the same error a little better, but
need a known joint distribution, which trimmed means over launches of unknown noise do not have.

A look's share is in proportion to its launches. With equal shares, four looks decide 95.7 % of the ratios at the margin, and with
these 96.6 %, after 3 % more launches; and the first look, where Yuen's approximation is at its worst, risks least.

Replay. The words are not stored: they follow from the data, and are found again by going through the looks on the first launches
only. Each look has its own share of the error, so the intervals of all looks hold together, and so does what they have in
common: that is the interval which is shown and from which the word follows. It only narrows. What is decided stays decided when
a cell is measured on because of another comparison in it, but for *faster*, which can become *equal* when it is seen to be
within the margin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Generic, Sequence, TypeVar

from analysis.estimate.paired_statistics import Estimate

# The chance of any wrong word in a run, and how it is divided. What it is in fact, and that intervals together miss more often than
# words are wrong, sequential_test.py finds.
FAMILY_ERROR = 0.05
CELLS_ERROR = 0.04
REGIMES_ERROR = 0.01

Decision = TypeVar("Decision")


@dataclass(frozen=True)
class Schedule:
    """The looks of a run, and the error that a family of comparisons may spend on them."""

    looks: tuple[int, ...]
    comparisons: int
    error: float

    def level(self, launches: int) -> float:
        """Of one one-sided hypothesis of one comparison: half of its share of the error at the look that comes next."""
        look = next((look for look in self.looks if look >= launches), self.looks[-1])
        return self.error / max(self.comparisons, 1) * look / sum(self.looks) / 2

    def evaluations(self, launches: int) -> list[int]:
        """Numbers of launches at which a comparison that has `launches` is judged.

        Every look up to there. A run that was stopped between two looks is judged once more, with all it has, on the share
        of the look that it did not reach. Launches beyond the last look are not looked at: that was the promise.
        """
        found = [look for look in self.looks if look <= launches]
        if 0 < launches < self.looks[-1] and launches not in self.looks:
            found.append(launches)
        return found


def looks_of(planned: Sequence[int], launches: int) -> tuple[int, ...]:
    """The looks of a run of so many launches; one that planned a single launch and was given more is judged at its end."""
    return (launches,) if tuple(planned) == (1,) and launches > 1 else tuple(planned)


class Narrowed:
    """An estimate, and the bounds that earlier looks have shown: an Estimate as paired_statistics.py describes them.

    The bounds hold whatever the level that is asked for.
    """

    def __init__(self, found: Estimate, low: float, high: float) -> None:
        self._found, self._low, self._high = found, low, high
        self.centre = min(max(found.centre, low), high)
        self.rounds, self.launches, self.method = found.rounds, found.launches, found.method

    def lower(self, error: float) -> float:
        return max(self._low, self._found.lower(error))

    def upper(self, error: float) -> float:
        return min(self._high, self._found.upper(error))

    def p_above(self, limit: float) -> float:
        return 0.0 if limit <= self._low else self._found.p_above(limit)

    def p_below(self, limit: float) -> float:
        return 0.0 if limit >= self._high else self._found.p_below(limit)


@dataclass(frozen=True)
class Replayed(Generic[Decision]):
    """What the looks found together: the decision, or None, and the estimate of the last, within the bounds of all."""

    decision: Decision | None
    estimate: Estimate
    launches: int
    level: float
    disagree: bool = False  # the intervals of two looks have nothing in common: only the last one's counts


def replay(
    schedule: Schedule,
    launches: int,
    estimate: Callable[[int], Estimate],
    decide: Callable[[Estimate, float], Decision | None],
    least: int = 2,
) -> Replayed[Decision]:
    """Goes through the looks.

    `estimate` is of the first so many launches; `decide` gets it and the level of its hypotheses. Looks at fewer than `least`
    launches say nothing: what differs between launches is not in their intervals.
    """
    low, high, disagree = -math.inf, math.inf, False
    evaluations = schedule.evaluations(launches) or [launches]
    for number in evaluations:
        found, level = estimate(number), schedule.level(number)
        if found.launches < least:
            continue
        below, above = found.lower(level), found.upper(level)
        if max(low, below) > min(high, above):
            low, high, disagree = below, above, True
        else:
            if math.isfinite(low) or math.isfinite(high):
                found = Narrowed(found, low, high)
            low, high = max(low, below), min(high, above)
    decision = decide(found, level) if found.launches >= least else None
    return Replayed(decision, found, evaluations[-1], level, disagree)
