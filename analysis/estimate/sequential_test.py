"""The whole sequential procedure, simulated on noise resampled from measured launches: error, power, coverage.

The noise is that of testdata/launch_noise/ordering (two pairs on two ranks, five launches), of the A/A run beside it (the same
code under two names), of testdata/machine_noise.csv, and of the record of ordering; testing/launch_noise.py says how a launch
of three rounds is drawn from them. A family is 100 comparisons, as the ordering run has. Seeds are fixed.
"""

from __future__ import annotations

import math
import unittest
from pathlib import Path

import numpy as np
from scipy import special

from analysis.estimate.looks import CELLS_ERROR, FAMILY_ERROR, REGIMES_ERROR, Schedule, replay
from analysis.estimate.paired_statistics import RoundsEstimate
from analysis.estimate.trimmed_mean import FloatArray, Trimmed, TrimmedEstimate, trimmed
from analysis.judge.decisions import order_rule
from analysis.judge.verdicts import judge_run
from analysis.judge.words import Word
from analysis.read.read_run import read_run
from analysis.testing.launch_noise import EQUAL, FASTER, OPEN, SLOWER, Pool, long_series, pools_of, replay_many, simulate

ANALYSIS = Path(__file__).parent.parent
NOISE = ANALYSIS / "testdata" / "launch_noise"
LOOKS = (16, 32, 64, 128)
MARGIN = 0.02
FAMILY = 100
STUDIES = 1000
# At the margin and just beyond, on either side.
WORST = tuple(side * math.log1p(MARGIN) * part for part in (1, 1.005) for side in (1, -1))
SAMPLING = 2 * math.sqrt(0.05 * 0.95 / STUDIES)  # two standard errors of a share of the studies
SEQUENCE, HEADWISE = "sequence+online_softmax", "headwise+online_softmax"
PAIRS = ((SEQUENCE, HEADWISE), (HEADWISE, "headwise+standard"))
SAME_CODE = ((HEADWISE, "headwise(allgather)+online_softmax"), (SEQUENCE, "sequence(ring)+online_softmax"))


class SequentialTest(unittest.TestCase):
    ordering: list[Pool]
    equal_code: list[Pool]
    schedule: Schedule

    @classmethod
    def setUpClass(cls) -> None:
        run = read_run(NOISE / "ordering")
        cls.ordering = family([pool for pair in PAIRS for pool in pools_of(run, *pair)])
        same = read_run(NOISE / "aa")
        found = [pool for pair in SAME_CODE for pool in pools_of(same, *pair)]
        found += long_series(ANALYSIS / "testdata" / "machine_noise.csv")
        cls.equal_code = family(found)
        cls.schedule = Schedule(LOOKS, FAMILY, CELLS_ERROR)

    def wrong_studies(self, pools: list[Pool], effect: float, seed: int, schedule: Schedule | None = None) -> float:
        """The share of studies in which some comparison has a wrong word, where all decided cells are dropped or none is."""
        shares = []
        for kept in (False, True):
            replays = simulate(np.random.default_rng(seed), pools, effect, schedule or self.schedule, MARGIN, STUDIES, kept)
            shares.append(float(np.mean(np.any([np.isin(one.words, wrong_words(effect)) for one in replays], axis=0))))
        return max(shares)

    def missed_studies(self, pools: list[Pool], effect: float, seed: int, kept: bool, schedule: Schedule | None = None) -> float:
        """The share of studies in which some interval shown misses the truth. `kept`: decided cells are measured on."""
        replays = simulate(np.random.default_rng(seed), pools, effect, schedule or self.schedule, MARGIN, STUDIES, kept)
        return float(np.mean(np.any([(one.low > effect) | (one.high < effect) for one in replays], axis=0)))

    def decided(self, pools: list[Pool], ratio: float, seed: int) -> float:
        """The share of comparisons that have a word in the end."""
        replays = simulate(np.random.default_rng(seed), pools, math.log(ratio), self.schedule, MARGIN, STUDIES)
        return float(np.mean([one.words != OPEN for one in replays]))

    def test_there_are_enough_pools(self) -> None:
        for pools, least in ((self.ordering, 40), (self.equal_code, 10)):
            self.assertEqual(len(pools), FAMILY)
            self.assertGreaterEqual(len({id(pool) for pool in pools}), least)

    def test_any_wrong_word_is_rare(self) -> None:
        """The worst cases: at 1 either direction is wrong, at the margin 'equal' is not yet, and just beyond it is."""
        for seed, effect in enumerate((0.0, *WORST), start=1):
            for name, pools in (("ordering", self.ordering), ("equal code", self.equal_code)):
                with self.subTest(effect=effect, noise=name):
                    self.assertLessEqual(self.wrong_studies(pools, effect, seed), FAMILY_ERROR)

    def test_records_with_their_own_looks(self) -> None:
        """On launches drawn from those of a record, of three rounds: words and intervals."""
        for name, pairs in (("ordering", PAIRS), ("network/reference/unshaped", (*PAIRS, (SEQUENCE, "sequence(allgather)+online_softmax")))):
            run = read_run(Path("results") / (name if "/" in name else f"{name}/reference"))
            pools = [pool for pair in pairs for pool in pools_of(run, *pair)]
            schedule = Schedule(run.plan.looks, len(pools), CELLS_ERROR)
            self.assertGreaterEqual(len(pools), 60)
            for seed, effect in enumerate((0.0, *WORST[2:]), start=11):
                with self.subTest(name, effect=effect):
                    self.assertLessEqual(self.wrong_studies(pools, effect, seed, schedule), FAMILY_ERROR)
            for kept in (False, True):
                with self.subTest(name, kept=kept):
                    self.assertLessEqual(self.missed_studies(pools, 0.0, 14, kept, schedule), FAMILY_ERROR + SAMPLING * kept)

    def test_words_of_regimes_and_of_their_cells(self) -> None:
        """A regime is judged on the mean of its cells, launch by launch; its words have a share of the error of their own."""
        run = read_run(Path("results/ordering/reference"))
        pools = [pool for pair in PAIRS for pool in pools_of(run, *pair)]
        groups = [pools[begin : begin + 3] for begin in range(0, len(pools), 3)]
        cells = Schedule(run.plan.looks, len(pools), CELLS_ERROR)
        regimes = Schedule(run.plan.looks, len(groups), REGIMES_ERROR)
        for seed, effect in enumerate((0.0, *WORST), start=81):
            generator = np.random.default_rng(seed)
            wrong, wrong_of_regimes = np.zeros((2, STUDIES), dtype=bool)
            for group in groups:
                values = [pool.draw(generator, (STUDIES, run.plan.looks[-1])) + effect for pool in group]
                for value in values:
                    wrong |= np.isin(replay_many(value, cells, MARGIN).words, wrong_words(effect))
                wrong_of_regimes |= np.isin(replay_many(np.mean(values, axis=0), regimes, MARGIN).words, wrong_words(effect))
            with self.subTest(effect=effect):
                self.assertLessEqual(float(np.mean(wrong | wrong_of_regimes)), FAMILY_ERROR)
                self.assertLessEqual(float(np.mean(wrong_of_regimes)), REGIMES_ERROR)

    def test_most_is_decided_whatever_the_ratio(self) -> None:
        """Hardest half way to the margin, where a direction and 'equal' are both far to go."""
        for seed, (ratio, least) in enumerate(((1.0, 0.9), (1.01, 0.65), (1.02, 0.95), (1.03, 0.99)), start=15):
            with self.subTest(ratio=ratio):
                self.assertGreaterEqual(self.decided(self.ordering, ratio, seed), least)

    def test_two_per_cent_over_the_margin_is_found(self) -> None:
        for seed, effect in enumerate((2 * math.log(1.02), -2 * math.log(1.02)), start=21):
            pools = list(dict.fromkeys(self.ordering))  # each cell once
            replays = simulate(np.random.default_rng(seed), pools, effect, self.schedule, MARGIN, STUDIES)
            found = np.mean([one.words == (FASTER if effect > 0 else SLOWER) for one in replays])
            self.assertGreaterEqual(found, 0.95)

    def test_equal_code_is_called_equal_and_never_different(self) -> None:
        replays = simulate(np.random.default_rng(31), self.equal_code, 0.0, self.schedule, MARGIN, STUDIES)
        self.assertGreaterEqual(np.mean([one.words == EQUAL for one in replays]), 0.95)

    def test_simultaneous_intervals_cover_together(self) -> None:
        """On the noisiest launches measured: in 95 % of the studies if decided cells are dropped. What all looks have in common
        holds in 93 % only: Yuen's interval misses more often than it says so far out, and there each look counts."""
        for seed, ratio in enumerate((1.0, 1.03), start=41):
            for kept, most in ((False, FAMILY_ERROR), (True, 0.07)):
                with self.subTest(ratio=ratio, kept=kept):
                    self.assertLessEqual(self.missed_studies(self.ordering, math.log(ratio), seed, kept), most)

    def test_the_correction_is_needed(self) -> None:
        """Mutation: without the shares for comparisons and looks, some word is wrong in most studies."""
        careless = Schedule(LOOKS, 1, CELLS_ERROR * len(LOOKS))
        for effect in (0.0, WORST[-1]):
            self.assertGreater(self.wrong_studies(self.ordering, effect, 51, careless), 0.5)

    def test_the_rounds_of_one_launch_know_only_their_launch(self) -> None:
        """Why one launch on several ranks gives no word: on equal code its 95 % intervals exclude 1 far too often."""
        verdict = judge_run(read_run(NOISE / "aa"))
        excluded = total = 0
        for pair in verdict.voting_pairs().values():
            assert pair.values is not None
            for slow, fast in pair.values.launches:
                alone = RoundsEstimate(np.subtract(slow, fast))
                excluded += not alone.lower(0.025) <= 0 <= alone.upper(0.025)
                total += 1
        self.assertEqual(total, 30)
        self.assertGreaterEqual(excluded, 10)  # 1.5 if they covered

    def test_single_intervals_cover(self) -> None:
        """Yuen's 95 % interval on measured noise. Student's misses more often, and far more often at the levels in use."""
        generator = np.random.default_rng(61)
        for launches in (5, 8, 16, 32):
            missed = {0.025: [0.0, 0.0], 0.0005: [0.0, 0.0]}
            for pool in self.ordering[:40]:
                values = pool.draw(generator, (1500, launches))
                found, student = trimmed(values), student_mean(values)
                mean = pool.mean
                for level, counts in missed.items():
                    for index, (one, truth) in enumerate(((found, 0.0), (student, mean))):
                        reach = -float(special.stdtrit(one.freedom, level)) * one.error
                        counts[index] += float(np.mean(np.abs(one.centre - truth) > reach)) / 40
            with self.subTest(launches=launches):
                self.assertTrue(0.935 <= 1 - missed[0.025][0] <= 0.965, missed)
                self.assertLess(missed[0.0005][0], 0.0025, missed)
                self.assertGreater(missed[0.0005][1], 1.5 * missed[0.0005][0], missed)

    def test_the_simulated_rule_is_the_rule_that_judges_runs(self) -> None:
        generator = np.random.default_rng(71)
        rule = order_rule(MARGIN)
        words = {Word.FASTER: FASTER, Word.SLOWER: SLOWER, Word.EQUAL: EQUAL, None: OPEN}
        for launches in (9, 16, 40):
            for effect in (-0.05, -0.02, -0.015, 0.0, 0.01, 0.03):
                values = self.ordering[7].draw(generator, (30, launches)) + effect
                many = replay_many(values, self.schedule, MARGIN)
                for index, row in enumerate(values):
                    one = replay(self.schedule, launches, lambda count: TrimmedEstimate(row[:count], count), rule)
                    self.assertEqual(words[one.decision], many.words[index])
                    self.assertEqual(one.launches, many.launches[index])
                    self.assertAlmostEqual(one.estimate.lower(one.level), many.low[index])


def wrong_words(effect: float) -> list[int]:
    """Of a logarithm of a ratio: a direction that it has not, and 'equal' beyond the margin."""
    found = [word for word, is_right in ((FASTER, effect > 0), (SLOWER, effect < 0)) if not is_right]
    return found + ([EQUAL] if abs(effect) > math.log1p(MARGIN) else [])


def family(pools: list[Pool]) -> list[Pool]:
    return [pools[index % len(pools)] for index in range(FAMILY)]


def student_mean(values: FloatArray) -> Trimmed:
    """A plain mean with Student's error, in the same form."""
    count = values.shape[-1]
    return Trimmed(np.mean(values, axis=-1), np.std(values, axis=-1, ddof=1) / math.sqrt(count), count - 1)


if __name__ == "__main__":
    unittest.main()
