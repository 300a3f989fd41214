"""Every file of experiments/ is read and planned by the binary, as it is and with each of its profiles."""

from __future__ import annotations

import subprocess
import unittest
from pathlib import Path

import yaml

from src.mpi.testing.mpi_job import MpiScratch, root_allowed

BINARY = Path("src/benchmark_qwen3").resolve()
EXPERIMENTS = sorted(Path("experiments").resolve().rglob("*.yaml"))


class ExperimentsTest(unittest.TestCase):
    def geometry(self, file: Path, *options: str) -> dict[str, str]:
        """What --print-geometry says, which plans the run."""
        with MpiScratch("exp.") as scratch:
            done = subprocess.run(
                [BINARY, "--experiment", file, *options, "--print-geometry"],
                env=scratch.environment | root_allowed(), capture_output=True, text=True, check=False,
            )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())

    def test_all_are_planned(self) -> None:
        self.assertGreater(len(EXPERIMENTS), 20)
        for file in EXPERIMENTS:
            with self.subTest(file.name):
                self.assertEqual(self.geometry(file)["name"], file.stem)

    def test_profiles_are_planned_and_larger(self) -> None:
        with_profiles = {file: yaml.safe_load(file.read_text(encoding="utf-8")).get("profiles", {}) for file in EXPERIMENTS}
        self.assertGreaterEqual(sum(map(bool, with_profiles.values())), 3)
        for file, profiles in with_profiles.items():
            for profile in profiles:
                with self.subTest(f"{file.name}, {profile}"):
                    found = self.geometry(file, "--profile", profile)
                    self.assertEqual(found["name"], f"{file.stem}_{profile}")
                    self.assertGreater(int(found["ranks"]), int(self.geometry(file)["ranks"]))


if __name__ == "__main__":
    unittest.main()
