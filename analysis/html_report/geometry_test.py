"""Values stand where their axis says, and ticks are few and round."""

import unittest

from analysis.html_report import geometry
from analysis.html_report.geometry import Axis


class AxisTest(unittest.TestCase):
    def test_positions(self) -> None:
        line, logarithmic = Axis(0, 200, False), Axis(0.25, 4, True)
        self.assertEqual([line.at(value) for value in (0, 50, 200)], [0, 25, 100])
        self.assertEqual([logarithmic.at(value) for value in (0.25, 0.5, 1, 4)], [0, 25, 50, 100])
        self.assertEqual([line.at(value) for value in (-5, 900)], [0, 100], "beyond the axis: on its end")
        self.assertEqual(logarithmic.at(0), 0)

    def test_ratios_are_symmetric_and_all_on_the_axis(self) -> None:
        axis = geometry.ratio_axis([0.9, 1.3], [0.8, 1.4])
        self.assertAlmostEqual(axis.low * axis.high, 1)
        self.assertTrue(axis.contains(0.9) and axis.contains(1.3))
        self.assertEqual(axis.at(1), 50)
        self.assertEqual([tick.label for tick in axis.ticks], ["0.67", "0.83", "1", "1.2", "1.5"])

    def test_one_wide_interval_does_not_squeeze_the_others(self) -> None:
        ends = [0.95, 1.1] * 10 + [0.01, 90]
        self.assertEqual(geometry.ratio_axis([1.02] * 11, ends).high, 1.1)

    def test_a_large_ratio_is_on_the_axis(self) -> None:
        self.assertTrue(geometry.ratio_axis([37.0], [30, 40]).contains(37))
        self.assertTrue(geometry.ratio_axis([], []).contains(1))

    def test_ticks_at_the_lengths(self) -> None:
        axis = geometry.values_axis([512, 1024, 512, 8192])
        self.assertEqual([tick.label for tick in axis.ticks], ["512", "1024", "8192"])
        self.assertTrue(0 < axis.at(512) < axis.at(8192) < 100)
        self.assertLessEqual(len(geometry.values_axis([2**n for n in range(20)]).ticks), 7)
        self.assertEqual(len(geometry.values_axis([1024]).ticks), 1)

    def test_logarithmic_ticks(self) -> None:
        self.assertEqual([tick.label for tick in geometry.log_axis([1, 1000]).ticks], ["1", "10", "100", "1000"])
        for values in ((210.0, 560.0), (30.0, 35.0), (1e-9, 1e9), (5.0, 5.0)):
            self.assertTrue(2 <= len(geometry.log_axis(values).ticks) <= 9, values)

    def test_the_peak_is_near_the_top(self) -> None:
        self.assertTrue(90 < geometry.share_axis(93.0).at(100) < 100)
        self.assertGreater(geometry.share_axis(140.0).high, 140)
        self.assertEqual([tick.label for tick in geometry.share_axis(93.0).ticks], ["0", "25", "50", "75", "100"])
        self.assertGreater(geometry.share_axis(12345.0).high, 12345)

    def test_numbers(self) -> None:
        for value, text in ((512, "512"), (0.25, "0.25"), (0.7142, "0.71"), (1.5, "1.5"), (2e6, "2e6"), (1e-5, "1e-5"), (0, "0")):
            self.assertEqual(geometry.number(value), text)


if __name__ == "__main__":
    unittest.main()
