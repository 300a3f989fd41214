"""The checked-in runs can be read by the analysis they are checked in for, and hold nothing that failed."""

from __future__ import annotations

import unittest
from pathlib import Path

from analysis.read_run import read_run

RESULTS = Path(__file__).parent.parent / "results"
# Runs of the runner; peers/compare has files of its own.
EXPERIMENTS = ("aa", "ordering", "smoke")


class ReferenceRunsTest(unittest.TestCase):
    def test_every_run_is_read(self) -> None:
        for experiment in EXPERIMENTS:
            with self.subTest(experiment):
                run = read_run(RESULTS / experiment / "reference")
                self.assertEqual(run.experiment, experiment)
                self.assertFalse(run.manifest["git_dirty"])
                self.assertEqual({case.status for case in run.cases}, {"ok"})

    def test_none_is_left_out(self) -> None:
        found = {path.parent.parent.name for path in RESULTS.glob("*/reference/samples.csv")}
        self.assertEqual(found - {"peers"}, set(EXPERIMENTS))


if __name__ == "__main__":
    unittest.main()
