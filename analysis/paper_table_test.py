"""The paper's numbers are those of the analysis, and safe to put into LaTeX."""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path

from analysis import paper_table
from analysis.show import paper_tables
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, ORDER_CLAIM, SEQUENCE, STANDARD, Cell


class PaperTableTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.run_dir, self.output = Path(temporary.name) / "run", Path(temporary.name) / "tex"
        cells = [
            Cell({SEQUENCE: 1.0, HEADWISE: ratio if ranks == 2 else 1.0, STANDARD: 1.5},
                 {"contract": contract, "seq_len": seq_len, "ranks": ranks}, {"rel_l2_err": 4e-7})
            for contract in ("native", "token_sharded") for seq_len, ratio in ((512, 0.9), (1024, 1.1)) for ranks in (1, 2)
        ]  # fmt: skip
        synthetic_run.write_run(self.run_dir, cells, [dict(ORDER_CLAIM, where={"ranks": [2]})], launches=16, rounds=3)

    def generate(self, *options: str) -> tuple[int, str]:
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            return paper_table.main([str(self.run_dir), str(self.output), *options]), err.getvalue()

    def test_numbers(self) -> None:
        self.assertEqual(self.generate(), (0, ""))
        text = (self.output / "numbers.tex").read_text()
        for name, value in {"ClaimVerdict": "depends on the regime", "VotingCells": "4", "FasterCells": "2", "SlowerCells": "2",
                            "EqualCells": "0", "UnresolvedCells": "0", "Launches": "16", "Rounds": "48", "ControlCells": "4",
                            "ControlDifferent": "0", "Comparisons": "8", "Margin": "2", "LargestError": "4.0e-07"}.items():  # fmt: skip
            self.assertIn(rf"\newcommand{{\{name}}}{{{value}}}" + "\n", text)

    def test_machine(self) -> None:
        path = self.run_dir / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest["launches"] = [{"cpu": "A & B", "mpi": "Open MPI", "pinning": {"1x1 packed": "0", "2x1 packed": "0 | 1"}}]
        path.write_text(json.dumps(manifest))
        self.generate()
        text = (self.output / "numbers.tex").read_text()
        for macro in (r"\Cpu}{A \& B}", r"\MpiLibrary}{Open MPI}", r"\Compiler}{unknown compiler}", r"\Isas}{avx512}",
                      r"\Pinning}{1x1 packed: 0; 2x1 packed: 0 \textbar{} 1}", r"\PeakOneRank}{115}"):  # fmt: skip
            self.assertIn(macro, text)

    def test_tables(self) -> None:
        self.generate()
        regimes = (self.output / "regimes.tex").read_text()
        # B/A is faster at one length and slower at the other; C/B is faster at both; two cells.
        self.assertRegex(regimes, r"native & [\d.]+ & \[.*\] & \\# & [\d.]+ & \[.*\] & \$\+\$ & 2 ")
        self.assertIn(r"token\_sharded & ", regimes)
        cells = (self.output / "cells.tex").read_text().splitlines()
        rows = [line for line in cells if line.startswith(("512 tokens &", "1024 tokens &"))]
        self.assertEqual(len(rows), 4)
        self.assertTrue(rows[0].endswith(r"& $+$ & slower \\"), rows[0])
        self.assertTrue(all(line.count("&") == 7 for line in rows))

    def test_refusals(self) -> None:
        self.assertEqual(self.generate("--claim", "nothing"),
                         (2, "paper_table: manifest.json: no claim 'nothing'; there are: ordering\n"))  # fmt: skip
        (self.run_dir / "cases.csv").unlink()
        status, message = self.generate()
        self.assertEqual(status, 2)
        self.assertIn("cases.csv: no such file", message)

    def test_escape(self) -> None:
        self.assertEqual(paper_tables.escape(r"a_b & 5% {\x}"), r"a\_b \& 5\% \{\textbackslash{}x\}")


if __name__ == "__main__":
    unittest.main()
