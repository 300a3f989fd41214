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
from analysis.estimate.scale_map import Place, ScaleMap, Way, lead_of, scale_maps
from analysis.read.read_run import read_run
from analysis.show.scale_figure import scale_winners
from analysis.show.scale_tables import departure_table, model_table, platform_section, standings
from analysis.testing.synthetic_run import Cell, Noise, write_run

RING, HEADWISE, GRID = "sequence+online_softmax", "headwise+online_softmax", "grid 2x2+online_softmax"
PLACE = Place("qwen3-0.6b", "native", "causal", 1024)
SIMULATED = {"launches": [{"launch": 0, "platform": {"name": "home", "sha256": "0"}}]}


def no_noise(_generator: object, _variant: int) -> float:
    return 0.0


def way(name: str, seconds: float, deviation: float) -> Way:
    """Twenty draws, as far above as below."""
    return Way(name, seconds, {draw: seconds * math.exp(deviation * (-1) ** draw) for draw in range(1, 21)})


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

        def drawn(fast: float, slow: float, deviation: float, common: float, shift: float = 0.0, count: int = 20) -> tuple[Way, Way]:
            machine, other = generator.normal(0, common, count), generator.normal(shift, deviation, count)
            return (
                Way("ring", fast, dict(enumerate(fast * np.exp(machine), 1))),
                Way("grid 2x2", slow, dict(enumerate(slow * np.exp(machine + other), 1))),
            )

        lead = lead_of(*drawn(1.0, 1.1, 0.01, 0.5))
        self.assertTrue(lead.is_decided)
        self.assertTrue(lead.low < 0.1 < lead.high)
        # Of many draws it is 1.96 deviations of the logarithm to each side.
        many = lead_of(*drawn(1.0, 1.1, 0.01, 0.5, count=4000))
        self.assertAlmostEqual(math.log((1 + many.high) / (1 + many.low)) / (2 * 0.01), 1.96, delta=0.1)
        # One more machine lies in it 95 times of 100, however few were drawn.
        inside = 0
        for _ in range(2000):
            few = lead_of(*drawn(1.0, 1.0, 0.01, 0.0, count=5))
            inside += few.low <= math.expm1(generator.normal(0, 0.01)) <= few.high
        self.assertAlmostEqual(inside / 2000, 0.95, delta=0.02)
        equal = lead_of(*drawn(1.0, 1.001, 0.004, 0.5))
        self.assertTrue(equal.is_equal and not equal.is_decided, equal)
        unknown = lead_of(*drawn(1.0, 1.05, 0.1, 0.0))
        self.assertFalse(unknown.is_equal or unknown.is_decided, unknown)
        # The machines that were drawn say the opposite of the platform: neither is believed.
        reversed_lead = lead_of(*drawn(1.0, 1.01, 0.003, 0.5, shift=-0.06))
        self.assertFalse(reversed_lead.is_equal or reversed_lead.is_decided, reversed_lead)
        self.assertLess(reversed_lead.low, -0.04)
        # A draw that one of them lacks says nothing.
        ring, grid = drawn(1.0, 1.1, 0.1, 0.1)
        self.assertAlmostEqual(lead_of(ring, Way("grid", 1.1)).low, 0.1)
        self.assertEqual(lead_of(ring, grid), lead_of(Way("ring", 1.0, {**ring.draws, 99: 1000.0}), grid))

    def test_a_cell_is_decided_against_all_others(self) -> None:
        """Not against the next way alone."""
        ring, near, wide = way("ring", 1.0, 0.0), way("grid 2x2", 1.03, 0.001), way("head-wise", 1.05, 0.03)
        found = ScaleMap("home", 0, {4: 1}, {PLACE: {4: [ring, near, wide]}})
        self.assertEqual(found.draws, (20, 20))
        self.assertEqual([other.name for other in found.perhaps(PLACE, 4)], ["head-wise"])
        section = "\n".join(platform_section(found))
        self.assertIn("which of the best is faster is not resolved in 1.", section)
        self.assertIn("| ring, perhaps head-wise |", section)
        decided = "\n".join(platform_section(ScaleMap("home", 0, {4: 1}, {PLACE: {4: [ring, near]}})))
        self.assertIn("ring is fastest in 1, by 3 %.", decided)
        self.assertIn("| ring (+2.8 to 3.2 %) |", decided)
        # Equal beside one that is not resolved.
        both = "\n".join(platform_section(ScaleMap("home", 0, {4: 1}, {PLACE: {4: [ring, wide, way("grid 2x2", 1.06, 0.03)]}})))
        self.assertIn("| ring, perhaps head-wise or grid 2x2 |", both)
        level = "\n".join(platform_section(ScaleMap("home", 0, {4: 1}, {PLACE: {4: [ring, way("grid 2x2", 1.001, 0.001), wide]}})))
        self.assertIn("the best two are equal within 2 % in 1.", level)
        self.assertIn("| ring or grid 2x2, perhaps head-wise |", level)

    def test_a_cell_with_an_equal_way_is_equal(self) -> None:
        """However near to nothing the lower end of another's lead is."""
        equal, slower = way("grid 2x2", 1.01, 0.0002), way("head-wise", 1.022, 0.009)
        found = ScaleMap("home", 0, {4: 1}, {PLACE: {4: [way("ring", 1.0, 0.0), equal, slower]}})
        first, second = (lead_of(found.ways[PLACE][4][0], other) for other in (equal, slower))
        self.assertTrue(first.is_equal and second.is_decided and second.low < first.low, (first, second))
        section = "\n".join(platform_section(found))
        self.assertIn("the best two are equal within 2 % in 1.", section)
        self.assertIn("| ring or grid 2x2 |", section)

    def test_tasks_are_not_compared(self) -> None:
        """A decoded token beside a prefill of as many, a layer beside its attention: a map each."""
        self.write(
            [Cell({HEADWISE: seconds, RING: 1.0}, {"ranks": 4, "scope": scope, "phase": phase})
             for scope, phase, seconds in (
                ("layer", "decode", 4.0), ("layer", "prefill", 3.0), ("attention", "decode", 2.0), ("attention", "prefill", 5.0)
             )],
            SIMULATED,
        )  # fmt: skip
        status, out, err = self.command()
        self.assertEqual((status, err), (0, ""))
        headings = [line for line in out.splitlines() if line.startswith("###")]
        self.assertEqual(headings, ["### home", "### home, decoding", "### home, a layer", "### home, decoding a layer"])
        leads = [line.split("(")[1] for line in out.splitlines() if line.startswith("| qwen3")]
        self.assertEqual(leads, ["+400 %) |", "+100 %) |", "+200 %) |", "+300 %) |"])

    def test_the_fields_of_the_figure(self) -> None:
        place = Place("qwen3-0.6b", "token_sharded", "causal", 1024)
        ways = {
            4: [Way("ring", 1.0), Way("grid 2x2", 1.01)],
            16: [Way("grid 4x4", 1.0), Way("ring", 1.5)],
            64: [Way("ring", 1.0)],
            256: [way("ring", 1.0, 0.0), way("grid 16x16", 1.05, 0.1)],
        }
        shown = scale_winners([ScaleMap("home", 0, {}, {place: ways, PLACE: {8: ways[4]}})])
        self.assertEqual((shown.columns, shown.rows, shown.columns_are), (["4", "16", "64", "256"], ["0.6B, 1024 tokens"], "ranks"))
        fields = {column: shown.panels["home"][shown.rows[0], column] for column in shown.columns}
        self.assertEqual(
            {column: (field.way, field.text, field.shown) for column, field in fields.items()},
            {"4": ("ring", "=", False), "16": ("grid of both", "50 %", True), "64": ("ring", "alone", True), "256": ("ring", "?", False)},
        )

    def test_how_often_a_way_is_best_and_how_bad_at_worst(self) -> None:
        other = Place("qwen3-0.6b", "native", "causal", 2048)
        found = ScaleMap("home", 0, {4: 1}, {
            PLACE: {1: [Way("ring", 9.0)], 4: [Way("ring", 1.0), Way("grid 2x2", 1.01), Way("head-wise", 1.5)]},
            other: {4: [Way("grid 2x2", 1.0), Way("ring", 3.5)], 16: [Way("ring", 1.0)]},
        })  # fmt: skip
        self.assertEqual(
            standings([found]),
            [
                "grid in 2 of 2 cells (at worst 1 % longer)",
                "ring in 1 of 2 cells (at worst 3.5 times as long)",
                "head-wise in 0 of 1 cells (at worst 50 % longer)",
            ],
        )

    def test_tokens_that_grow_with_the_ranks(self) -> None:
        """A column for each number of ranks and its length, a row for each mask."""
        cells = [Cell({RING: 1.0, GRID: 2.0}, {"ranks": ranks, "seq_len": 64 * ranks, "causal": causal}) for ranks in (4, 16) for causal in ("true", "false")]
        self.write([*cells[:3], *(Cell({HEADWISE: ranks / 2.0}, {"ranks": 1, "seq_len": 64 * ranks}) for ranks in (4, 16))], SIMULATED)
        status, out, err = self.command()
        self.assertEqual((status, err), (0, ""))
        lines = out.splitlines()
        self.assertEqual(lines[0], "### home, tokens growing with the ranks")
        self.assertIn("`native`: of 3 cells with a choice, ring is fastest in 3, by 100 %.", lines)
        self.assertIn("| model | contract | mask | 4 ranks, 256 tokens | 16 ranks, 1024 tokens |", lines)
        self.assertIn("| qwen3-0.6b | native | causal | ring, 50 % (+100 %) | ring, 50 % (+100 %) |", lines)
        self.assertIn("| qwen3-0.6b | native | full | ring (+100 %) | - |", lines)
        # Another length on as many ranks is no longer that.
        self.write([*cells, Cell({RING: 1.0, GRID: 2.0}, {"ranks": 4, "seq_len": 1024})], SIMULATED)
        self.assertIn("### home\n", self.command()[1])

    def test_the_cost_model_and_its_choice(self) -> None:
        """Departures of every way of several ranks; a choice is judged by the time of what it chose."""
        def ways(ring: float, head_wise: float) -> list[Way]:
            return [Way("ring", 1.0, predicted=ring), Way("head-wise", 1.5, predicted=head_wise)]

        other = Place("qwen3-0.6b", "native", "causal", 2048)
        found = ScaleMap("home", 0, {1: 1, 4: 1}, {PLACE: {1: [Way("ring", 4.0)], 4: ways(1.05, 1.5)}, other: {4: ways(1.3, 1.2)}})
        self.assertEqual(found.regret(PLACE, 4), 0.0)
        self.assertEqual(found.regret(other, 4), 0.5)
        self.assertIsNone(found.regret(PLACE, 1))
        (_, _, row) = model_table([found])
        self.assertEqual(row, "| home | 4 | 20 % | 30 % | 2 | 1 of 2 | 50 % |")
        self.assertEqual(
            departure_table([found])[2:], ["| head-wise | 4 | 2 | +0.0 % | -20 to +0 % |", "| ring | 4 | 2 | +30.0 % | +5 to +30 % |"]
        )
        silent = ScaleMap("home", 0, {4: 1}, {PLACE: {4: [Way("ring", 1.0), Way("head-wise", 2.0)]}})
        self.assertEqual((model_table([silent]), departure_table([silent])), ([], []))

    def test_predictions_of_a_manifest(self) -> None:
        plan: dict[str, Any] = {"launches": [{**SIMULATED["launches"][0], "predictions": {}}]}
        self.write([Cell({HEADWISE: 2.5, RING: 3.0}, {"ranks": 4})], plan)
        run = read_run(self.run_directory)
        plan["launches"][0]["predictions"] = {run.cases[1].case: {"predicted_s": 3.3}}
        self.write([Cell({HEADWISE: 2.5, RING: 3.0}, {"ranks": 4})], plan)
        (found,) = scale_maps(read_run(self.run_directory))
        ((place, ranks),) = found.cells()
        self.assertEqual([way.predicted for way in found.ways[place][ranks]], [None, 3.3])
        self.assertIsNone(found.regret(place, ranks))
        for wrong in ("x", 0, None):
            plan["launches"][0]["predictions"][run.cases[1].case]["predicted_s"] = wrong
            self.write([Cell({HEADWISE: 2.5, RING: 3.0}, {"ranks": 4})], plan)
            status, _, err = self.command()
            self.assertEqual(status, 2)
            self.assertIn("'predictions' of ", err)

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
