"""What is read, and what is left out. Broken files are in verify_ordering_test.py, where the user meets them."""

import json
import tempfile
import unittest
from pathlib import Path

from analysis.read import read_run
from analysis.read.csv_table import CHECK_COLUMN
from analysis.read.csv_table import UnusableInput
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, SEQUENCE, STANDARD, Cell

TIMES = {SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.3}


class ReadRunTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def test_reads_typed_values(self) -> None:
        synthetic_run.write_run(self.directory, [Cell(TIMES, {"causal": "1", "ranks": 2})], rounds=5, pilots=2)
        run = read_run.read_run(self.directory)
        self.assertEqual(len(run.cases), 3)
        case = run.cases[0]
        self.assertEqual((case.factors["causal"], case.factors["ranks"], case.variant), ("true", "2", SEQUENCE))
        self.assertEqual(case.counts["workspace_bytes"], float(1 << 22))
        samples = run.samples[(case.launch, case.case)]
        self.assertEqual([sample.round for sample in samples], [0, 1, 2, 3, 4])
        self.assertAlmostEqual(samples[0].metrics["time_s"] or 0, 1.0, delta=0.05)

    def test_rounds_are_in_order_whatever_the_file(self) -> None:
        """Neighbouring rounds are compared to see dependence, and joined run directories may be in any order."""
        synthetic_run.write_run(self.directory, [Cell(TIMES)], rounds=12, pilots=0)
        path = self.directory / "samples.csv"
        header, *rows = path.read_text().splitlines(keepends=True)
        path.write_text("".join([header, *reversed(rows)]))
        for samples in read_run.read_run(self.directory).samples.values():
            self.assertEqual([sample.round for sample in samples], list(range(12)))

    def test_rounds_that_are_not_there(self) -> None:
        synthetic_run.write_run(self.directory, [Cell(TIMES)], rounds=6, pilots=0)
        path = self.directory / "samples.csv"
        header, *rows = path.read_text().splitlines(keepends=True)
        path.write_text("".join([header, *(row for row in rows if row.split(",")[header.split(",").index("round")] != "3")]))
        with self.assertRaisesRegex(UnusableInput, "samples.csv: 5 rounds of case 'cell000/.*', launch 0, which has 6 by cases.csv"):
            read_run.read_run(self.directory)

    def test_what_cannot_be_a_run(self) -> None:
        with self.assertRaisesRegex(UnusableInput, "cannot be looked at: "):
            read_run.read_run(self.directory / ("x" * 300))
        synthetic_run.write_run(self.directory, [Cell(TIMES)])
        path = self.directory / "cases.csv"
        path.write_text("\n" + path.read_text())
        with self.assertRaisesRegex(UnusableInput, "cases.csv line 1: empty"):
            read_run.read_run(self.directory)

    def test_pilots_are_discarded(self) -> None:
        synthetic_run.write_run(self.directory, [Cell(TIMES)], rounds=5, pilots=4)
        run = read_run.read_run(self.directory)
        self.assertEqual(run.discarded_pilots, 12)
        self.assertEqual(sum(len(rows) for rows in run.samples.values()), 15)

    def test_samples_of_unfinished_cells_are_ignored(self) -> None:
        synthetic_run.write_run(self.directory, [Cell(TIMES), Cell(TIMES, {"seq_len": 7})], rounds=5, pilots=0)
        path = self.directory / "cases.csv"
        kept = [line for line in path.read_text().splitlines(keepends=True) if "cell001" not in line]
        path.write_text("".join(kept))
        run = read_run.read_run(self.directory)
        self.assertEqual(run.ignored_samples, 15)
        self.assertEqual({case for _, case in run.samples}, {f"cell000/{variant}" for variant in TIMES})

    def test_a_cell_repeated_after_a_kill_keeps_its_complete_launch_only(self) -> None:
        synthetic_run.write_run(self.directory, [Cell(TIMES)], rounds=5, pilots=0, launches=2)
        path = self.directory / "cases.csv"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([lines[0], *[line for line in lines[1:] if line.startswith("1,1,")]]))
        run = read_run.read_run(self.directory)
        self.assertEqual({launch for launch, _ in run.samples}, {"1"})
        self.assertEqual(run.ignored_samples, 15)

    def test_unmeasured_values_are_none_and_exposed_time_may_be_negative(self) -> None:
        synthetic_run.write_run(self.directory, [Cell(TIMES)], rounds=5, pilots=0)
        path = self.directory / "samples.csv"
        lines = path.read_text().splitlines()
        fields = lines[1].split(",")
        columns = lines[0].split(",")
        fields[columns.index("compute_s")] = ""
        fields[columns.index("comm_exposed_s")] = "-1e-6"
        lines[1] = ",".join(fields)
        path.write_text("\n".join(lines) + "\n")
        run = read_run.read_run(self.directory)
        first = run.samples[(fields[1], fields[3])][0]
        self.assertIsNone(first.metrics["compute_s"])
        self.assertEqual(first.metrics["comm_exposed_s"], -1e-6)

    def test_canonical_spellings(self) -> None:
        self.assertEqual(read_run.canonical(True), "true")
        self.assertEqual(read_run.canonical("2.0"), "2")
        self.assertEqual(read_run.canonical("avx2"), "avx2")
        self.assertEqual(read_run.canonical("nan"), "nan")
        self.assertEqual(read_run.canonical_factor("causal", 0), "false")
        self.assertEqual(read_run.canonical_factor("ranks", 1), "1")


class ColumnsTest(unittest.TestCase):
    """The binary's own list of columns, of every schema version."""

    def test_columns_are_those_of_the_binary(self) -> None:
        written = json.loads(Path("src/experiment/record/columns.json").read_text(encoding="utf-8"))
        for columns, key in ((read_run.SAMPLE_COLUMNS, "samples"), (read_run.CASE_COLUMNS, "cases")):
            self.assertEqual(set(columns), {column["name"] for column in written[key] if column["since"] == 1})
        factors = {column["name"] for column in written["cases"] if column["kind"] in ("variant", "cell")}
        # What tells a copy from its original is no factor: both are the same variant.
        self.assertEqual(set(read_run.FACTOR_COLUMNS), factors - {"duplicate_of"})
        new = {column["name"] for column in written["samples"] if column["since"] == 3}
        self.assertEqual(set(read_run.DISTURBANCES), new - {CHECK_COLUMN})
        self.assertEqual([column["name"] for column in written["cases"] if column["since"] == 4], ["bundle"])
        for key in ("samples", "cases"):
            self.assertEqual(written[key][-1], {"name": CHECK_COLUMN, "kind": "check", "since": 3})
        self.assertIn(str(written["schema_version"]), read_run.SCHEMA_VERSIONS)


if __name__ == "__main__":
    unittest.main()
