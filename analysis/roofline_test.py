"""Rooflines of cases whose answer is known by hand."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis import roofline
from analysis.estimate import rooflines
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import CASE_COLUMNS
from analysis.show import roofline_table
from analysis.testing import synthetic_run

# 100 GFLOP in half a second on a 400 GFLOP/s machine; 2 GB at 20 GB/s take 0.1 s: bound by computing, at half its peak.
PREFILL: dict[str, Any] = {
    "variant": "v", "scope": "model", "seq_len": 128, "time_median_s": 0.5, "gflops": 200, "peak_gflops": 400,
    "read_gb_per_s": 20, "minimum_bytes": 2e9,
}  # fmt: skip
# 1 GFLOP, 2 GB: 2.5 ms to compute, 100 ms to read, taken 125 ms: bound by memory, at four fifths of its bandwidth.
DECODE = PREFILL | {"variant": "w", "phase": "decode", "batch": 3, "time_median_s": 0.125, "gflops": 8}


class RooflineTest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name)

    def write(self, *rows: dict[str, Any], without: str = "") -> None:
        synthetic_run.write_cases(self.directory, rows, [name for name in CASE_COLUMNS if name != without])

    def test_bound_by_computing(self) -> None:
        self.write(PREFILL)
        (case,) = rooflines.read_rooflines(self.directory)
        self.assertEqual(case.bound, "compute")
        self.assertAlmostEqual(case.roofline_s, 0.25)
        self.assertAlmostEqual(case.share, 0.5)
        self.assertAlmostEqual(case.share_of_peak, 0.5)
        self.assertAlmostEqual(case.share_of_bandwidth, 0.2)
        self.assertAlmostEqual(case.tokens_per_s, 256)

    def test_bound_by_memory(self) -> None:
        self.write(DECODE)
        (case,) = rooflines.read_rooflines(self.directory)
        self.assertEqual(case.bound, "memory")
        self.assertAlmostEqual(case.roofline_s, 0.1)
        self.assertAlmostEqual(case.share, 0.8)
        self.assertAlmostEqual(case.share_of_peak, 0.02)
        self.assertAlmostEqual(case.tokens_per_s, 24)

    def test_table_names_what_differs_and_compares_with_the_original(self) -> None:
        self.write(PREFILL, DECODE)
        text = roofline_table.report(rooflines.read_rooflines(self.directory), as_markdown=False)
        self.assertIn("model qwen3-0.6b, scope model, dtype fp32", text)
        lines = text.splitlines()
        self.assertEqual(lines[2].split()[:4], ["phase", "batch", "variant", "ms"])
        self.assertEqual(lines[3].split(), "prefill 1 v 500 256.0 compute 250 50.0 50.0 20.0 21.0".split())
        self.assertEqual(lines[4].split(), "decode 3 w 125 24.0 memory 100 80.0 2.0 80.0".split())
        self.assertIn("12.2 tokens/s on 2 ranks and 70.74 on 208 threads of 8 nodes", text)
        self.assertIn("| ---", roofline_table.report(rooflines.read_rooflines(self.directory), as_markdown=True))

    def test_the_original_is_not_beside_what_it_did_not_measure(self) -> None:
        changes: tuple[dict[str, Any], ...] = ({"seq_len": 1024}, {"scope": "block"}, {"model": "qwen3-8b"})
        for change in changes:
            self.write(PREFILL | change)
            self.assertNotIn("original", roofline_table.report(rooflines.read_rooflines(self.directory), as_markdown=False))

    def test_failed_cases_are_left_out(self) -> None:
        self.write(PREFILL | {"status": "failed", "time_median_s": ""}, DECODE)
        self.assertEqual([case.variant for case in rooflines.read_rooflines(self.directory)], ["w"])

    def test_unusable_input_is_one_line(self) -> None:
        def complaint() -> str:
            with self.assertRaises(UnusableInput) as caught:
                rooflines.read_rooflines(self.directory)
            return str(caught.exception)

        self.assertIn("cases.csv: no such file", complaint())
        for column in ("minimum_bytes", "phase"):
            self.write(PREFILL, without=column)
            self.assertIn(f"missing column {column}", complaint())
        self.write(PREFILL | {"status": "failed"})
        self.assertIn("no case that is ok", complaint())
        for column, value in (("read_gb_per_s", "nan"), ("minimum_bytes", "-1"), ("seq_len", "x")):
            self.write(PREFILL | {column: value})
            self.assertIn(f"cases.csv line 2, column {column}:", complaint())
        for column, value in (("peak_gflops", ""), ("minimum_bytes", "0")):
            self.write(PREFILL | {column: value})
            self.assertIn(f"no {column}", complaint())

    def test_exit_status(self) -> None:
        self.write(PREFILL)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            self.assertEqual(roofline.main([str(self.directory)]), 0)
        self.assertIn("% roofline", output.getvalue())
        with contextlib.redirect_stderr(io.StringIO()) as complaint:
            self.assertEqual(roofline.main([str(self.directory / "none")]), 2)
        self.assertEqual(len(complaint.getvalue().splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
