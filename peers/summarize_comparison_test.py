"""Tests of the comparison's statistics on samples whose answer is known."""

import math
import random
import tempfile
import unittest
from pathlib import Path

import pandas as pd

from peers.summarize_comparison import draw, lines_of_table, median_interval, summarize


def make_samples(times: dict[str, list[float]], column: str = "full_512") -> pd.DataFrame:
    rows = [
        {
            "column": column,
            "round": index,
            "contestant": contestant,
            "way": "w",
            "time_s": time,
            "gflops": 1 / time,
            "pct_peak": 50 / time,
            "kv_gb_per_s": 1 / time,
            "pct_read_bandwidth": 40 / time,
        }
        for contestant, of_contestant in times.items()
        for index, time in enumerate(of_contestant)
    ]
    return pd.DataFrame(rows)


class MedianIntervalTest(unittest.TestCase):
    def test_known_order_statistics(self) -> None:
        # n = 11: P(Binomial(11, 1/2) <= 1) = 12/2048, twice that is 1.2 %; <= 2 gives 6.5 %. So k = 1: the 2nd and
        # 10th values.
        self.assertEqual(median_interval([float(v) for v in range(1, 12)]), (6.0, 2.0, 10.0))

    def test_too_few_values_give_no_interval(self) -> None:
        middle, low, high = median_interval([1.0, 2.0, 3.0, 4.0, 5.0])
        self.assertEqual(middle, 3.0)
        self.assertTrue(math.isnan(low) and math.isnan(high))
        # Six values: both extremes, 2 * 1/64 = 3.1 %.
        self.assertEqual(median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), (3.5, 1.0, 6.0))

    def test_covers_the_median_of_a_skewed_distribution(self) -> None:
        generator = random.Random(5)
        true_median = math.log(2)
        trials = 2000
        covered = 0
        for _ in range(trials):
            _, low, high = median_interval([generator.expovariate(1.0) for _ in range(15)])
            covered += low <= true_median <= high
        # Exact coverage is 96.5 % at n = 15; four standard errors below 95 % allowed.
        self.assertGreater(covered / trials, 0.95 - 4 * math.sqrt(0.05 * 0.95 / trials))


class SummarizeTest(unittest.TestCase):
    def test_ratios_are_paired_within_rounds(self) -> None:
        # The machine slows down threefold half-way; in each round the peer is exactly twice as slow.
        ours = [1.0, 1.1, 1.2, 1.0, 3.0, 3.3, 3.6, 3.1]
        summary = summarize(make_samples({"ours": ours, "peer": [2 * time for time in ours]}))
        peer = summary[summary["contestant"] == "peer"].iloc[0]
        self.assertAlmostEqual(peer["ratio_ours_over_peer"], 2.0)
        self.assertAlmostEqual(peer["ratio_low"], 2.0)
        self.assertAlmostEqual(peer["ratio_high"], 2.0)

    def test_decode_is_held_against_bandwidth(self) -> None:
        summary = summarize(make_samples({"ours": [1.0] * 7}, "decode_32768"))
        self.assertEqual(summary["limit"].iloc[0], "pct_read_bandwidth")
        self.assertEqual(summary["pct_of_limit"].iloc[0], 40.0)

    def test_table_says_who_is_not_beaten(self) -> None:
        times = {"ours": [1.0] * 7, "slow": [2.0] * 7, "equal": [0.99, 1.01] * 3 + [1.0]}
        text = lines_of_table(summarize(make_samples(times)))[-1]
        self.assertIn("equal in full_512", text)
        self.assertNotIn("slow", text)
        text = lines_of_table(summarize(make_samples({"ours": [1.0] * 7, "slow": [2.0] * 7})))[-1]
        self.assertIn("ahead of every peer measured (slow) in every column", text)

    def test_too_few_rounds_do_not_count_as_ahead(self) -> None:
        text = lines_of_table(summarize(make_samples({"ours": [1.0] * 3, "slow": [2.0] * 3})))[-1]
        self.assertIn("slow in full_512", text)

    def test_draws_what_there_is(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "comparison.svg"
            draw(summarize(make_samples({"ours": [1.0] * 7})), path)
            self.assertGreater(path.stat().st_size, 1000)


if __name__ == "__main__":
    unittest.main()
