"""Rules of the register about how efficiency grows with the length, and about what bounds a case."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Mapping, Sequence

from analysis.estimate import paired_statistics as stats
from analysis.estimate.looks import CELLS_ERROR, REGIMES_ERROR, Replayed, Schedule, looks_of, replay
from analysis.estimate.rooflines import FACTORS, Roofline, read_rooflines
from analysis.estimate.trimmed_mean import TrimmedEstimate
from analysis.judge.claims import parse_claim
from analysis.judge.decisions import Decide, PairResult, bounds_of, bounds_rule, order_rule
from analysis.judge.register_entry import Entry, Outcome, RunSource
from analysis.judge.register_outcome import Evidence, Figure, Part, outcome_of
from analysis.judge.verdicts import judge_run
from analysis.judge.words import Word, combine_cells
from analysis.read.csv_table import UnusableInput
from analysis.read.plan import launch_unit
from analysis.read.read_run import canonical_factor


@dataclass(frozen=True)
class Series:
    """A cell: one logarithm per launch."""

    factors: Mapping[str, str]
    logs: Mapping[int, float]  # by launch
    rounds: int


def _replayed(series: Sequence[float], rounds: int, schedule: Schedule, rule: Decide) -> Replayed[Word]:
    """As decisions.decide_pooled does it."""

    def estimate(launches: int) -> stats.Estimate:
        if launches < 2:
            return stats.ExactEstimate(series[0])  # says nothing
        return TrimmedEstimate(series[:launches], rounds * launches // len(series))

    return replay(schedule, len(series), estimate, rule)


def _together(cells: Sequence[Series]) -> Series:
    """Per launch that has them all, the mean of the cells' logarithms, as regimes are pooled."""
    common = sorted(set.intersection(*(set(cell.logs) for cell in cells)))
    if not common:
        raise UnusableInput("no launch measured all of its cells")
    means = {unit: sum(cell.logs[unit] for cell in cells) / len(cells) for unit in common}
    return Series(cells[0].factors, means, sum(cell.rounds for cell in cells))


def judge_series(evidence: Evidence, cells: Sequence[Series], axes: Sequence[str], looks: tuple[int, ...], rule: Decide) -> None:
    """Cells and regimes as verdicts.py judges them, for numbers that are no comparison of two cases."""
    groups: dict[tuple[str, ...], list[Series]] = {}
    for cell in cells:
        groups.setdefault(tuple(cell.factors.get(name, "-") for name in axes), []).append(cell)
    alone, pooled = Schedule(looks, len(cells), CELLS_ERROR), Schedule(looks, len(groups), REGIMES_ERROR)
    for values, members in groups.items():
        each = [_replayed(list(cell.logs.values()), cell.rounds, alone, rule) for cell in members]
        words = [found.decision or Word.NOT_RESOLVED for found in each]
        all_cells = _together(members)
        together = _replayed(list(all_cells.logs.values()), all_cells.rounds, pooled, rule)
        word = combine_cells(words, together.decision or Word.NOT_RESOLVED)
        ratios = [stats.ratio_of(found.estimate.centre) for found in each]
        evidence.cells.update(words)
        if word is Word.DIFFERS:
            evidence.parts += [Part(cell.factors, own, (ratio,)) for cell, own, ratio in zip(members, words, ratios)]
        else:
            evidence.parts.append(Part(dict(zip(axes, values)), word, tuple(ratios)))
        ratio = stats.ratio_of(together.estimate.centre)
        low, high = bounds_of(together.estimate, together.level)
        evidence.figures.append(Figure(ratio, low, high) if together.estimate.launches > 1 else Figure(ratio))


# --- efficiency_growth -----------------------------------------------------------------------------------------------


def _growth_expect(entry: Entry) -> dict[str, object]:
    where = {**entry.rule.get("where", {}), "seq_len": entry.rule["seq_len"]}
    return {"claim": entry.name, "over": "ranks", "order": [entry.rule["ranks"], 1], "where": where}


def check_growth(entry: Entry) -> None:
    """Raises UnusableInput if the rule cannot be."""
    lengths, ranks = entry.rule["seq_len"], entry.rule["ranks"]
    pair = isinstance(lengths, list) and len(lengths) == 2 and all(isinstance(length, int) for length in lengths)
    if not pair or lengths[0] >= lengths[1]:
        raise UnusableInput(f"'seq_len' must be [shorter, longer], not {lengths!r}")
    if not isinstance(ranks, int) or ranks < 2:
        raise UnusableInput(f"'ranks' must be a whole number above 1, not {ranks!r}")
    parse_claim(_growth_expect(entry), 1)


def decide_growth(entry: Entry, source: RunSource) -> Outcome:
    """Efficiency at the longer length over that at the shorter one, launch by launch."""
    evidence = Evidence(exact=False)
    for name in entry.runs:
        verdict = judge_run(replace(source.run(name), expect=[_growth_expect(entry)]))
        groups: dict[tuple[tuple[str, str], ...], dict[str, PairResult]] = {}
        for cell in verdict.claims[0].voting:
            pair = cell.pairs[0]
            shared = {k: v for k, v in pair.comparison.factors.items() if k not in ("seq_len", "q_block", "kv_block")}
            groups.setdefault(tuple(sorted(shared.items())), {})[pair.comparison.factors["seq_len"]] = pair
        lengths = [str(length) for length in entry.rule["seq_len"]]
        cells = [_growth(dict(key), *(found[length] for length in lengths)) for key, found in groups.items() if len(found) == 2]
        if not cells:
            raise UnusableInput(f"run '{name}': nothing was measured at both lengths on both numbers of ranks")
        judge_series(evidence, cells, (), verdict.looks, order_rule(verdict.margin))
        evidence.launches.append(verdict.launches)
    return outcome_of(evidence)


def _growth(factors: Mapping[str, str], short: PairResult, long: PairResult) -> Series:
    if short.values is None or long.values is None:
        raise UnusableInput("a case of it was not measured")
    before, after = (dict(zip(one.units, one.values())) for one in (short.values, long.values))
    logs = {unit: after[unit] - before[unit] for unit in sorted(set(before) & set(after))}
    return Series(factors, logs, long.values.rounds(len(after)))


# --- memory_bound ----------------------------------------------------------------------------------------------------


def _bound_series(entry: Entry, name: str, source: RunSource) -> list[Series]:
    where = {
        column: {canonical_factor(column, value) for value in (values if isinstance(values, list) else [values])}
        for column, values in entry.rule.get("where", {}).items()
    }
    groups: dict[tuple[str, ...], dict[int, Roofline]] = {}
    for line in read_rooflines(source.path(name)):
        if all(line.factors.get(column) in values for column, values in where.items()):
            key = (line.variant, *(line.factors[column] for column in FACTORS))
            groups.setdefault(key, {})[launch_unit(line.launch)] = line
    return [
        Series(
            {**next(iter(lines.values())).factors, "variant": key[0]},
            {unit: math.log(line.memory_bound_s / line.compute_bound_s) for unit, line in sorted(lines.items())},
            len(lines),
        )
        for key, lines in groups.items()
    ]


def decide_memory_bound(entry: Entry, source: RunSource) -> Outcome:
    """Time to read the least bytes over time to do the operations, both at the limits measured beside: above 1 memory binds."""
    evidence = Evidence(exact=False)
    for name in entry.runs:
        cells = _bound_series(entry, name, source)
        if not cells:
            raise UnusableInput(f"run '{name}': 'where' matches no case")
        launches = max(len(cell.logs) for cell in cells)
        looks = looks_of(source.run(name).plan.looks, launches)
        judge_series(evidence, cells, entry.rule.get("regime", ["phase"]), looks, bounds_rule(1.0, None))
        evidence.launches.append(launches)
    return outcome_of(evidence)


def check_memory_bound(entry: Entry) -> None:
    """Raises UnusableInput if the rule names what a roofline does not have."""
    for name in [*entry.rule.get("where", {}), *entry.rule.get("regime", [])]:
        if name not in FACTORS:
            raise UnusableInput(f"'{name}' is no factor of a roofline; there are: {', '.join(FACTORS)}")


def limits_text(entry: Entry) -> str:
    """The rule in words."""
    if entry.kind == "memory_bound":
        return "time to read the least bytes over time to do the operations, at the limits measured beside, at least 1"
    ranks, (short, long) = entry.rule["ranks"], entry.rule["seq_len"]
    return f"efficiency on {ranks} ranks at {long} tokens over that at {short}, above 1 and not within the margin"
