"""scale_map.py: planted times become winners, efficiencies and sentences; what was not simulated is refused."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis import scale_map
from analysis.testing.synthetic_run import Cell, write_run

RING, HEADWISE, GRID = "sequence+online_softmax", "headwise+online_softmax", "grid 2x2+online_softmax"
SIMULATED = {"launches": [{"launch": 0, "platform": {"name": "home", "sha256": "0"}}]}


def no_noise(_generator: object, _variant: int) -> float:
    return 0.0


class ScaleMapTest(unittest.TestCase):
    """Of run directories with known times."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.run_directory = Path(temporary.name) / "run"

    def write(self, cells: list[Cell], plan: dict[str, Any]) -> None:
        write_run(self.run_directory, cells, expect=(), rounds=4, noise=no_noise, plan=plan)

    def command(self) -> tuple[int, str, str]:
        """Status, standard output and standard error."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = scale_map.main([str(self.run_directory)])
        return status, out.getvalue(), err.getvalue()

    def test_winners_efficiencies_and_leads(self) -> None:
        self.write(
            [
                Cell({HEADWISE: 8.0}, {"ranks": 1}),
                Cell({HEADWISE: 2.5, RING: 3.0, GRID: 2.52}, {"ranks": 4}),
                Cell({RING: 2.0, GRID: 1.0}, {"ranks": 16, "nodes": 4}),
                Cell({RING: 3.0}, {"ranks": 16, "nodes": 4, "seq_len": 4096}),
                Cell({RING: 3.0}, {"ranks": 1, "seq_len": 2048}),
                Cell({RING: 3.0}, {"ranks": 16, "nodes": 4, "seq_len": 2048}, status={RING: "ok"}),
                Cell({RING: 3.0}, {"ranks": 16, "nodes": 4, "seq_len": 512}, status={RING: "failed"}),
            ],
            SIMULATED,
        )
        status, out, err = self.command()
        self.assertEqual((status, err), (0, ""))
        lines = out.splitlines()
        self.assertEqual(lines[0], "### home")
        self.assertIn(
            "`native`: of 2 cells with a choice, a grid of both is fastest in 1, by 100 %; the best two are equal within 2 % in 1. "
            "1024 tokens keep half of the cores busy up to 16 ranks (the most simulated): grid 2x2. "
            "2048 tokens keep half of the cores busy at no number of ranks.",
            lines,
        )
        self.assertIn("| model | contract | mask | tokens | 4 ranks, 1 node | 16 ranks, 4 nodes |", lines)
        self.assertIn(
            "| qwen3-0.6b | native | causal | 1024 | head-wise or grid 2x2, 80 % | grid 2x2, 50 % (+100 %) |", lines
        )
        self.assertIn("1 cases failed and are left out.", lines)
        # No base, nothing beside it, and a number of ranks that was not simulated.
        self.assertIn("| qwen3-0.6b | native | causal | 4096 | - | ring |", lines)

    def test_two_cases_of_one_way_are_refused(self) -> None:
        self.write([Cell({HEADWISE: 8.0, "headwise+standard": 9.0}, {"ranks": 2})], SIMULATED)
        status, out, err = self.command()
        self.assertEqual((status, out), (2, ""))
        self.assertIn("two cases are head-wise of qwen3-0.6b, native, causal, 1024 tokens on 2 ranks", err)

    def test_damaged_manifests_and_runs_without_a_case(self) -> None:
        for name in (["home"], {}, None, 3):
            with self.subTest(name=name):
                self.write([Cell({RING: 3.0}, {"ranks": 2})], {"launches": [{"launch": 0, "platform": {"name": name}}]})
                status, _, err = self.command()
                self.assertEqual(status, 2)
                self.assertIn("name no platform", err)
        self.write([Cell({RING: 3.0}, {"ranks": 2}, status={RING: "failed"})], SIMULATED)
        status, _, err = self.command()
        self.assertEqual(status, 2)
        self.assertIn("no case that is ok", err)

    def test_what_was_measured_is_no_simulation(self) -> None:
        self.write([Cell({HEADWISE: 8.0, RING: 7.0}, {"ranks": 2})], {})
        status, out, err = self.command()
        self.assertEqual((status, out), (2, ""))
        self.assertIn("'launches' name no platform: the run was not simulated", err)


if __name__ == "__main__":
    unittest.main()
