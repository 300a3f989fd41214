"""scale_map.py: planted times become winners, efficiencies and sentences; what was not simulated is refused."""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
import unittest
from pathlib import Path
from typing import Any

import numpy as np

from analysis import scale_map
from analysis.estimate.scale_map import Place, ScaleMap, Way, lead_of
from analysis.show.scale_tables import platform_section, summary
from analysis.testing.synthetic_run import Cell, Noise, write_run

RING, HEADWISE, GRID = "sequence+online_softmax", "headwise+online_softmax", "grid 2x2+online_softmax"
PLACE = Place("qwen3-0.6b", "native", "causal", 1024)
SIMULATED = {"launches": [{"launch": 0, "platform": {"name": "home", "sha256": "0"}}]}


def no_noise(_generator: object, _variant: int) -> float:
    return 0.0


class ScaleMapTest(unittest.TestCase):
    """Of run directories with known times."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.run_directory = Path(temporary.name) / "run"

    def write(self, cells: list[Cell], plan: dict[str, Any], noise: Noise = no_noise) -> None:
        write_run(self.run_directory, cells, expect=(), rounds=20, noise=noise, plan=plan)

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

    def test_draws_make_intervals(self) -> None:
        """What all draws share cancels; what differs between ways decides what is resolved."""
        generator = np.random.default_rng(7)

        def drawn(fast: float, slow: float, deviation: float, common: float) -> tuple[Way, Way]:
            machine, other = generator.normal(0, common, 20), generator.normal(0, deviation, 20)
            return (
                Way("ring", fast, tuple(fast * np.exp(machine))),
                Way("grid 2x2", slow, tuple(slow * np.exp(machine + other))),
            )

        lead = lead_of(*drawn(1.0, 1.1, 0.01, 0.5))
        self.assertTrue(lead.is_decided)
        # 2.09 deviations of the logarithm to each side; of 20 draws the deviation is known within a third.
        self.assertTrue(1.3 < math.log((1 + lead.high) / (1 + lead.low)) / (2 * 0.01) < 3.0, lead)
        self.assertTrue(lead.low < 0.1 < lead.high)
        equal = lead_of(*drawn(1.0, 1.001, 0.004, 0.5))
        self.assertTrue(equal.is_equal and not equal.is_decided, equal)
        unknown = lead_of(*drawn(1.0, 1.05, 0.1, 0.0))
        self.assertFalse(unknown.is_equal or unknown.is_decided, unknown)
        # Draws of which the other has none say nothing.
        ring, grid = drawn(1.0, 1.1, 0.1, 0.1)
        self.assertAlmostEqual(lead_of(ring, Way("grid", 1.1)).low, 0.1)
        found = ScaleMap("home", 0, {4: 1}, {PLACE: {4: [ring, grid, drawn(1.0, 1.01, 0.1, 0.1)[1]]}})
        self.assertEqual(found.draws, 20)
        self.assertEqual([way.name for way in found.perhaps(PLACE, 4)], ["grid 2x2", "grid 2x2"])
        self.assertIn("which of the best two is not resolved in 1.", "\n".join(platform_section(found)))
        self.assertIn("| ring, perhaps grid 2x2 or grid 2x2 |", "\n".join(platform_section(found)))
        self.assertIn("not resolved 1 of 1", summary([found]))

    def test_intervals_of_a_run(self) -> None:
        self.write([Cell({HEADWISE: 2.5, RING: 3.0}, {"ranks": 4})], SIMULATED, noise=lambda generator, variant: generator.normal(0, 0.01 * variant))
        status, out, err = self.command()
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"\| head-wise \(\+1[0-9] to 2[0-9] %\) \|")

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
