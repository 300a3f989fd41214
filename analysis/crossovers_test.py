"""crossovers.py: the winner, no winner, and input that cannot be used."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import tempfile
import unittest
from pathlib import Path
from typing import Sequence

import numpy as np

from analysis import crossovers
from analysis.read.read_run import CASE_COLUMNS, SAMPLE_COLUMNS
from analysis.testing import synthetic_run


ROUNDS = 12


class CrossoversTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)

    def run_directory(self, name: str, *rows: dict[str, str], columns: Sequence[str] = CASE_COLUMNS) -> str:
        """A run with these cases, and rounds of each that lie around its median as its interval says."""
        directory = self.top / name
        directory.mkdir()
        synthetic_run.write_cases(directory, [{"rounds": str(ROUNDS), **row} for row in rows], columns)
        generator = np.random.default_rng(1)
        samples = []
        with (directory / "cases.csv").open(encoding="utf-8", newline="") as file:
            for case in csv.DictReader(file):
                median, high = float(case["time_median_s"]), float(case["time_high_s"])
                for number in range(ROUNDS if case["status"] == "ok" else 0):
                    row = {column: case.get(column, "") for column in SAMPLE_COLUMNS}
                    time = median * (1 + (high / median - 1) * generator.normal() / 10)
                    samples.append(row | {"round": number, "order_in_round": 0, "time_s": time})
        synthetic_run.write_csv(directory / "samples.csv", SAMPLE_COLUMNS, samples)
        manifest = {"schema_version": 1, "experiment": "e", "title": "t", "expect": []}
        (directory / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return str(directory)

    @staticmethod
    def case(variant: str, median: float, spread: float = 0.01, **columns: str) -> dict[str, str]:
        """A row whose interval is median +- spread (relative)."""
        low, high = median * (1 - spread), median * (1 + spread)
        times = {"time_median_s": str(median), "time_low_s": str(low), "time_high_s": str(high)}
        return {"variant": variant} | times | columns

    def crossovers(self, *directories: str) -> tuple[int, list[str], str]:
        """Exit status, lines of output, errors."""
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            status = crossovers.main(directories)
        return status, output.getvalue().splitlines(), errors.getvalue()

    def test_winner_changes_with_the_link(self) -> None:
        fast = self.run_directory("unshaped", self.case("a", 0.010), self.case("b", 0.015))
        slow = self.run_directory("1gbit", self.case("a", 0.040), self.case("b", 0.020))
        status, lines, _ = self.crossovers(fast, slow)
        self.assertEqual(status, 0)
        self.assertRegex(lines.pop(1), r"^\| --+ \| --+ \|$")
        self.assertEqual(lines, ["| unshaped | 1gbit |", "| a 10 ms x1.50 (one launch) | b 20 ms x2.00 (one launch) |"])

    def test_no_winner_where_the_interval_of_the_ratio_includes_one(self) -> None:
        run = self.run_directory("r", self.case("a", 0.010, 0.1), self.case("b", 0.010001, 0.1))
        self.assertEqual(self.crossovers(run)[1][-1], "| a 10 ms ~ |")

    def test_rows_are_the_factors_that_vary_in_numeric_order(self) -> None:
        rows = [self.case("a", 0.01, seq_len=length, contract=contract) for length in ("1024", "512") for contract in "xy"]
        lines = self.crossovers(self.run_directory("r", *rows), self.run_directory("s", rows[0]))[1]
        self.assertEqual(lines[0], "| contract | seq_len | r | s |")
        self.assertEqual([line.split(" | ")[1] for line in lines[2:]], ["512", "1024", "512", "1024"])
        self.assertEqual(lines[2], "| x | 512 | a 10 ms | - |")

    def test_failed_cases_and_copies_do_not_count(self) -> None:
        rows = [self.case("a", 0.02), self.case("b", 0.01, status="failed"), self.case("a (copy)", 0.01, duplicate_of="a")]
        directory = self.run_directory("r", *rows, columns=(*CASE_COLUMNS, "duplicate_of"))
        self.assertEqual(self.crossovers(directory)[1][-1], "| a 20 ms |")

    def test_one_launch_on_several_ranks_is_marked(self) -> None:
        rows = [self.case(name, time, ranks="2") for name, time in (("a", 0.01), ("b", 0.02))]
        self.assertEqual(self.crossovers(self.run_directory("r", *rows))[1][-1], "| a 10 ms x2.00 (one launch) |")

    def test_launches_make_the_interval(self) -> None:
        """Within each launch the two are far apart; over the launches they may not be."""
        for spread, wanted in ((0.001, "a 10 ms x1.05"), (0.1, "a 10 ms ~")):
            rows = [
                self.case(name, time * (1 + spread * shift * (name == "b")), launch=str(launch), ranks="2")
                for name, time in (("a", 0.01), ("b", 0.0105)) for launch, shift in enumerate((-1.0, 0.0, 1.0))
            ]  # fmt: skip
            self.assertEqual(self.crossovers(self.run_directory(f"r{spread}", *rows))[1][-1], f"| {wanted} |")

    def test_exposed_communication_that_is_not_resolved_is_no_number(self) -> None:
        """-7.7 ms beside a time of 1.9 ms was printed on a busy machine; so was 0.004 ms that the noise of the time covers."""
        for exposed, spread, wanted in (("-0.0077", 0.01, "not resolved"), ("0.00001", 0.01, "not resolved"), ("0.004", 0.01, "4")):
            sending = {"comm_bytes_per_rank": "2500000", "comm_exposed_s": exposed, "ranks": "2"}
            run = self.run_directory(f"r{exposed}", self.case("a", 0.01, spread) | sending)
            self.assertEqual(self.crossovers(run)[1][-1], f"| a | 2.50 | {wanted} |")

    def test_traffic(self) -> None:
        sending = {"comm_bytes_per_rank": "2500000", "comm_exposed_s": "0.004"}
        run = self.run_directory("r", self.case("a", 0.01) | sending, self.case("b", 0.02))
        self.assertEqual(self.crossovers(run)[1][-1], "| a | 2.50 | 4 |")

    def test_runs_of_one_name_are_refused(self) -> None:
        """Their columns would be one."""
        for name in ("a", "b"):
            (self.top / name).mkdir()
        runs = [self.run_directory(f"{name}/run", self.case("a", 0.01)) for name in ("a", "b")]
        status, lines, errors = self.crossovers(*runs)
        self.assertEqual((status, lines), (2, []))
        self.assertIn("both are named 'run'", errors)

    def test_unusable_input(self) -> None:
        (self.top / "broken").mkdir()
        (self.top / "broken" / "cases.csv").write_text("a,b\n1,2\n")
        for directory, pattern in (
            (str(self.top / "none"), "none: no such directory"),
            (str(self.top / "broken"), "broken/manifest.json: no such file"),
            (self.run_directory("failed", self.case("a", 0.1, status="failed")), "no case that is ok"),
        ):
            status, lines, errors = self.crossovers(directory)
            self.assertEqual((status, lines), (2, []))
            self.assertIn(pattern, errors)


if __name__ == "__main__":
    unittest.main()
