"""The list of cases: nothing twice, nothing missing, and every file one that the binary takes."""

from __future__ import annotations

import subprocess
import unittest
from pathlib import Path

from src.mpi.testing.mpi_job import MpiScratch
from tools.revisions.slices import ALGORITHMS, GROUPS, ISAS, all_slices

_BINARY = Path.cwd() / "src/benchmark_qwen3"  # of the runfiles


class SlicesTest(unittest.TestCase):
    def test_cases_differ(self) -> None:
        slices = all_slices(ISAS)
        titles = [(part.group, part.title, variant) for part in slices for variant in part.variants]
        self.assertEqual(len(set(titles)), len(titles))
        files = [part.experiment(1) for part in slices]
        self.assertEqual(len(set(files)), len(files))
        self.assertEqual({part.group for part in slices}, set(GROUPS))
        self.assertEqual({part.group for part in slices if part.quick}, set(GROUPS))

    def test_prefill_is_the_full_product(self) -> None:
        cells = {
            (part.seq_len, part.causal, part.isa, variant)
            for part in all_slices(ISAS)
            if part.group == "prefill"
            for variant in part.variants
        }
        self.assertEqual(len(cells), 4 * 2 * len(ISAS) * len(ALGORITHMS))

    def test_the_binary_takes_every_file(self) -> None:
        with MpiScratch("rev") as scratch:
            file = scratch.directory / "slice.yaml"
            environment = scratch.environment | {"OMPI_MCA_ess_singleton_isolated": "1"}
            for part in all_slices(ISAS):
                file.write_text(part.experiment(7))
                planned = subprocess.run(
                    [_BINARY, "--experiment", file, "--dry-run"], capture_output=True, text=True, env=environment
                )
                self.assertEqual(planned.returncode, 0, f"{part.title}: {planned.stdout}{planned.stderr}")
                for variant in part.variants:
                    self.assertIn(variant.split("+")[1], planned.stdout)


if __name__ == "__main__":
    unittest.main()
