"""Bounds and p-values against exact values and against each other; the rule for the number of rounds."""

import math
import unittest

import numpy as np

from analysis.estimate import paired_statistics as stats


class RoundsEstimateTest(unittest.TestCase):
    def test_exact_at_the_order_statistics(self) -> None:
        """For n = 20 ranks 6 and 15 are an interval of error 2 * P(Binomial(20, 1/2) <= 5)."""
        values = np.linspace(-1, 1, 20)[np.random.default_rng(1).permutation(20)]
        error = sum(math.comb(20, k) for k in range(6)) / 2**20
        estimate = stats.RoundsEstimate(values)
        ordered = np.sort(values)
        self.assertAlmostEqual(estimate.lower(error), ordered[5], places=12)
        self.assertAlmostEqual(estimate.upper(error), ordered[14], places=12)

    def test_no_bound_beyond_the_data(self) -> None:
        estimate = stats.RoundsEstimate([0.1, 0.2, 0.3, 0.4, 0.5])
        self.assertEqual(estimate.lower(0.5**5 / 2), -math.inf)
        self.assertEqual(estimate.upper(0.5**5 / 2), math.inf)
        self.assertAlmostEqual(estimate.lower(0.5**5), 0.1)

    def test_p_value_is_the_inverse_of_the_bound(self) -> None:
        values = np.random.default_rng(2).normal(0.02, 0.01, 31)
        estimate = stats.RoundsEstimate(values)
        for limit in (0.008, 0.012, 0.015, 0.018):
            p = estimate.p_above(limit)
            if p < 0.45:
                self.assertAlmostEqual(estimate.lower(p), limit, places=9)
        for limit in (0.022, 0.025, 0.03):
            p = estimate.p_below(limit)
            if p < 0.45:
                self.assertAlmostEqual(estimate.upper(p), limit, places=9)

    def test_p_value_far_away_is_the_sign_test(self) -> None:
        values = np.random.default_rng(3).normal(1.0, 0.01, 20)
        self.assertAlmostEqual(stats.RoundsEstimate(values).p_above(0.0), 2.0**-20)
        self.assertEqual(stats.RoundsEstimate(values).p_below(0.0), 1.0)

    def test_mirror_symmetry(self) -> None:
        values = np.random.default_rng(4).normal(0.0, 1.0, 25)
        there, back = stats.RoundsEstimate(values), stats.RoundsEstimate(-values)
        self.assertAlmostEqual(there.lower(0.025), -back.upper(0.025))
        self.assertAlmostEqual(there.p_above(-0.3), back.p_below(0.3))

    def test_outliers_do_not_move_the_interval(self) -> None:
        values = np.random.default_rng(5).normal(0.0, 0.01, 30)
        disturbed = values.copy()
        disturbed[np.argmax(values)] = 5.0
        self.assertEqual(stats.RoundsEstimate(values).lower(0.025), stats.RoundsEstimate(disturbed).lower(0.025))
        self.assertEqual(stats.RoundsEstimate(values).upper(0.025), stats.RoundsEstimate(disturbed).upper(0.025))

    def test_dependence_widens(self) -> None:
        generator = np.random.default_rng(6)
        independent = generator.normal(0.0, 1.0, 100)
        blocks = np.repeat(generator.normal(0.0, 1.0, 10), 10) + generator.normal(0.0, 0.1, 100)
        self.assertEqual(stats.variance_inflation(independent), 1.0)
        self.assertGreater(stats.variance_inflation(blocks), 3.0)
        estimate = stats.RoundsEstimate(blocks)
        self.assertLess(estimate.lower(0.025), np.sort(blocks)[25])
        limit = float(np.sort(blocks)[20]) + 0.001
        self.assertAlmostEqual(estimate.lower(estimate.p_above(limit)), limit, places=9)

    def test_identical_rounds(self) -> None:
        estimate = stats.RoundsEstimate([0.1] * 30)
        self.assertEqual((estimate.lower(0.025), estimate.upper(0.025)), (0.1, 0.1))
        self.assertLess(estimate.p_above(0.05), 1e-8)
        self.assertEqual(estimate.p_above(0.1), 1.0)


class BlocksEstimateTest(unittest.TestCase):
    def test_bounds_and_p_values_agree(self) -> None:
        generator = np.random.default_rng(7)
        estimate = stats.BlocksEstimate(generator.normal(0.7, 0.01, 30), generator.normal(0.0, 0.01, 30))
        p = estimate.p_above(0.69)
        self.assertLess(p, 0.1)
        self.assertAlmostEqual(estimate.lower(p), 0.69, places=6)
        self.assertEqual(estimate.p_above(0.8), 1.0)
        self.assertLess(estimate.p_below(0.8), 1e-6)


class IntervalTest(unittest.TestCase):
    def test_an_interval_without_bounds_says_so(self) -> None:
        """'[0.000, inf]' was printed for three rounds."""
        self.assertEqual(str(stats.interval_of(stats.RoundsEstimate([0.0, 0.1, 0.2]))), "1.105 [no interval]")
        self.assertEqual(str(stats.Interval(0.98, 1.0, 1.02)), "1.000 [0.980, 1.020]")


class RequiredRoundsTest(unittest.TestCase):
    def test_formula(self) -> None:
        """The runner's C++ test has the same table (src/experiment)."""
        for noise, target, rounds in ((0.005, 1.03, 15), (0.02, 1.03, 44), (0.03, 1.03, 99), (0.05, 1.03, 200),
                                      (0.02, 1.02, 175), (0.05, 1.10, 15), (0.0, 1.03, 15)):  # fmt: skip
            self.assertEqual(stats.required_rounds(noise, target), rounds, (noise, target))

    def test_target_must_exceed_the_margin(self) -> None:
        with self.assertRaises(ValueError):
            stats.required_rounds(0.01, 1.01)

    def test_noise_of_ten_pilot_rounds(self) -> None:
        self.assertAlmostEqual(stats.noise_from_pilot([0.0, 9.0, 1, 2, 3, 4, 5, 6, 7, -99.0]), 3.5)
        with self.assertRaises(ValueError):
            stats.noise_from_pilot([0.0] * 9)


if __name__ == "__main__":
    unittest.main()
