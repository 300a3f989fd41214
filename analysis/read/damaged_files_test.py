"""Whatever is in a file, whoever reads it returns or raises UnusableInput, in one line. The commands: analysis/damaged_run_test.py."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Callable

from hypothesis import given

from analysis.read.csv_table import UnusableInput, read_table
from analysis.read.json_file import read_json_object
from analysis.read.plan import done_launches, parse_looks, read_plan
from analysis.read.read_run import read_cases, read_manifest, read_run
from analysis.read.run_parts import read_part
from analysis.testing.damaged_run import CASES, MANIFEST, SAMPLES, Damage, damages, few


class DamagedFilesTest(unittest.TestCase):
    def check(self, damage: Damage, read: Callable[[Path], object]) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            directory = Path(temporary) / "run"
            damage.write(directory)
            try:
                read(directory)
            except UnusableInput as problem:
                self.assertEqual(len(str(problem).splitlines()), 1)

    @few(60)
    @given(damages(files=[CASES, SAMPLES]))
    def test_tables(self, damage: Damage) -> None:
        self.check(damage, lambda run: read_table(run / CASES, ["launch", "cell"]))
        self.check(damage, lambda run: read_table(run / SAMPLES, ["launch", "cell"], drop_cut_off_line=True))

    @few(60)
    @given(damages(files=[MANIFEST]))
    def test_manifests(self, damage: Damage) -> None:
        self.check(damage, lambda run: read_json_object(run / MANIFEST))
        self.check(damage, read_manifest)
        self.check(damage, lambda run: read_plan(read_manifest(run), run / MANIFEST, 4))
        self.check(damage, lambda run: parse_looks(read_manifest(run), run / MANIFEST))
        self.check(damage, lambda run: done_launches(read_manifest(run), run / MANIFEST))

    @few(60)
    @given(damages())
    def test_runs(self, damage: Damage) -> None:
        self.check(damage, read_run)
        self.check(damage, read_cases)
        self.check(damage, read_part)


if __name__ == "__main__":
    unittest.main()
