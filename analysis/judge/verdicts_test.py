"""Known answers: every verdict of a pair, a cell and a claim, and who may vote."""

import math
import tempfile
import unittest
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np

from analysis.estimate import paired_statistics as stats
from analysis.read.read_run import read_run
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, ORDER_CLAIM, SEQUENCE, STANDARD, Cell, Noise
from analysis.judge.verdicts import (
    ClaimResult,
    Verdict,
    combine_cells,
    combine_pairs,
    exit_code,
    judge_run,
)

PAIR_CLAIM = {"claim": "pair", "metric": "time_s", "over": "variant", "order": [SEQUENCE, HEADWISE]}


def pair_cell(ratio: float, **factors: Any) -> Cell:
    return Cell({SEQUENCE: 1.0, HEADWISE: ratio}, factors)


def judge(cells: Sequence[Cell], claim: Mapping[str, Any] = PAIR_CLAIM, **options: Any) -> ClaimResult:
    with tempfile.TemporaryDirectory() as directory:
        synthetic_run.write_run(Path(directory), cells, [claim], **options)
        return judge_run(read_run(Path(directory)))[0]


class PairVerdictTest(unittest.TestCase):
    """Noise of 0.4 % per time, so 0.57 % per ratio: 30 rounds know the median to about 0.26 %."""

    def test_planted_ratios(self) -> None:
        expected = {
            1.05: Verdict.HOLDS,
            1.018: Verdict.HOLDS,
            1.0: Verdict.EQUIVALENT,
            0.95: Verdict.CONTRADICTED,
            1.01: Verdict.UNDECIDED,
            0.99: Verdict.UNDECIDED,
        }
        for launches in (1, 5):
            for ratio, verdict in expected.items():
                with self.subTest(ratio=ratio, launches=launches):
                    result = judge([pair_cell(ratio)], launches=launches, rounds=60)
                    pair = result.cells[0].pairs[0]
                    self.assertEqual(pair.verdict, verdict, pair)
                    self.assertEqual(result.verdict, verdict)
                    assert pair.interval is not None
                    self.assertLess(pair.interval[0], ratio)
                    self.assertGreater(pair.interval[1], ratio)

    def test_undecided_names_the_detectable_ratio(self) -> None:
        pair = judge([pair_cell(1.01)]).cells[0].pairs[0]
        self.assertIn(f"could have detected {pair.detectable:.3f} (30 rounds, 1 launch)", pair.reason)
        assert pair.detectable is not None
        # 4.5 standard errors of the median above the margin, see required_rounds; a factor of two for its noise.
        expected = 4.5 * 0.0057 / math.sqrt(30)
        self.assertTrue(expected / 2 < pair.detectable - 1.01 < expected * 2, pair.detectable)

    def test_direction_follows_the_claim(self) -> None:
        claim = dict(PAIR_CLAIM, order=[HEADWISE, SEQUENCE])
        self.assertEqual(judge([pair_cell(1.05)], claim).verdict, Verdict.CONTRADICTED)
        self.assertEqual(judge([pair_cell(0.95)], claim).verdict, Verdict.HOLDS)

    def test_pairing_removes_common_drift(self) -> None:
        """A machine that slows down by half during the run leaves paired ratios alone."""
        state = {"calls": 0}

        def drifting(generator: np.random.Generator, variant: int) -> float:
            state["calls"] += 1
            # Steep in the middle: the two medians there stand a step apart.
            return 0.4 * math.tanh((state["calls"] % 64 - 32) / 4) + float(generator.normal(0, 0.002))

        for launches in (1, 3):
            state["calls"] = 0
            result = judge([pair_cell(1.05)], noise=drifting, launches=launches)
            self.assertEqual(result.verdict, Verdict.HOLDS, launches)

    def test_launch_effects_widen_the_interval(self) -> None:
        """2 % that stays within a launch: certain in one launch, uncertain over five."""
        shifts = iter([0.02, -0.02, 0.025, -0.015, 0.0])

        def launch_noise() -> Noise:
            state = {"calls": 0, "shift": 0.0}

            def noise(generator: np.random.Generator, variant: int) -> float:
                if state["calls"] % 64 == 0:
                    state["shift"] = next(shifts, 0.02)
                state["calls"] += 1
                return (state["shift"] if variant == 1 else 0.0) + float(generator.normal(0, 0.001))

            return noise

        several = judge([pair_cell(1.02)], noise=launch_noise(), launches=5)
        self.assertEqual(several.verdict, Verdict.UNDECIDED)
        shifts = iter([0.02])
        self.assertEqual(judge([pair_cell(1.02)], noise=launch_noise(), launches=1).verdict, Verdict.HOLDS)

    def test_hopeless_noise_is_said_plainly(self) -> None:
        result = judge([pair_cell(1.0)], noise=lambda generator, variant: float(generator.normal(0, 3)))
        self.assertIn("could have detected nothing below 10", result.cells[0].pairs[0].reason)

    def test_too_few_rounds(self) -> None:
        pair = judge([pair_cell(2.0)], rounds=4).cells[0].pairs[0]
        self.assertEqual(pair.verdict, Verdict.UNDECIDED)
        self.assertIn("too few rounds", pair.reason)

    def test_failed_rounds_are_left_out_of_both_sides(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            synthetic_run.write_run(Path(directory), [pair_cell(1.05)], [PAIR_CLAIM], rounds=30)
            path = Path(directory) / "samples.csv"
            lines = path.read_text().splitlines()
            lines[10] = lines[10].rsplit(",", 1)[0] + ",over_peak"
            path.write_text("\n".join(lines) + "\n")
            pair = judge_run(read_run(Path(directory)))[0].cells[0].pairs[0]
        assert pair.estimate is not None
        self.assertEqual(pair.estimate.rounds, 29)


    def test_drift_beyond_the_interval_is_flagged(self) -> None:
        """The synthetic interval is +-1 %: 3 % is beyond its width, 1.5 % is not."""
        for drift, flags in ((0.03, ("times drifted during the cell",)), (-0.03, ("times drifted during the cell",)), (0.015, ())):
            cell = Cell({SEQUENCE: 1.0, HEADWISE: 1.05}, {}, {"drift": drift})
            pair = judge([cell]).cells[0].pairs[0]
            self.assertEqual((pair.verdict, pair.flags), (Verdict.HOLDS, flags))


class RatioClaimTest(unittest.TestCase):
    CLAIM: dict[str, Any] = {"claim": "gain", "over": "isa", "ratio": {"slow": "scalar", "fast": "avx2", "min": 2.0, "max": 3.5}}

    def cells(self, ratio: float) -> list[Cell]:
        return [Cell({HEADWISE: 1.0}, {"isa": "avx2", "ranks": 1}), Cell({HEADWISE: ratio}, {"isa": "scalar", "ranks": 1})]

    def test_planted_ratios(self) -> None:
        expected = {2.7: Verdict.HOLDS, 1.8: Verdict.CONTRADICTED, 3.9: Verdict.CONTRADICTED, 2.0: Verdict.UNDECIDED}
        for launches in (1, 5):
            for ratio, verdict in expected.items():
                with self.subTest(ratio=ratio, launches=launches):
                    self.assertEqual(judge(self.cells(ratio), self.CLAIM, launches=launches).verdict, verdict)

    def test_one_sided_bounds(self) -> None:
        for bounds, verdict in (({"min": 2}, Verdict.HOLDS), ({"max": 2}, Verdict.CONTRADICTED)):
            ratio: dict[str, Any] = {"slow": "scalar", "fast": "avx2", **bounds}
            claim = dict(self.CLAIM, ratio=ratio)
            self.assertEqual(judge(self.cells(2.7), claim).verdict, verdict)

    def test_unpaired_blocks_say_so(self) -> None:
        flags = judge(self.cells(2.7), self.CLAIM).cells[0].pairs[0].flags
        self.assertTrue(any("not paired" in flag for flag in flags))
        self.assertEqual(judge(self.cells(2.7), self.CLAIM, launches=5).cells[0].pairs[0].flags, ())

    def test_cells_of_a_resumed_launch_are_compared(self) -> None:
        """A resumed launch has another id for the cells that came after the interruption."""
        with tempfile.TemporaryDirectory() as directory:
            synthetic_run.write_run(Path(directory), self.cells(2.7), [self.CLAIM], launches=3)
            for name in ("samples.csv", "cases.csv"):
                path = Path(directory) / name
                path.write_text(path.read_text().replace("1,2,cell001", "1,1002,cell001"))
            pair = judge_run(read_run(Path(directory)))[0].cells[0].pairs[0]
        assert pair.estimate is not None
        self.assertEqual((pair.verdict, pair.estimate.launches), (Verdict.HOLDS, 3))

    def test_order_over_another_axis(self) -> None:
        claim = {"claim": "isa", "over": "isa", "order": ["avx2", "scalar"]}
        self.assertEqual(judge(self.cells(2.7), claim).verdict, Verdict.HOLDS)
        self.assertEqual(judge(self.cells(0.7), claim).verdict, Verdict.CONTRADICTED)

    def test_counted_metric_has_no_noise(self) -> None:
        cells = [Cell({HEADWISE: 1.0}, {"seq_len": n}, {"workspace_bytes": 1000 * n}) for n in (512, 1024)]
        claim = {"claim": "memory", "metric": "workspace_bytes", "over": "seq_len",
                 "ratio": {"slow": 1024, "fast": 512, "min": 1.9, "max": 2.1}}  # fmt: skip
        self.assertEqual(judge(cells, claim).verdict, Verdict.HOLDS)

    def test_derived_rates(self) -> None:
        claim = {"claim": "rate", "metric": "pct_peak", "over": "variant", "order": [HEADWISE, SEQUENCE]}
        result = judge([pair_cell(1.1)], claim)  # the slower one has the smaller rate
        self.assertEqual(result.verdict, Verdict.HOLDS)


class VotingTest(unittest.TestCase):
    def no_vote_reason(self, cell: Cell) -> str:
        result = judge([cell, pair_cell(1.05, seq_len=64)])
        silent = [c for c in result.cells if c.verdict is Verdict.NO_VOTE]
        self.assertEqual(len(silent), 1)
        self.assertEqual(result.verdict, Verdict.HOLDS, "the other cell decides")
        return silent[0].pairs[0].reason

    def test_who_does_not_vote(self) -> None:
        contradicting = {SEQUENCE: 1.2, HEADWISE: 1.0}
        self.assertEqual(self.no_vote_reason(Cell(contradicting, {}, {"oversubscribed": "true"})), "oversubscribed")
        for status in ("failed", "time_limit"):
            cell = Cell(contradicting, {}, {"message": "why"}, {HEADWISE: status})
            self.assertEqual(self.no_vote_reason(cell), f"{HEADWISE} {status}: why")
        self.assertIn("exchange none", self.no_vote_reason(Cell(contradicting, {"exchange": "none"})))

    def test_a_block_sums_what_heads_leave_apart(self) -> None:
        result = judge([Cell({SEQUENCE: 1.2, HEADWISE: 1.0}, {"exchange": "none", "scope": "block"})])
        self.assertEqual(result.verdict, Verdict.CONTRADICTED)

    def test_one_rank_does_not_vote(self) -> None:
        result = judge([pair_cell(1.0, ranks=1), pair_cell(1.05, ranks=2)])
        self.assertEqual(result.verdict, Verdict.HOLDS)
        self.assertEqual(result.counts[Verdict.NO_VOTE], 1)

    def test_a_claim_about_one_rank_compares_algorithms_only(self) -> None:
        cell = Cell({SEQUENCE: 1.0, HEADWISE: 1.2, STANDARD: 1.5}, {"ranks": 1})
        result = judge([cell], dict(ORDER_CLAIM, where={"ranks": [1]}))
        pairs = result.cells[0].pairs
        self.assertEqual([pairs[0].verdict, pairs[1].verdict], [Verdict.NO_VOTE, Verdict.HOLDS])
        self.assertEqual(judge([cell], ORDER_CLAIM).cells[0].verdict, Verdict.NO_VOTE)

    def test_nobody_votes(self) -> None:
        result = judge([pair_cell(1.05, ranks=1)])
        self.assertEqual((result.verdict, result.reason), (Verdict.UNDECIDED, "no cell votes"))
        self.assertEqual(exit_code([result]), 3)

    def test_values_that_are_not_positive_give_no_ratio(self) -> None:
        cell = Cell({SEQUENCE: 1.0, HEADWISE: 1.1}, {}, {"comm_bytes_per_rank": 0})
        result = judge([cell], dict(PAIR_CLAIM, metric="comm_bytes_per_rank"))
        self.assertEqual(result.cells[0].pairs[0].reason, "comm_bytes_per_rank is zero")


    def test_rounds_without_a_logarithm_are_not_dropped(self) -> None:
        """Exposed communication lost in the noise: keeping the positive rounds only would keep the large ones."""
        claim = dict(PAIR_CLAIM, metric="comm_exposed_s")
        self.assertEqual(judge([pair_cell(1.05)], claim).verdict, Verdict.HOLDS)
        with tempfile.TemporaryDirectory() as directory:
            synthetic_run.write_run(Path(directory), [pair_cell(1.05)], [claim])
            path = Path(directory) / "samples.csv"
            lines = path.read_text().splitlines()
            fields = lines[20].split(",")
            fields[lines[0].split(",").index("comm_exposed_s")] = "-1e-5"
            path.write_text("\n".join([*lines[:20], ",".join(fields), *lines[21:]]) + "\n")
            cell = judge_run(read_run(Path(directory)))[0].cells[0]
        self.assertEqual(cell.verdict, Verdict.NO_VOTE)
        self.assertEqual(cell.pairs[0].reason, "comm_exposed_s is zero or negative in some rounds")


class ControlTest(unittest.TestCase):
    def judge_with_control(self, control_ratio: float, **options: Any) -> ClaimResult:
        cells = [pair_cell(control_ratio, ranks=1, seq_len=n) for n in (512, 1024)] + [pair_cell(1.05, ranks=2)]
        return judge(cells, dict(PAIR_CLAIM, where={"ranks": [2]}), **options)

    def test_sound_instrument(self) -> None:
        result = self.judge_with_control(1.0)
        self.assertEqual(result.verdict, Verdict.HOLDS)
        self.assertEqual((len(result.controls.measured), result.controls.including_one), (2, 2))
        self.assertFalse(result.controls.failed or result.controls.biased)

    def test_bias_within_the_margin_is_reported(self) -> None:
        result = self.judge_with_control(1.005, rounds=100)
        self.assertEqual(result.verdict, Verdict.HOLDS)
        self.assertEqual((len(result.controls.biased), len(result.controls.failed)), (2, 0))
        self.assertAlmostEqual(result.controls.median_bias or 0, 0.005, delta=0.002)

    def test_broken_instrument_decides_nothing(self) -> None:
        for ratio in (1.03, 0.97):
            result = self.judge_with_control(ratio)
            self.assertEqual(result.verdict, Verdict.UNDECIDED)
            self.assertIn("A/A control fails in 2 of 2", result.reason)


class CombinationTest(unittest.TestCase):
    H, C, E, U, N = Verdict.HOLDS, Verdict.CONTRADICTED, Verdict.EQUIVALENT, Verdict.UNDECIDED, Verdict.NO_VOTE

    def test_pairs_to_cell(self) -> None:
        table = [("HH", "H"), ("HU", "U"), ("HE", "E"), ("HC", "C"), ("EU", "E"), ("UC", "C"), ("NH", "H"), ("NN", "N")]
        for pairs, cell in table:
            self.assertEqual(combine_pairs([getattr(self, letter) for letter in pairs]), getattr(self, cell), pairs)

    def test_cells_to_claim(self) -> None:
        table = {
            "HHH": Verdict.HOLDS, "CC": Verdict.CONTRADICTED, "EE": Verdict.EQUIVALENT, "HC": Verdict.MIXED,
            "HE": Verdict.MIXED, "CU": Verdict.MIXED, "HU": Verdict.UNDECIDED, "UU": Verdict.UNDECIDED,
            "HHN": Verdict.HOLDS, "NN": Verdict.UNDECIDED, "HEU": Verdict.MIXED,
        }  # fmt: skip
        for cells, claim in table.items():
            self.assertEqual(combine_cells([getattr(self, letter) for letter in cells]), claim, cells)

    def test_holm_can_withhold_a_verdict(self) -> None:
        """A cell looks decided on its own; over all cells it is not."""
        lone = judge([pair_cell(1.014)], rounds=17, seed=1).cells[0].pairs[0]
        self.assertEqual(lone.verdict, Verdict.HOLDS)
        cells = [pair_cell(1.014)] + [pair_cell(1.01, seq_len=n) for n in range(1, 40)]
        crowd = judge(cells, rounds=17, seed=1)
        self.assertEqual(crowd.cells[0].pairs[0].verdict, Verdict.UNDECIDED)
        self.assertIn("holds on its own, not after Holm's correction", crowd.cells[0].pairs[0].reason)

    def test_exit_codes(self) -> None:
        holds, undecided, mixed = judge([pair_cell(1.05)]), judge([pair_cell(1.01)]), judge([pair_cell(0.95)])
        self.assertEqual(exit_code([holds]), 0)
        self.assertEqual(exit_code([holds, undecided]), 3)
        self.assertEqual(exit_code([holds, undecided, mixed]), 1)
        self.assertEqual(exit_code([]), 0)


class FullOrderTest(unittest.TestCase):
    def test_a_cell_needs_every_pair(self) -> None:
        cells = [
            Cell({SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.3}, {"seq_len": 512}),
            Cell({SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.0}, {"seq_len": 1024}),
        ]
        result = judge(cells, ORDER_CLAIM)
        self.assertEqual([cell.verdict for cell in result.cells], [Verdict.HOLDS, Verdict.CONTRADICTED])
        self.assertEqual(result.cells[1].pairs[0].verdict, Verdict.HOLDS)
        self.assertEqual(result.verdict, Verdict.MIXED)


assert stats.MARGIN == 0.01, "the planted ratios above stand around this margin"

if __name__ == "__main__":
    unittest.main()
