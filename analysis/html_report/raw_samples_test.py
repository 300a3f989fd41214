"""Links lead to the files wherever the page lies, and samples are thinned only as far as needed, and that is said."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from urllib.parse import unquote

from analysis.html_report import raw_samples
from analysis.html_report.blocks import Samples
from analysis.html_report.inputs import read_inputs
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, SEQUENCE, STANDARD, Cell


class RawSamplesTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)
        self.run_dir = self.top / "a 'run' <&> \"here\""
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.5}, {"seq_len": length}) for length in (512, 1024)]
        synthetic_run.write_run(self.run_dir, cells, launches=2, rounds=10)

    def samples(self, letters: int) -> Samples:
        (block,) = raw_samples.section(read_inputs([self.run_dir], None), self.run_dir / "report.html", letters).blocks
        assert isinstance(block, Samples)
        return block

    def test_links(self) -> None:
        beside = raw_samples.links_to(self.run_dir, self.run_dir / "report.html")
        self.assertEqual(beside, [(name, f"./{name}") for name in ("samples.csv", "cases.csv", "manifest.json")])
        for page in (self.top / "report.html", self.top / "far" / "away" / "report.html"):
            for name, address in raw_samples.links_to(self.run_dir, page):
                self.assertRegex(address, r"^\./[A-Za-z0-9%._/-]*$")
                self.assertEqual((page.parent / unquote(address)).resolve(), (self.run_dir / name).resolve())

    def test_all_samples(self) -> None:
        block = self.samples(10**6)
        self.assertIn("All 120 samples", block.note)
        self.assertEqual([cell.label for cell in block.cells], ["512 tokens", "1024 tokens"])
        for cell in block.cells:
            self.assertEqual([name for name, _ in cell.series], [SEQUENCE, HEADWISE, STANDARD])
            for _, times in cell.series:
                launches = [[float(time) for time in launch.split()] for launch in times.split(";")]
                self.assertEqual([len(launch) for launch in launches], [10, 10])
        milliseconds = [float(time) for time in block.cells[0].series[0][1].replace(";", " ").split()]
        self.assertTrue(all(900 < time < 1100 for time in milliseconds), milliseconds)

    def test_thinned(self) -> None:
        block = self.samples(300)
        self.assertIn("one in 3", block.note)
        self.assertIn("all 120 are in samples.csv", block.note)
        kept = sum(len(times.replace(";", " ").split()) for cell in block.cells for _, times in cell.series)
        self.assertEqual(kept, 2 * 3 * 2 * 4)

    def test_no_room(self) -> None:
        block = self.samples(0)
        self.assertEqual(list(block.cells), [])
        self.assertIn("No room", block.note)

    def test_how_far_to_thin(self) -> None:
        self.assertEqual([raw_samples.keep_one_in(100, letters) for letters in (700, 699, 70, 1, 0)], [1, 2, 10, 700, 700])


if __name__ == "__main__":
    unittest.main()
