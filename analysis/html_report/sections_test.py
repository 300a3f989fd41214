"""Drawings show what was planted: each point, line and interval where its value is."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any, Sequence

from analysis.html_report import accuracy, communication, peak, ratios, regime_maps, roofs, scaling
from analysis.html_report.blocks import Panels, RegimeMaps, Section, Strips, Table
from analysis.html_report.comparisons import compare
from analysis.html_report.inputs import Inputs, read_inputs
from analysis.html_report.palette import Palette
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, ORDER_CLAIM, SEQUENCE, STANDARD, Cell

MEASURED = {
    "gflops": 80, "minimum_bytes": 1e9, "read_gb_per_s": 100, "peak_gflops": 160, "rel_l2_err": 1e-6, "tolerance_rel_l2": 4e-6,
}  # fmt: skip


def panels_of(section: Section) -> Panels:
    return next(block for block in section.blocks if isinstance(block, Panels))


def table_of(section: Section) -> Table:
    return next(block for block in section.blocks if isinstance(block, Table))


class SectionsTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)

    def read(self, ranks: Sequence[int] = (1, 2, 4), values: dict[str, Any] | None = None, **more: Any) -> Inputs:
        """Perfect scaling of the first variant; the second takes 1.25 times as long on several ranks."""
        cells = [
            Cell(
                {SEQUENCE: 1.0 / many, HEADWISE: (1.25 if many > 1 else 1.0) / many, STANDARD: 1.0 / many},
                {"seq_len": length, "ranks": many},
                {**MEASURED, **(values or {})},
            )
            for length in (512, 2048) for many in ranks
        ]  # fmt: skip
        claim = {**ORDER_CLAIM, "order": [SEQUENCE, HEADWISE], "where": {"ranks": [many for many in ranks if many > 1]}}
        synthetic_run.write_run(self.top / "run", cells, [claim], launches=6, rounds=4, **more)
        return read_inputs([self.top / "run"], None)

    def test_map(self) -> None:
        (block,) = regime_maps.section(compare(self.read().runs), ()).blocks
        assert isinstance(block, RegimeMaps)
        self.assertEqual((block.title, block.row_title, list(block.columns)), ("head-wise over sequence", "ranks", ["512", "2048"]))
        (facet,) = block.facets
        self.assertEqual([row for row, _ in facet.rows], ["2 ranks", "4 ranks"])
        for _, cells in facet.rows:
            for cell in cells:
                assert cell is not None
                self.assertEqual((cell.style, cell.mark, cell.text), ("for", "+", "25 %"))

    def test_map_of_what_is_against_the_claim(self) -> None:
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: 0.8})]
        claim = {**ORDER_CLAIM, "order": [SEQUENCE, HEADWISE]}
        synthetic_run.write_run(self.top / "run", cells, [claim], launches=6, rounds=4)
        (block,) = regime_maps.section(compare(read_inputs([self.top / "run"], None).runs), ()).blocks
        assert isinstance(block, RegimeMaps)
        ((_, (cell,)),) = block.facets[0].rows
        assert cell is not None
        self.assertEqual((cell.style, cell.mark, cell.text), ("against", "\u2212", "20 %"))
        self.assertIn("head-wise faster by", cell.tip)

    def test_ratios(self) -> None:
        strips, table = ratios.section(compare(self.read().runs), ()).blocks
        assert isinstance(strips, Strips) and isinstance(table, Table)
        self.assertEqual((strips.left, strips.right, strips.centre), ("head-wise faster", "sequence faster", 50))
        assert strips.band is not None
        self.assertTrue(45 < strips.band[0] < 50 < strips.band[1] < 55)
        self.assertEqual(len(strips.rows), 4)
        for row in strips.rows:
            assert row.x is not None and row.low is not None and row.high is not None
            self.assertTrue(50 < strips.band[1] < row.low <= row.x <= row.high <= 100)
            self.assertEqual((row.style, row.mark, row.low_cut, row.high_cut), ("for", "+", False, False))
            self.assertRegex(row.text, r"^1\.2[45]\d \[1\.2\d\d, 1\.2\d\d\] \+$")

    def test_an_estimate_without_an_interval_is_a_point(self) -> None:
        claim = {**ORDER_CLAIM, "order": [SEQUENCE, HEADWISE]}
        synthetic_run.write_run(self.top / "run", [Cell({SEQUENCE: 1.0, HEADWISE: 7.0})], [claim], launches=1, rounds=3)
        strips = ratios.section(compare(read_inputs([self.top / "run"], None).runs), ()).blocks[0]
        assert isinstance(strips, Strips)
        (row,) = strips.rows
        assert row.x is not None
        self.assertTrue(50 < row.x < 100 and row.low is None and row.high is None)
        self.assertIn("[no interval] ~", row.text)

    def test_decided_cells_come_first(self) -> None:
        planted = ((512, 1.02), (1024, 1.02), (2048, 1.3))
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: ratio}, {"seq_len": length}) for length, ratio in planted]
        claim = {**ORDER_CLAIM, "order": [SEQUENCE, HEADWISE]}
        synthetic_run.write_run(self.top / "run", cells, [claim], launches=6, rounds=4, launch_effect=0.02)
        strips = ratios.section(compare(read_inputs([self.top / "run"], None).runs), ()).blocks[0]
        assert isinstance(strips, Strips)
        self.assertEqual([(row.label, row.style) for row in strips.rows],
                         [("2048 tokens", "for"), ("512 tokens", "open"), ("1024 tokens", "open")])  # fmt: skip

    def test_peak(self) -> None:
        """Half the peak on one rank and, as the same GFLOP/s were planted, on all; 100 % is drawn near the top."""
        panels = panels_of(peak.section(self.read(values={"pct_peak": 50}), Palette()))
        self.assertEqual([panel.title for panel in panels.panels], ["ranks 1", "ranks 2", "ranks 4"])
        for panel in panels.panels:
            (limit,) = panel.segments
            self.assertEqual((limit.style, limit.y1, limit.y2), ("limit", limit.y1, limit.y1))
            self.assertTrue(0 < limit.y1 < 10, "100 % is near the top")
            for series in panel.series:
                for mark in series.marks:
                    self.assertAlmostEqual(mark.y, (limit.y1 + 100) / 2, delta=0.1)

    def test_peers_are_beside(self) -> None:
        peers_dir = self.top / "peers"
        peers_dir.mkdir()
        (peers_dir / "summary.csv").write_text(
            "column,contestant,limit,pct_of_limit,pct_of_limit_low,pct_of_limit_high\n"
            "full_512,ours,pct_peak,90,89,91\nfull_1024,ours,pct_peak,92,91,93\nfull_512,onednn,pct_peak,80,,\n"
            "decode_32768,ours,pct_read_bandwidth,85,84,86\nodd,ours,pct_peak,1,1,1\n"
        )
        self.read()
        section = peak.section(read_inputs([self.top / "run", peers_dir], None), Palette())
        block = [found for found in section.blocks if isinstance(found, Panels)][-1]
        self.assertEqual([panel.title for panel in block.panels], ["no mask", "decode, % of read bandwidth"])
        self.assertEqual([series.name for series in block.panels[0].series], ["ours, online softmax", "onednn"])
        self.assertEqual(section.missing, ())

    def test_roofline(self) -> None:
        """80 GFLOP/s at 80 s^-1 x time operations per planted byte, under a ridge at 1.6 FLOP/byte."""
        section = roofs.section(self.read(), Palette())
        for row in table_of(section).rows:
            intensity, speed, share = row[2].sort, row[3].sort, row[5].sort
            assert intensity is not None and speed is not None and share is not None
            self.assertAlmostEqual(speed, 80)
            self.assertAlmostEqual(share, 80 / min(160, intensity * 100))
        for panel in panels_of(section).panels:
            flat, slope = panel.segments
            self.assertEqual((flat.y1, flat.x2, slope.x2, slope.y2), (flat.y2, 100, flat.x1, flat.y1), "they meet at the ridge")
            self.assertGreater(slope.y1, slope.y2)
            for series in panel.series:
                for mark in series.marks:
                    self.assertGreater(mark.y, flat.y1, "below the peak")

    def test_scaling_over_ranks(self) -> None:
        section = scaling.section(self.read(), Palette())
        block = panels_of(section)
        self.assertEqual([panel.title for panel in block.panels], ["512 tokens", "2048 tokens"])
        for panel in block.panels:
            ideal = panel.segments[0]
            self.assertEqual(ideal.style, "ideal")
            perfect, slower = panel.series[0].marks[1:], panel.series[1].marks[1:]
            self.assertAlmostEqual(perfect[1].y, ideal.y2, delta=1)
            self.assertGreater(slower[1].y, perfect[1].y + 3)
        speedups = {(row[1].text, row[2].text): row[3].sort or 0.0 for row in table_of(section).rows}
        self.assertAlmostEqual(speedups[SEQUENCE, "4"], 4, delta=0.05)
        self.assertAlmostEqual(speedups[HEADWISE, "4"], 3.2, delta=0.05)

    def test_scaling_over_lengths_where_there_is_one_number_of_ranks(self) -> None:
        block = panels_of(scaling.section(self.read(ranks=(1, 2)), Palette()))
        (panel,) = block.panels
        ideal = panel.segments[0]
        self.assertEqual((ideal.style, ideal.y1), ("ideal", ideal.y2))
        self.assertEqual([len(series.marks) for series in panel.series], [2, 2, 2])
        self.assertAlmostEqual(panel.series[0].marks[0].y, ideal.y1, delta=1)
        self.assertAlmostEqual(100 - panel.series[1].marks[0].y, 0.8 * (100 - ideal.y1), delta=1)

    def test_exposed_communication(self) -> None:
        """0.1 s of 0.5 s, and of 0.625 s."""
        section = communication.section(self.read(ranks=(2,), values={"comm_exposed_s": 0.1}), Palette())
        shares = {row[1].text: row[5].sort or 0.0 for row in table_of(section).rows}
        self.assertAlmostEqual(shares[SEQUENCE], 20, delta=0.5)
        self.assertAlmostEqual(shares[HEADWISE], 16, delta=0.5)

    def test_unresolved_communication_is_hollow(self) -> None:
        inputs = self.read(ranks=(2,), values={"comm_exposed_s": -1e-4})
        for series in panels_of(communication.section(inputs, Palette())).panels[0].series:
            self.assertTrue(all(mark.hollow and mark.y == 100 for mark in series.marks))

    def test_accuracy(self) -> None:
        section = accuracy.section(self.read())
        strips = section.blocks[0]
        assert isinstance(strips, Strips) and strips.centre is not None
        self.assertEqual([row.text for row in strips.rows], ["6 cases, at most 25 %"] * 3)
        self.assertTrue(all(dot < strips.centre for row in strips.rows for dot in row.dots))
        beyond = accuracy.section(self.read(values={"rel_l2_err": 8e-6})).blocks[0]
        assert isinstance(beyond, Strips) and beyond.centre is not None
        self.assertEqual({row.style for row in beyond.rows}, {"against"})
        self.assertTrue(all(dot > (beyond.centre or 0) for row in beyond.rows for dot in row.dots))


if __name__ == "__main__":
    unittest.main()
