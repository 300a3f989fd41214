"""Regimes: groups of cells that a claim is judged by first, and their words.

A regime is where a practitioner would expect one answer: a contract and a length, say. The experiment file names the axes
that make one (`expect: - regime: [contract, seq_len]`); where it does not, all factors that vary make them but the length and
the batch. The estimate of a regime pools its cells launch by launch, so it knows more than each of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Mapping, Sequence

from analysis.estimate.looks import Schedule
from analysis.judge.claims import Claim
from analysis.judge.decisions import PairResult, decide_pooled
from analysis.judge.words import DECIDED, Word, combine_cells, combine_pairs
from analysis.read.read_run import CELL_FACTORS

ROW_FACTORS = ("seq_len", "batch")  # rows of a regime table; everything else that varies makes the regime
_SAID_BY_ITSELF = ("contract", "mask", "model", "isa", "variant", "phase", "scope", "dtype")


@dataclass(frozen=True)
class CellResult:
    factors: Mapping[str, str]
    pairs: Mapping[int, PairResult]  # by index into claim.pairs
    word: Word


@dataclass(frozen=True)
class RegimePair:
    """One pair over the cells of a regime."""

    word: Word
    pooled: PairResult | None  # the estimate over all cells; of the only one if there is one
    members: Sequence[PairResult]  # that vote

    @property
    def ratio(self) -> float | None:
        return None if self.pooled is None else self.pooled.ratio

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the pooled estimate; where the word is that of the cells and not of the estimate, around those of all cells."""
        if self.pooled is not None and (self.pooled.word is self.word or self.word not in DECIDED):
            return self.pooled.interval
        ends = [member.interval for member in self.members if member.interval is not None]
        return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None


@dataclass(frozen=True)
class RegimeResult:
    label: str
    factors: Mapping[str, str]  # the axes that make it
    cells: Sequence[CellResult]
    pairs: Mapping[int, RegimePair]
    word: Word


def varying_factors(cells: Sequence[CellResult]) -> list[str]:
    # `causal` and `mask` say the same of most runs: one of them is shown.
    plain = all(cell.factors.get("mask", "full") in ("causal", "full") for cell in cells)
    hidden = "mask" if plain else "causal"
    names = [name for name in (*CELL_FACTORS, "variant") if name != hidden]
    return [name for name in names if len({cell.factors.get(name, "") for cell in cells}) > 1]


def choose_regimes(cells: Sequence[CellResult], wanted: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """(factors that make a regime, factors that tell its cells apart)."""
    varying = varying_factors(cells)
    if wanted is None:
        rows = [name for name in varying if name in ROW_FACTORS]
        if not rows and varying:
            rows = varying[-1:]
    else:
        rows = [name for name in varying if name not in wanted]
    rows.sort(key=lambda name: name in ROW_FACTORS)
    regimes = [name for name in (varying if wanted is None else wanted) if name not in rows]
    # A model's name says its head counts and width.
    if "model" in regimes + rows:
        implied = ("heads", "kv_heads", "head_dim")
        regimes = [name for name in regimes if name not in implied]
        rows = [name for name in rows if name not in implied]
    return regimes, rows


def factor_label(name: str, value: str) -> str:
    if name == "causal":
        return "causal" if value == "true" else "full"
    if name == "seq_len":
        return f"{value} tokens"
    return value if name in _SAID_BY_ITSELF else f"{name} {value}"


def regime_label(factors: Mapping[str, str], regimes: Sequence[str]) -> str:
    return ", ".join(factor_label(name, factors.get(name, "-")) for name in regimes) or "all cells"


def group_by_regime(cells: Sequence[CellResult], regimes: Sequence[str]) -> dict[str, list[CellResult]]:
    groups: dict[str, list[CellResult]] = {}
    for cell in cells:
        groups.setdefault(regime_label(cell.factors, regimes), []).append(cell)
    return groups


def _sort_key(cell: CellResult, names: Sequence[str]) -> tuple[tuple[float, str], ...]:
    key = []
    for name in names:
        value = cell.factors.get(name, "")
        try:
            key.append((float(value), ""))
        except ValueError:
            key.append((math.inf, value))
    return tuple(key)


def sort_cells(cells: Sequence[CellResult], rows: Sequence[str]) -> list[CellResult]:
    """By the factors `rows`, numbers by value."""
    return sorted(cells, key=lambda cell: _sort_key(cell, rows))


def voting_pairs(cells: Sequence[CellResult], pair: int) -> list[PairResult]:
    return [c.pairs[pair] for c in cells if pair in c.pairs and c.pairs[pair].word is not Word.NO_VOTE]


def pooled_key(claim: Claim, results: Sequence[PairResult]) -> tuple[object, ...]:
    """Two claims that pool the same comparisons are one more test, not two."""
    return claim.metric, frozenset(r.comparison.names for r in results), claim.minimum, claim.maximum


def pooled_tests(claim: Claim, cells: Sequence[CellResult], axes: Sequence[str]) -> set[tuple[object, ...]]:
    """The tests of a claim's regimes. A regime of one cell is that cell and needs none."""
    found = set()
    for group in group_by_regime(cells, axes).values():
        for pair in range(len(claim.pairs)):
            results = voting_pairs(group, pair)
            if len(results) > 1:
                found.add(pooled_key(claim, results))
    return found


def judge_regimes(
    claim: Claim, cells: Sequence[CellResult], axes: Sequence[str], schedule: Schedule, margin: float
) -> list[RegimeResult]:
    """The regimes of a claim, in the order of their axes."""
    results = []
    for label, group in group_by_regime(sort_cells(cells, axes), axes).items():
        pairs = {}
        for pair in range(len(claim.pairs)):
            voting = voting_pairs(group, pair)
            if not voting:
                continue
            pooled = voting[0] if len(voting) == 1 else decide_pooled(voting, claim, schedule, margin)
            together = pooled.word if pooled is not None else Word.NOT_RESOLVED
            pairs[pair] = RegimePair(combine_cells([r.word for r in voting], together), pooled, voting)
        factors = {name: group[0].factors.get(name, "-") for name in axes}
        results.append(RegimeResult(label, factors, group, pairs, combine_pairs([found.word for found in pairs.values()])))
    return results
