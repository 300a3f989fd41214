"""What the ReFrame test reads, and what it calls a failure."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from analysis.read.csv_table import UnusableInput
from tools.reframe.readings import name_of, pair_ratios, percent_of_peak, problem_of

REFERENCE = Path("results/smoke/reference")  # of the runfiles
HEADER = "case,status,message,pct_peak,rel_l2_err,tolerance_rel_l2,nonfinite\n"


class ReadingsTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)

    def write_cases(self, *rows: str) -> None:
        (self.top / "cases.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")

    def test_the_reference_run_is_good(self) -> None:
        self.assertIsNone(problem_of(REFERENCE))
        self.assertTrue(0 < percent_of_peak(REFERENCE) < 100)
        names = [
            name_of("headwise+online_softmax", "sequence+online_softmax"),
            name_of("headwise+standard", "headwise+online_softmax"),
        ]
        ratios = pair_ratios(REFERENCE)
        self.assertEqual(list(ratios), names)
        self.assertTrue(all(0.1 < ratio < 10 for ratio in ratios.values()), ratios)

    def test_what_is_no_good(self) -> None:
        good = "a,ok,,50,1e-7,1e-5,0"
        for row, problem in (
            ("b,failed,wrong by much,50,1e-3,1e-5,0", "b: failed: wrong by much"),
            ("b,skipped_memory,too large,,,,", "b: skipped_memory: too large"),
            ("b,time_limited,,50,1e-3,1e-5,0", "b: error 0.001"),
            ("b,ok,,50,1e-3,1e-5,0", "b: error 0.001, allowed are 1e-05"),
            ("b,ok,,50,1e-7,,0", "b: error 1e-07, allowed are 0"),
            ("b,ok,,50,1e-7,1e-5,3", "b: 3 results are not finite"),
            ("b,ok,,50,many,1e-5,0", "'many' is not a number"),
        ):
            with self.subTest(problem):
                self.write_cases(good, row)
                self.assertIn(problem, problem_of(self.top) or "")
        self.write_cases()
        self.assertEqual(problem_of(self.top), "cases.csv has no case")
        self.assertIn("no such file", problem_of(self.top / "none") or "")

    def test_out_of_time_is_no_error(self) -> None:
        self.write_cases("a,ok,,50,1e-7,1e-5,0", "b,time_limited,9 of 12 rounds,50,1e-7,1e-5,0")
        self.assertIsNone(problem_of(self.top))

    def test_later_launches_are_not_checked_again(self) -> None:
        self.write_cases("a,ok,,50,1e-7,1e-5,0", "a,ok,,60,,,")
        self.assertIsNone(problem_of(self.top))
        self.assertEqual(percent_of_peak(self.top), 60)
        self.write_cases("a,ok,,,1e-7,1e-5,0")
        with self.assertRaisesRegex(UnusableInput, "no case has a pct_peak"):
            percent_of_peak(self.top)

    def test_ratios_are_averaged_as_logarithms(self) -> None:
        cells = [{"pairs": [{"slow": "s", "fast": "f", "ratio": ratio}]} for ratio in (2.0, 0.5, None)]
        (self.top / "verdict.json").write_text(json.dumps({"claims": [{"cells": cells}]}), encoding="utf-8")
        self.assertEqual(pair_ratios(self.top), {"s_over_f": 1.0})
        for text in ('{"claims": 3}', '{"claims": [{"cells": [{"pairs": [{}]}]}]}', "{}"):
            (self.top / "verdict.json").write_text(text, encoding="utf-8")
            with self.assertRaisesRegex(UnusableInput, "not a verdict"):
                pair_ratios(self.top)


if __name__ == "__main__":
    unittest.main()
