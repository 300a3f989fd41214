"""Two runs side by side, through the files that verify_ordering.py --write leaves."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from analysis import compare_verdicts, verify_ordering
from analysis.testing import synthetic_run as synthetic
from analysis.testing.synthetic_run import HEADWISE, SEQUENCE, STANDARD, Cell

FASTER = {SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.3}
SLOWER = {SEQUENCE: 1.2, HEADWISE: 1.1, STANDARD: 1.3}


class CompareVerdictsTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)

    def run_dir(self, name: str, times: list[dict[str, float]], nodes: int = 1) -> str:
        """A judged run with a cell per entry of `times`."""
        directory = self.top / name
        cells = [Cell(t, {"seq_len": 512 * (index + 1), "nodes": nodes}) for index, t in enumerate(times)]
        synthetic.write_run(directory, cells, launches=16, rounds=3)
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertNotEqual(verify_ordering.main(["--write", str(directory)]), 2)
        return str(directory)

    def compare(self, *arguments: str) -> tuple[int, str, str]:
        """(exit status, stdout, stderr)"""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = compare_verdicts.main(arguments)
        return status, out.getvalue(), err.getvalue()

    def test_same_cells_with_other_verdicts(self) -> None:
        status, out, _ = self.compare(self.run_dir("a", [FASTER, FASTER]), self.run_dir("b", [FASTER, SLOWER]))
        self.assertEqual(status, 0)
        self.assertIn("claim ordering: confirmed and depends on the regime; 2 and 2 cells, 2 in both", out)
        self.assertIn("  1 cells: faster in both", out)
        self.assertIn("  1 cells: faster and slower", out)

    def test_a_missing_cell_is_named(self) -> None:
        status, out, _ = self.compare(self.run_dir("a", [FASTER, FASTER]), self.run_dir("b", [FASTER]))
        self.assertEqual(status, 1)
        self.assertRegex(out, "only in the first: .*seq_len=1024")
        self.assertIn("NOT the same cells", out)

    def test_factors_that_may_differ(self) -> None:
        runs = self.run_dir("a", [FASTER]), self.run_dir("b", [FASTER], nodes=2)
        self.assertEqual(self.compare(*runs)[0], 1)
        self.assertEqual(self.compare(*runs, "--ignore", "nodes")[0], 0)

    def test_a_verdict_of_an_older_analysis_is_refused(self) -> None:
        run = self.run_dir("a", [FASTER])
        path = Path(run) / "verdict.json"
        path.write_text(path.read_text().replace('"schema_version": 3', '"schema_version": 1'))
        status, _, err = self.compare(run, run)
        self.assertEqual(status, 2)
        self.assertIn("of an older analysis", err)

    def test_unusable_input_is_one_line(self) -> None:
        status, out, err = self.compare(self.run_dir("a", [FASTER]), str(self.top / "none"))
        self.assertEqual((status, out, err.count("\n")), (2, "", 1))
        self.assertIn("none/verdict.json: No such file", err)


if __name__ == "__main__":
    unittest.main()
