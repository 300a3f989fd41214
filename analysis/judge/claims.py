"""Claims of an experiment file, and the comparisons in the data that they are about.

A claim orders the values of one axis (`order`, fastest first) or bounds the ratio of two values (`ratio`). Each
claim becomes comparisons: pairs of cases that differ in that axis only. The ratio of a comparison is always
slow / fast as claimed, so more than 1 speaks for the claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import (
    COUNT_METRICS,
    FACTOR_COLUMNS,
    METRICS,
    VARIANT_FACTORS,
    Case,
    Run,
    canonical_factor,
)

# Factors that follow from another one and so may differ with it.
_FOLLOWERS: Mapping[str, tuple[str, ...]] = {
    "variant": VARIANT_FACTORS,
    "strategy": ("variant", "exchange", "sharding", "q_block", "kv_block"),
    "exchange": ("variant", "q_block", "kv_block"),
    "sharding": ("variant", "q_block", "kv_block"),
    "algorithm": ("variant", "exchange", "sharding", "q_block", "kv_block"),
    "backend": ("variant", "q_block", "kv_block"),
    "model": ("heads", "kv_heads", "head_dim", "q_block", "kv_block"),
    "heads": ("model", "kv_heads", "q_block", "kv_block"),
    "kv_heads": ("model", "q_block", "kv_block"),
    "head_dim": ("model", "q_block", "kv_block"),
    "mask": ("causal", "variant", "sharding", "q_block", "kv_block"),
    "causal": ("mask", "variant", "sharding", "q_block", "kv_block"),
    "q_block": ("variant",),
    "kv_block": ("variant",),
    "ranks": ("nodes", "q_block", "kv_block"),
}
_TILES = ("q_block", "kv_block")


@dataclass(frozen=True)
class Claim:
    name: str
    metric: str
    over: str
    order: tuple[str, ...]  # fastest first; for a ratio claim (fast, slow)
    where: Mapping[str, tuple[str, ...]]
    is_ratio: bool = False
    minimum: float | None = None  # bounds of a ratio claim
    maximum: float | None = None
    regime: tuple[str, ...] = ()  # the axes that make one; empty: the analysis chooses

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(fast, slow) as claimed."""
        return list(zip(self.order, self.order[1:]))


@dataclass(frozen=True)
class Comparison:
    """Two cases that differ in the claim's axis only, over all launches that measured both."""

    pair: int  # index into claim.pairs
    factors: Mapping[str, str]  # what both share
    fast: Mapping[int, Case]  # by launch, attempts of one counted as that
    slow: Mapping[int, Case]

    @property
    def launches(self) -> list[tuple[int, int]]:
        """(fast, slow) launches to compare, in their order.

        Those that measured both. Between cells that have no launch in common (runs that were joined), nothing pairs them:
        the first of one with the first of the other.
        """
        common = [(launch, launch) for launch in sorted(self.fast) if launch in self.slow]
        return common or ([] if self.same_cell else list(zip(sorted(self.fast), sorted(self.slow))))

    @property
    def cases(self) -> list[Case]:
        return [*self.fast.values(), *self.slow.values()]

    @property
    def names(self) -> frozenset[str]:
        """The two cases, whichever way round."""
        return frozenset(next(iter(side.values())).case for side in (self.fast, self.slow))

    @property
    def variants(self) -> tuple[str, str]:
        """Labels (fast, slow)."""
        return next(iter(self.fast.values())).variant, next(iter(self.slow.values())).variant

    @property
    def cells(self) -> frozenset[str]:
        return frozenset(case.cell for case in self.cases)

    @property
    def same_cell(self) -> bool:
        return next(iter(self.fast.values())).cell == next(iter(self.slow.values())).cell

    @property
    def by_turns(self) -> bool:
        """Whether the two were measured in the same rounds: in one cell, or as cells of a bundle in every launch.

        What a resumed attempt measured alone was not: its launch or its bundle is another.
        """
        return self.same_cell or all(
            bool(self.fast[a].bundle) and self.fast[a].bundle == self.slow[b].bundle and self.fast[a].launch == self.slow[b].launch
            for a, b in self.launches
        )

    @property
    def same_code(self) -> bool:
        """Whether the two, on one rank, are an A/A control: strategies then differ in name only."""
        fast, slow = next(iter(self.fast.values())), next(iter(self.slow.values()))
        names = ("algorithm", "backend", "isa", "dtype", "q_block", "kv_block")
        return all(fast.factors[name] == slow.factors[name] for name in names)

    @property
    def one_rank(self) -> bool:
        return all(case.factors["ranks"] == "1" for case in self.cases)


def _require(condition: bool, name: str, problem: str) -> None:
    if not condition:
        raise UnusableInput(f"manifest.json: claim '{name}': {problem}")


def _parse_bound(name: str, ratio: Mapping[str, Any], key: str) -> float | None:
    bound = ratio.get(key)
    if bound is None:
        return None
    numeric = isinstance(bound, (int, float)) and not isinstance(bound, bool)
    _require(numeric and 0 < bound < float("inf"), name, f"ratio.{key} must be a number above zero, not {bound!r}")
    return float(bound)


def parse_claim(entry: Mapping[str, Any], number: int) -> Claim:
    """A claim from the manifest; `number` counts from 1 and names a claim that has no name."""
    name = str(entry.get("claim", f"number {number}"))
    _require("claim" in entry, name, "has no name ('claim')")
    unknown = sorted(set(entry) - {"claim", "metric", "over", "order", "ratio", "where", "regime"})
    _require(not unknown, name, f"unknown key '{', '.join(unknown)}'")
    metric = str(entry.get("metric", "time_s"))
    _require(metric in METRICS, name, f"metric '{metric}' is unknown; there are: {', '.join(METRICS)}")
    over = str(entry.get("over", "variant"))
    _require(over in FACTOR_COLUMNS, name, f"over '{over}' is not a column of cases.csv that a claim can compare")
    _require(("order" in entry) != ("ratio" in entry), name, "needs either 'order' or 'ratio'")
    where = _parse_where(entry.get("where") or {}, name)
    regime = _parse_regime(entry.get("regime") or [], name)
    _require(over not in where or over == "ranks", name, f"'{over}' is the axis compared and cannot be in 'where' too")
    if "order" in entry:
        order = entry["order"]
        _require(isinstance(order, list) and len(order) >= 2, name, "'order' needs two values or more")
        values = tuple(canonical_factor(over, value) for value in order)
        _require(len(set(values)) == len(values), name, "'order' names a value twice")
        return Claim(name, metric, over, values, where, regime=regime)
    ratio = entry["ratio"]
    _require(isinstance(ratio, dict) and "slow" in ratio and "fast" in ratio, name, "'ratio' needs 'slow' and 'fast'")
    _require(not set(ratio) - {"slow", "fast", "min", "max"}, name, "'ratio' has only slow, fast, min and max")
    minimum, maximum = _parse_bound(name, ratio, "min"), _parse_bound(name, ratio, "max")
    _require(minimum is not None or maximum is not None, name, "'ratio' needs 'min' or 'max'")
    _require(minimum is None or maximum is None or minimum < maximum, name, "ratio.min must be below ratio.max")
    values = (canonical_factor(over, ratio["fast"]), canonical_factor(over, ratio["slow"]))
    _require(values[0] != values[1], name, "'ratio' compares a value with itself")
    return Claim(name, metric, over, values, where, True, minimum, maximum, regime)


def _parse_regime(regime: object, name: str) -> tuple[str, ...]:
    _require(isinstance(regime, list), name, "'regime' must be a list of factors")
    assert isinstance(regime, list)
    for column in regime:
        _require(column in FACTOR_COLUMNS, name, f"regime: '{column}' is not a factor column of cases.csv")
    return tuple(regime)


def _parse_where(where: object, name: str) -> dict[str, tuple[str, ...]]:
    _require(isinstance(where, dict), name, "'where' must be a mapping")
    assert isinstance(where, dict)
    parsed: dict[str, tuple[str, ...]] = {}
    for column, wanted in where.items():
        _require(column in FACTOR_COLUMNS, name, f"where: '{column}' is not a factor column of cases.csv")
        values = wanted if isinstance(wanted, list) else [wanted]
        _require(len(values) > 0, name, f"where: '{column}' lists no value")
        parsed[column] = tuple(canonical_factor(column, value) for value in values)
    return parsed


def parse_claims(run: Run) -> list[Claim]:
    claims = [parse_claim(entry, number) for number, entry in enumerate(run.expect, start=1)]
    names = [claim.name for claim in claims]
    for name in names:
        _require(names.count(name) == 1, name, "appears twice")
    return claims


def _matches(case: Case, where: Mapping[str, tuple[str, ...]]) -> bool:
    return all(case.factors[column] in wanted for column, wanted in where.items())


def _group_key(case: Case, over: str) -> tuple[str, ...]:
    excluded = {over, *_FOLLOWERS.get(over, _TILES)}
    return tuple(value for name, value in case.factors.items() if name not in excluded)


def _shared(first: Case, second: Case) -> dict[str, str]:
    return {name: value for name, value in first.factors.items() if second.factors[name] == value}


def _check_values(claim: Claim, cases: list[Case]) -> None:
    present = sorted({case.factors[claim.over] for case in cases})
    for value in claim.order:
        _require(
            value in present, claim.name, f"names {claim.over} '{value}', which no case has; there are: {', '.join(present)}"
        )


def find_comparisons(claim: Claim, cases: list[Case]) -> list[Comparison]:
    """All comparisons of `claim`, in the order of the cases; raises UnusableInput where there is none."""
    cases = [case for case in cases if not case.duplicate_of]  # a copy is a control and in no claim
    _check_values(claim, cases)
    selected = [case for case in cases if _matches(case, claim.where)]
    if not selected:
        wanted = "; ".join(f"{column} = {' or '.join(values)}" for column, values in claim.where.items())
        raise UnusableInput(f"manifest.json: claim '{claim.name}': where matches no case ({wanted})")
    comparisons = _compare(claim, selected)
    _require(bool(comparisons), claim.name, f"no two cases differ in {claim.over} only, as its order needs")
    return comparisons


def _compare(claim: Claim, cases: list[Case]) -> list[Comparison]:
    groups: dict[tuple[str, ...], dict[str, dict[int, Case]]] = {}
    for case in cases:
        value = case.factors[claim.over]
        if value not in claim.order:
            continue
        by_launch = groups.setdefault(_group_key(case, claim.over), {}).setdefault(value, {})
        other = by_launch.get(case.unit)
        if other is not None and other.case == case.case:
            continue  # complete in an earlier attempt
        if other is not None:
            differing = [name for name in FACTOR_COLUMNS if other.factors[name] != case.factors[name]]
            _require(
                False, claim.name, f"'{other.case}' and '{case.case}' both are {claim.over} '{value}'; they differ in "
                f"{', '.join(differing) or 'nothing'}: choose one with 'where'",
            )  # fmt: skip
        by_launch[case.unit] = case
    comparisons = []
    for group in groups.values():
        for index, (fast, slow) in enumerate(claim.pairs):
            if fast not in group or slow not in group:
                continue
            shared = _shared(next(iter(group[fast].values())), next(iter(group[slow].values())))
            comparison = Comparison(index, shared, group[fast], group[slow])
            if comparison.launches:
                comparisons.append(comparison)
    return comparisons


def find_controls(claim: Claim, cases: list[Case]) -> list[Comparison]:
    """The A/A controls of a claim: its pairs at one rank where both names run the same code."""
    if claim.over not in VARIANT_FACTORS or claim.metric in COUNT_METRICS:
        return []
    where = {column: values for column, values in claim.where.items() if column != "ranks"}
    single = [c for c in cases if c.factors["ranks"] == "1" and not c.duplicate_of and _matches(c, where)]
    return [comparison for comparison in _compare(claim, single) if comparison.same_code]


def find_copies(cases: list[Case]) -> list[Comparison]:
    """The A/A controls of a run: each copy of a variant (slow) with its original (fast), in one cell."""
    originals = {(case.unit, case.cell, case.variant): case for case in cases if not case.duplicate_of}
    pairs: dict[str, tuple[dict[int, Case], dict[int, Case]]] = {}
    for case in cases:
        original = originals.get((case.unit, case.cell, case.duplicate_of))
        if original is not None:
            fast, slow = pairs.setdefault(case.case, ({}, {}))
            fast[case.unit], slow[case.unit] = original, case
    return [
        Comparison(0, _shared(next(iter(fast.values())), next(iter(slow.values()))), fast, slow)
        for fast, slow in pairs.values()
    ]
