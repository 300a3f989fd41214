"""Every checked-in run has a verdict beside it, and it is what the analysis says today."""

from __future__ import annotations

import unittest
from pathlib import Path

from analysis.judge.verdicts import judge_run
from analysis.read.read_run import read_run
from analysis.show.json_report import report_as_json
from analysis.show.verdict_tables import WIDTH, format_report

RESULTS = Path(__file__).parent.parent / "results"


class ReferenceVerdictsTest(unittest.TestCase):
    def directories(self) -> list[Path]:
        found = {path.parent for path in RESULTS.glob("*/reference/**/cases.csv")}
        return sorted(found - {RESULTS / "peers" / "reference"})

    def test_verdicts_are_up_to_date(self) -> None:
        self.assertGreater(len(self.directories()), 20)
        for directory in self.directories():
            with self.subTest(directory):
                run = read_run(directory)
                verdict = judge_run(run)
                text = format_report(run, verdict)
                advice = f"analysis/verify_ordering.py --write {directory}"
                self.assertEqual((directory / "verdict.txt").read_text(encoding="utf-8"), text + "\n", advice)
                self.assertEqual((directory / "verdict.json").read_text(encoding="utf-8"), report_as_json(run, verdict) + "\n", advice)
                self.assertEqual([line for line in text.splitlines() if len(line) > WIDTH], [])


if __name__ == "__main__":
    unittest.main()
