"""The verdict on a run: a word per comparison, cell, regime and claim, and whether the A/A control lets them stand.

Comparison  faster, slower or equal, where the first look that can say so says so; else not resolved. One launch on several
            ranks: estimate only.
Cell        what its pairs say together: a strict order fails where one pair does.
Regime      one word if all its cells have it; 'differs' if cells are decided both ways; else that of its pooled estimate.
Claim       confirmed if every regime has every pair faster; refuted if some regime is slower or equal and none is in
            favour; 'depends on the regime' if some are for it and some against; else open. Open, whatever the cells say, if
            the control declares equal code different.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Sequence

from analysis.estimate.looks import CELLS_ERROR, REGIMES_ERROR, Schedule, looks_of
from analysis.judge.claims import Claim, find_comparisons, parse_claims
from analysis.judge.controls import ControlSummary, judge_controls
from analysis.judge.decisions import Candidate, PairResult, decide_pair, family_size, make_candidate
from analysis.judge.regimes import CellResult, RegimeResult, choose_regimes, judge_regimes, pooled_tests
from analysis.judge.words import DECIDED, ClaimWord, Word, combine_pairs, combine_regimes
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import FACTOR_COLUMNS, VARIANT_FACTORS, Run


@dataclass(frozen=True)
class ClaimResult:
    claim: Claim
    word: ClaimWord
    reason: str  # why it is open although its regimes may say something
    cells: Sequence[CellResult]
    regimes: Sequence[RegimeResult]
    axes: Sequence[str]  # that make a regime
    rows: Sequence[str]  # that tell the cells of one apart

    @property
    def voting(self) -> list[CellResult]:
        return [cell for cell in self.cells if cell.word is not Word.NO_VOTE]

    @property
    def decided(self) -> list[CellResult]:
        return [cell for cell in self.cells if cell.word in DECIDED]

    @property
    def counts(self) -> Counter[Word]:
        return Counter(cell.word for cell in self.cells)


@dataclass(frozen=True)
class RunVerdict:
    claims: Sequence[ClaimResult]
    controls: ControlSummary
    margin: float
    looks: tuple[int, ...]
    launches: int
    cells_schedule: Schedule
    regimes_schedule: Schedule

    def claim(self, name: str) -> ClaimResult:
        for result in self.claims:
            if result.claim.name == name:
                return result
        there = ", ".join(result.claim.name for result in self.claims) or "none"
        raise UnusableInput(f"manifest.json: no claim '{name}'; there are: {there}")

    def voting_pairs(self) -> dict[tuple[object, ...], PairResult]:
        """The voting comparisons of the run, each once."""
        found: dict[tuple[object, ...], PairResult] = {}
        for result in self.claims:
            for cell in result.voting:
                for pair in cell.pairs.values():
                    if pair.word is not Word.NO_VOTE:
                        claim = result.claim
                        found[claim.metric, pair.comparison.names, claim.minimum, claim.maximum] = pair
        return found

    def open_cells(self) -> list[str]:
        """Ids of the cells in which some voting comparison is not decided."""
        open_pairs = [pair for pair in self.voting_pairs().values() if pair.word not in DECIDED]
        return sorted({cell for pair in open_pairs for cell in pair.comparison.cells})


def _group_cells(results: Sequence[PairResult]) -> list[CellResult]:
    groups: dict[tuple[tuple[str, str], ...], dict[int, PairResult]] = {}
    for result in results:
        factors = result.comparison.factors
        key = tuple(sorted((k, v) for k, v in factors.items() if k not in VARIANT_FACTORS or k == "variant"))
        groups.setdefault(key, {})[result.comparison.pair] = result
    return [
        CellResult(next(iter(pairs.values())).comparison.factors, pairs, combine_pairs([r.word for r in pairs.values()]))
        for pairs in groups.values()
    ]


def _axes(claim: Claim, cells: Sequence[CellResult], wanted: Sequence[str] | None) -> tuple[list[str], list[str]]:
    chosen = wanted if wanted is not None else (claim.regime or None)
    voting = [cell for cell in cells if cell.word is not Word.NO_VOTE]
    return choose_regimes(voting or cells, chosen)


def _claim_word(regimes: Sequence[RegimeResult], controls: ControlSummary) -> tuple[ClaimWord, str]:
    """And the reason, where the regimes alone do not give it."""
    words = [regime.word for regime in regimes if regime.word is not Word.NO_VOTE]
    if not words:
        return ClaimWord.OPEN, "no cell votes"
    if controls.failed:
        return ClaimWord.OPEN, f"the A/A control fails: {len(controls.failed)} of {controls.count} pairs of equal code differ"
    word = combine_regimes(words)
    if word is ClaimWord.OPEN and set(words) == {Word.ESTIMATE_ONLY}:
        return word, "one launch gives estimates, no verdict"
    return word, ""


def judge_run(run: Run, wanted_regimes: Sequence[str] | None = None) -> RunVerdict:
    """Judges every claim of the experiment; raises UnusableInput where a claim does not fit the data."""
    for name in wanted_regimes or ():
        if name not in FACTOR_COLUMNS:
            raise UnusableInput(f"'{name}' is not a factor; there are: {', '.join(FACTOR_COLUMNS)}")
    claims = parse_claims(run)
    launches = len({case.unit for case in run.cases})
    looks, margin = looks_of(run.plan.looks, launches), run.plan.margin
    asked: list[list[Candidate]] = [
        [make_candidate(run, claim, comparison) for comparison in find_comparisons(claim, run.cases)] for claim in claims
    ]
    schedule = Schedule(looks, family_size([candidate for each in asked for candidate in each]), CELLS_ERROR)
    cells = [_group_cells([decide_pair(candidate, schedule, margin) for candidate in each]) for each in asked]
    axes = [_axes(claim, group, wanted_regimes) for claim, group in zip(claims, cells)]
    tests = set().union(*(pooled_tests(c, group, names) for c, group, (names, _) in zip(claims, cells, axes)))
    together = Schedule(looks, len(tests), REGIMES_ERROR)
    controls = judge_controls(run, claims, looks)
    results = []
    for claim, group, (names, rows) in zip(claims, cells, axes):
        voting = [cell for cell in group if cell.word is not Word.NO_VOTE]
        regimes = judge_regimes(claim, voting, names, together, margin)
        word, reason = _claim_word(regimes, controls)
        results.append(ClaimResult(claim, word, reason, group, regimes, names, rows))
    return RunVerdict(results, controls, margin, looks, launches, schedule, together)


EXIT_CONFIRMED, EXIT_NOT_CONFIRMED, EXIT_UNUSABLE, EXIT_OPEN = 0, 1, 2, 3


def exit_code(results: Sequence[ClaimResult]) -> int:
    """0 every claim is confirmed, 1 some claim is known not to be, 3 none is known not to be but some are open."""
    words = {result.word for result in results}
    if words & {ClaimWord.REFUTED, ClaimWord.DEPENDS}:
        return EXIT_NOT_CONFIRMED
    return EXIT_OPEN if ClaimWord.OPEN in words else EXIT_CONFIRMED
