"""Yuen's interval against a worked example, Student's, and itself; looks and what they spend."""

from __future__ import annotations

import math
import unittest

import numpy as np
from scipy import special

from analysis.estimate import paired_statistics as stats
from analysis.estimate.looks import CELLS_ERROR, FAMILY_ERROR, REGIMES_ERROR, Replayed, Schedule, looks_of, replay
from analysis.estimate.trimmed_mean import TrimmedEstimate, outlying, spread_of, trimmed
from analysis.judge.decisions import order_rule
from analysis.judge.words import Word


class TrimmedMeanTest(unittest.TestCase):
    def test_by_hand(self) -> None:
        """Ten values: two are cut at either end; winsorised they are 3 3 3 4 5 6 7 8 8 8, whose squared deviations sum to
        42.5; t(5, 0.975) = 2.570582."""
        estimate = TrimmedEstimate([1, 2, 3, 4, 5, 6, 7, 8, 9, 100], 30)
        error = math.sqrt(42.5 / (6 * 5))
        self.assertAlmostEqual(estimate.centre, 5.5)
        self.assertAlmostEqual(estimate.lower(0.025), 5.5 - 2.570582 * error, places=5)
        self.assertAlmostEqual(estimate.upper(0.025), 5.5 + 2.570582 * error, places=5)
        self.assertEqual((estimate.launches, estimate.rounds), (10, 30))

    def test_fewer_than_five_launches_are_students(self) -> None:
        for values in ([0.1, 0.3], [0.01, 0.02, 0.04], [0.0, 0.1, -0.1, 0.3]):
            estimate, count = TrimmedEstimate(values, 9), len(values)
            reach = -float(special.stdtrit(count - 1, 0.01)) * float(np.std(values, ddof=1)) / math.sqrt(count)
            self.assertAlmostEqual(estimate.lower(0.01), float(np.mean(values)) - reach)
            self.assertIn("Student", estimate.method)
        self.assertIn("Yuen", TrimmedEstimate([1, 2, 3, 4, 5], 5).method)

    def test_one_launch_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            TrimmedEstimate([0.1], 30)

    def test_p_values_are_the_inverse_of_the_bounds(self) -> None:
        estimate = TrimmedEstimate(np.random.default_rng(1).normal(0.02, 0.01, 20), 20)
        for error in (0.2, 0.025, 1e-4):
            self.assertAlmostEqual(estimate.p_above(estimate.lower(error)), error)
            self.assertAlmostEqual(estimate.p_below(estimate.upper(error)), error)

    def test_one_launch_far_off_does_not_move_it(self) -> None:
        values = np.random.default_rng(2).normal(0.0, 0.01, 16)
        disturbed = values.copy()
        disturbed[np.argmax(values)] = 5.0
        self.assertEqual(TrimmedEstimate(values, 16).lower(0.001), TrimmedEstimate(disturbed, 16).lower(0.001))
        self.assertGreater(float(np.std(disturbed)), 1.0)

    def test_identical_launches(self) -> None:
        estimate = TrimmedEstimate([0.02] * 16, 30)
        self.assertEqual((estimate.p_above(0.01), estimate.p_above(0.02), estimate.p_below(0.03)), (0.0, 1.0, 0.0))

    def test_many_series_at_once(self) -> None:
        values = np.random.default_rng(3).normal(0.0, 1.0, (4, 12))
        many = trimmed(values)
        for row, centre in zip(values, many.centre):
            self.assertAlmostEqual(TrimmedEstimate(row, 12).centre, centre)

    def test_how_far_from_normal(self) -> None:
        self.assertEqual(outlying([0.0, 0.1, -0.1, 0.2, -0.2, 9.0]), 1)
        self.assertEqual((outlying([0.1, 0.1, 0.1]), outlying([0.1])), (0, 0))
        self.assertEqual((spread_of([1.0]), spread_of([1.0, 3.0])), (0.0, math.sqrt(2)))


class LooksTest(unittest.TestCase):
    def test_what_is_spent(self) -> None:
        self.assertAlmostEqual(CELLS_ERROR + REGIMES_ERROR, FAMILY_ERROR)
        schedule = Schedule((16, 32, 64, 128), 100, CELLS_ERROR)
        self.assertAlmostEqual(sum(2 * 100 * schedule.level(look) for look in schedule.looks), CELLS_ERROR)
        self.assertAlmostEqual(schedule.level(32), 2 * schedule.level(16))
        self.assertEqual(schedule.level(17), schedule.level(32), "a run that stopped has the share it did not reach")
        self.assertEqual(Schedule((5,), 1, 0.05).level(5), 0.025)

    def test_when_a_comparison_is_judged(self) -> None:
        schedule = Schedule((16, 32, 64), 1, 0.05)
        for launches, wanted in ((3, [3]), (16, [16]), (20, [16, 20]), (64, [16, 32, 64]), (99, [16, 32, 64])):
            self.assertEqual(schedule.evaluations(launches), wanted)

    def test_a_run_that_was_given_more_launches_than_its_one(self) -> None:
        self.assertEqual((looks_of((1,), 5), looks_of((1,), 1), looks_of((5,), 7)), ((5,), (1,), (5,)))

    def test_what_the_looks_have_in_common_decides(self) -> None:
        values = [0.1, 0.11, 0.1, 0.09] * 4
        noisier = values + [0.3, -0.1] * 8
        schedule = Schedule((16, 32, 208), 1, 0.05)

        def decide(found: stats.Estimate, level: float) -> str | None:
            return "above" if found.p_above(0.02) <= level else None

        def looked(launches: list[float], least: int = 2) -> Replayed[str]:
            return replay(schedule, len(launches), lambda count: TrimmedEstimate(launches[:count], count), decide, least)

        early = looked(values)
        self.assertEqual((early.decision, early.launches, early.estimate.launches), ("above", 16, 16))
        alone = TrimmedEstimate(noisier, 32)
        self.assertLess(alone.lower(schedule.level(32)), 0.02)
        late = looked(noisier)
        self.assertEqual((late.decision, late.launches, late.level, late.disagree), ("above", 32, schedule.level(32), False))
        self.assertEqual(late.estimate.lower(late.level), early.estimate.lower(early.level))
        self.assertEqual(late.estimate.upper(late.level), early.estimate.upper(early.level))
        self.assertTrue(late.estimate.lower(late.level) <= late.estimate.centre <= late.estimate.upper(late.level))
        # Nothing in common: what was seen first is no longer believed.
        apart = looked(values + [-0.1, -0.11, -0.1, -0.09] * 48)
        self.assertEqual((apart.decision, apart.disagree), (None, True))
        # A look at too few launches says nothing.
        self.assertEqual(looked(noisier, 17).decision, None)
        open_still = replay(schedule, 20, lambda count: TrimmedEstimate([0.0, 0.1] * 10, count), decide)
        self.assertEqual((open_still.decision, open_still.launches), (None, 20))

    def test_what_a_half_width_can_decide(self) -> None:
        """Half the margin decides every ratio; a wider one leaves those open that it reaches neither over nor around."""
        rule = order_rule(0.02)
        level = Schedule((4,), 1, 0.04).level(4)
        values = np.array([-1.0, 1.0, -1.0, 1.0])
        limit = math.log(1.02)
        for width in (0.0097, 0.0143, 0.0301):
            for centre in np.linspace(-0.06, 0.06, 241):
                estimate = TrimmedEstimate(centre + values * width / TrimmedEstimate(values, 4).upper(level), 4)
                word = Word.EQUAL if abs(centre) + width < limit else Word.FASTER if centre > 0 else Word.SLOWER
                is_open = abs(centre) + width > limit and abs(centre) < width
                self.assertEqual(rule(estimate, level), None if is_open else word, (width, centre))
                self.assertFalse(is_open and width < limit / 2)


if __name__ == "__main__":
    unittest.main()
