"""How much of P cores a case on P ranks keeps, beside what the cores themselves keep together, round by round.

One estimate per case on P > 1 ranks for which the run has the same work on one rank (same variant and contract if measured; else
another contract or variant of the algorithm, which on one rank makes the same call of the kernel):

    efficiency  T1 / (P T_P)
    cores       what P cores reach in the measurement beside the case over P times what one does: FMA peak, for decode read
                bandwidth. Below 1 where cores share power, caches or memory
    quotient    efficiency / cores: what is left once the machine's own share is taken out, from rounds' products of time
                and peak
    hidden      overlap_fraction: 1 - exposed / total communication
    exchange/compute
                of one step of a ring: below 1 the exchange can be hidden
    slowest/fastest
                times of the ranks that finish last and first: imbalance

Intervals are of 95 %: over the launches if there are several, else over the rounds, where the two blocks were measured
at different moments (drift between them is not in it).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Mapping, Sequence

import numpy as np

from analysis.estimate import paired_statistics as stats
from analysis.estimate.paired_statistics import Interval
from analysis.estimate.trimmed_mean import TrimmedEstimate
from analysis.read.read_run import CELL_FACTORS, Case, Run, Sample

# What must agree between a case and its one-rank counterpart.
_WORK = tuple(name for name in CELL_FACTORS if name not in ("ranks", "nodes", "placement", "contract"))

Values = Callable[[Sample], float | None]


@dataclass(frozen=True)
class Efficiency:
    """One case on several ranks against its counterpart; None where something was not measured."""

    factors: Mapping[str, str]
    limit: str
    efficiency: Interval
    cores: Interval | None
    quotient: Interval | None
    hidden: Interval | None
    exchange_per_compute: Interval | None
    imbalance: Interval | None

    @property
    def hidden_resolved(self) -> bool:
        """Exchange and computing alone are timed at other moments; what is not known to be above zero is no measurement."""
        return self.hidden is not None and self.hidden.low > 0


def _key(case: Case) -> tuple[str, ...]:
    return tuple(case.factors[name] for name in _WORK)


def _is_usable(case: Case) -> bool:
    return case.status == "ok" and not case.oversubscribed and not case.duplicate_of


def _counterpart(one_rank: Sequence[Case], case: Case) -> Case | None:
    """The case on one rank that does the same work; `one_rank` are those of the same launch."""
    found = [
        other
        for other in one_rank
        if _key(other) == _key(case)
        and other.factors["algorithm"] == case.factors["algorithm"]
    ]

    def likeness(other: Case) -> list[bool]:
        return [other.factors[name] == case.factors[name] for name in ("strategy", "variant", "contract")]

    return max(found, key=likeness) if found else None


def _series(run: Run, case: Case, value: Values) -> list[float]:
    """One number per round that has one."""
    numbers = (value(sample) for sample in run.samples[case.launch, case.case] if sample.status == "ok")
    return [number for number in numbers if number is not None]


def _logs(run: Run, case: Case, value: Values) -> list[float]:
    return [math.log(number) for number in _series(run, case, value) if number > 0]


def _ratio(run: Run, above: Sequence[Case], below: Sequence[Case], value: Values, divisor: float) -> Interval | None:
    """The value of `above` / that of `below` / divisor; both by launch."""
    tops = [_logs(run, case, value) for case in above]
    bottoms = [_logs(run, case, value) for case in below]
    pairs = [(top, bottom) for top, bottom in zip(tops, bottoms) if top and bottom]
    if not pairs:
        return None
    estimate: stats.Estimate
    if len(pairs) > 1:
        medians = [float(np.median(top) - np.median(bottom)) for top, bottom in pairs]
        estimate = TrimmedEstimate(medians, sum(min(len(top), len(bottom)) for top, bottom in pairs))
    else:
        estimate = stats.BlocksEstimate(*pairs[0])
    return stats.interval_of(estimate, lambda log_ratio: stats.ratio_of(log_ratio) / divisor)


def _median(run: Run, cases: Sequence[Case], value: Values) -> Interval | None:
    """The median of a number known in every round."""
    launches = [series for series in (_series(run, case, value) for case in cases) if series]
    if not launches:
        return None
    estimate: stats.Estimate
    if len(launches) > 1:
        medians = [float(np.median(series)) for series in launches]
        estimate = TrimmedEstimate(medians, sum(map(len, launches)))
    else:
        estimate = stats.RoundsEstimate(launches[0])
    return stats.interval_of(estimate, lambda number: number)


def _metric(name: str) -> Values:
    return lambda sample: sample.metrics[name]


def _quotient_of(upper: str, lower: str, factor: float = 1.0) -> Values:
    def value(sample: Sample) -> float | None:
        above, below = sample.metrics[upper], sample.metrics[lower]
        return None if above is None or not below else factor * above / below

    return value


def _product_of(one: str, other: str) -> Values:
    def value(sample: Sample) -> float | None:
        first, second = sample.metrics[one], sample.metrics[other]
        return None if first is None or second is None else first * second

    return value


def _hidden(sample: Sample) -> float | None:
    exposed = _quotient_of("comm_exposed_s", "comm_total_s")(sample)
    return None if exposed is None else 1 - exposed


def _compare(run: Run, many: Sequence[Case], one: Sequence[Case]) -> Efficiency | None:
    """`many` on P ranks, one per launch, and their counterparts."""
    factors = many[0].factors
    ranks = int(factors["ranks"])
    time, limit = _metric("time_s"), "read_gb_per_s" if factors["phase"] == "decode" else "peak_gflops"
    efficiency = _ratio(run, one, many, time, ranks)
    if efficiency is None:
        return None
    work = _product_of("time_s", limit)
    per_step = _quotient_of("comm_total_s", "compute_s", ranks / (ranks - 1))
    return Efficiency(
        factors=factors,
        limit="read bandwidth" if factors["phase"] == "decode" else "FMA peak",
        efficiency=efficiency,
        cores=_ratio(run, many, one, _metric(limit), ranks),
        quotient=_ratio(run, one, many, work, 1.0),
        hidden=_median(run, many, _hidden),
        exchange_per_compute=_median(run, many, per_step) if factors["exchange"] == "ring" else None,
        imbalance=_median(run, many, _quotient_of("time_s", "time_min_rank_s")),
    )


def efficiencies(run: Run) -> list[Efficiency]:
    """Every case on several ranks that has a counterpart, in the order of the run."""
    groups: dict[tuple[str, ...], tuple[list[Case], list[Case]]] = {}
    one_rank: dict[int, list[Case]] = {}
    for case in run.cases:
        if case.factors["ranks"] == "1" and _is_usable(case):
            one_rank.setdefault(case.unit, []).append(case)
    for case in run.cases:
        if int(case.factors["ranks"]) == 1 or not _is_usable(case):
            continue
        counterpart = _counterpart(one_rank.get(case.unit, []), case)
        if counterpart is None:
            continue
        many, one = groups.setdefault((*(case.factors[name] for name in CELL_FACTORS), case.variant), ([], []))
        many.append(case)
        one.append(counterpart)
    compared = (_compare(run, many, one) for many, one in groups.values())
    return [found for found in compared if found is not None]
