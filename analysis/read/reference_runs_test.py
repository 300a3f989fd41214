"""The checked-in runs can be read by the analysis they are checked in for, and hold nothing that failed."""

from __future__ import annotations

import unittest
from pathlib import Path

from analysis.read.read_run import read_run

RESULTS = Path(__file__).parent.parent.parent / "results"
# Runs of the runner, by experiment; over links, a directory each. peers/compare has files of its own.
LINKS = ("unshaped", "10gbit", "1gbit")
EXPERIMENTS = (
    "aa", "block_size", "ordering", "shared_memory", "smoke", "kernels", "kernels_bf16", "kernels_decode", "kernels_growth", "kernels_long",
    "kernels_shapes", "kernels_threads", "original_blocks", "original_memory", "original_threads", "qwen3_block", "qwen3_model", "decode",
)  # fmt: skip
OVER_LINKS = ("network", "network_decode", "network_ring")


class ReferenceRunsTest(unittest.TestCase):
    def directories(self) -> dict[Path, str]:
        directories = {RESULTS / experiment / "reference": experiment for experiment in EXPERIMENTS}
        for experiment in OVER_LINKS:
            directories |= {RESULTS / experiment / "reference" / link: experiment for link in LINKS}
        directories[RESULTS / "network_ring" / "reference" / "shared_memory"] = "network_ring"
        return directories

    def test_every_run_is_read(self) -> None:
        for directory, experiment in self.directories().items():
            with self.subTest(directory):
                run = read_run(directory)
                self.assertEqual(run.experiment, experiment)
                self.assertFalse(run.manifest["git_dirty"])
                self.assertEqual({case.status for case in run.cases}, {"ok"})

    def test_none_is_left_out(self) -> None:
        found = {path.parent for path in RESULTS.glob("*/reference/**/samples.csv*")}
        self.assertEqual(found - {RESULTS / "peers" / "reference"}, set(self.directories()))


if __name__ == "__main__":
    unittest.main()
