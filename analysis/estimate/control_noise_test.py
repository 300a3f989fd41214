"""The simulations of power_test.py and coverage_test.py once more, with noise measured on a real machine.

testdata/machine_noise.csv holds the rounds of experiments/noise.yaml: the same code under two names, 300 rounds a cell on
two idle virtual cores. Long series, because a series centred on its own median is anticorrelated by one in its length: with
the sixty rounds of aa.yaml the intervals cover too often. Even so the dependence seen within one series is partly chance,
and resampling would make that chance permanent: every replicate draws its series anew.
"""

import math
import tempfile
import unittest
from pathlib import Path

import numpy as np

from analysis.estimate import control_noise
from analysis.estimate import paired_statistics as stats
from analysis.estimate.control_noise import FloatArray
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, STANDARD, Cell

NOISE_FILE = Path(__file__).parent.parent / "testdata" / "machine_noise.csv"
SAME = "headwise(allgather)+online_softmax"
TARGET = 1.05
REPLICATES = 6000
STANDARD_ERROR = math.sqrt(0.95 * 0.05 / REPLICATES)


class StudyTest(unittest.TestCase):
    estimates: list[stats.Estimate]

    @classmethod
    def setUpClass(cls) -> None:
        """Pilot, stopping rule and test of cells without an effect."""
        series = control_noise.read_noise(NOISE_FILE)
        generator = np.random.default_rng(81)
        cls.estimates = [cls.study(generator, series[generator.integers(len(series))]) for _ in range(REPLICATES)]

    @staticmethod
    def study(generator: np.random.Generator, series: FloatArray) -> stats.Estimate:
        pilot = control_noise.resample(generator, series, stats.PILOT_ROUNDS)
        rounds = stats.required_rounds(stats.noise_from_pilot(pilot), TARGET)
        return stats.RoundsEstimate(control_noise.resample(generator, series, rounds))

    def test_intervals_cover(self) -> None:
        error = stats.ONE_SIDED_ERROR
        share = sum(e.lower(error) <= 0 <= e.upper(error) for e in self.estimates) / REPLICATES
        self.assertTrue(0.94 <= share <= 0.96 + STANDARD_ERROR, share)

    def test_no_effect_is_not_found(self) -> None:
        limit = math.log(1 + stats.MARGIN)
        share = sum(e.p_above(limit) <= stats.ONE_SIDED_ERROR for e in self.estimates) / REPLICATES
        self.assertLessEqual(share, 0.05)


class ExtractTest(unittest.TestCase):
    def rows(self, *cells: Cell) -> list[tuple[str, str, int, float]]:
        with tempfile.TemporaryDirectory() as directory:
            synthetic_run.write_run(Path(directory), list(cells), [], rounds=40, launches=2)
            return control_noise.noise_rows(read_run(Path(directory)))

    def test_one_ratio_per_round(self) -> None:
        rows = self.rows(Cell({HEADWISE: 1.0, SAME: 1.1}))
        self.assertEqual([(launch, number) for launch, _, number, _ in rows],
                         [(launch, number) for launch in ("0", "1") for number in range(40)])  # fmt: skip
        self.assertAlmostEqual(float(np.median([row[3] for row in rows])), math.log(1.1), delta=0.005)

    def test_a_cell_of_two_pairs_is_two_series(self) -> None:
        ring, same_ring = "sequence+online_softmax", "sequence(ring)+online_softmax"
        rows = self.rows(Cell({HEADWISE: 1.0, ring: 1.0, SAME: 1.1, same_ring: 1.2}))
        for strategy, ratio in (("headwise", 1.1), ("sequence", 1.2)):
            ratios = [row[3] for row in rows if row[1].endswith(strategy)]
            self.assertEqual(len(ratios), 80)
            self.assertAlmostEqual(float(np.median(ratios)), math.log(ratio), delta=0.005)

    def test_series_are_centred(self) -> None:
        text = "launch,cell,round,log_ratio\n" + "".join(f"{n % 2},c,{n},{n % 2 + 0.01 * n}\n" for n in range(80))
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "noise.csv"
            path.write_text(text, encoding="utf-8")
            series = control_noise.read_noise(path)
        self.assertEqual([len(values) for values in series], [40, 40])
        self.assertTrue(all(abs(np.median(values)) < 1e-12 for values in series))

    def test_resampling_keeps_neighbours_together(self) -> None:
        values = control_noise.resample(np.random.default_rng(1), np.arange(100.0), 23)
        self.assertEqual(len(values), 23)
        steps = np.diff(values) % 100
        self.assertTrue(all(steps[i] == 1 for i in range(22) if i % control_noise.BLOCK != control_noise.BLOCK - 1))

    def test_refuses_what_is_not_the_same_code(self) -> None:
        for cell in (Cell({HEADWISE: 1.0, STANDARD: 1.0}), Cell({HEADWISE: 1.0})):
            with self.assertRaises(UnusableInput):
                self.rows(cell)


if __name__ == "__main__":
    unittest.main()
