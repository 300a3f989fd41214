"""Every kind of rule, on runs with known answers: each verdict that it can give, its figure and its reason."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis.judge.register_entry import Outcome, RegisterWord
from analysis.testing.small_register import GAIN, QUOTIENT, THIRD, SmallRegister
from analysis.testing.synthetic_run import COPY, HEADWISE, ORDER_CLAIM, SEQUENCE, STANDARD, Cell, open_cell

REPRODUCED, NOT, ONLY = RegisterWord.REPRODUCED, RegisterWord.NOT_REPRODUCED, RegisterWord.ONLY_WHERE
OPEN, ESTIMATE = RegisterWord.NOT_RESOLVED, RegisterWord.ESTIMATE_ONLY
PAIR: dict[str, Any] = {"kind": "ratio_of_times", "over": "variant", "slow": HEADWISE, "fast": SEQUENCE, "reproduced_if": "faster"}
BYTES: dict[str, Any] = {"kind": "bytes_ratio", "over": "ranks", "more": 2, "less": 4, "reproduced_if": "faster"}


def pair_cell(ratio: float, **factors: Any) -> Cell:
    """HEADWISE takes `ratio` times as long as SEQUENCE."""
    return Cell({SEQUENCE: 1.0, HEADWISE: ratio}, factors)


def single(time: float, **factors: Any) -> Cell:
    return Cell({SEQUENCE: time}, factors)


class RuleTest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.register = SmallRegister(Path(scratch.name))

    def outcome(self, rule: dict[str, Any], cells: list[Cell], more: dict[str, Any] | None = None, **options: Any) -> Outcome:
        self.register.write_run(cells, **options)
        return self.register.decide(rule, **(more or {})).outcome

    def assert_near(self, found: Outcome, ratio: float) -> None:
        assert found.ours is not None and found.low is not None and found.high is not None
        self.assertTrue(found.low < ratio < found.high, found)
        self.assertAlmostEqual(found.ours, ratio, delta=0.01)


class TimesTest(RuleTest):
    """ratio_of_times."""

    def test_direction(self) -> None:
        for ratio, verdict in ((1.1, REPRODUCED), (1.02, REPRODUCED), (1.0, NOT), (0.9, NOT)):
            with self.subTest(ratio):
                found = self.outcome(PAIR, [pair_cell(ratio)])
                self.assertIs(found.verdict, verdict, found)
                self.assert_near(found, ratio)
        self.assertIs(self.outcome(PAIR, [open_cell()]).verdict, OPEN)

    def test_bounds_follow_from_the_published_figure(self) -> None:
        rule = PAIR | {"reproduced_if": {"at_least": "published / 1.25", "at_most": "published * 1.25"}}  # 1.2 to 1.875
        for ratio, verdict in ((1.15, NOT), (1.25, REPRODUCED), (1.8, REPRODUCED), (1.95, NOT), (1.2, OPEN)):
            with self.subTest(ratio):
                self.assertIs(self.outcome(rule, [pair_cell(ratio)]).verdict, verdict)
        at_most = PAIR | {"reproduced_if": {"at_most": "published"}}
        for ratio, verdict in ((1.02, REPRODUCED), (1.05, NOT)):
            found = self.outcome(at_most, [pair_cell(ratio)], {"published": {"gain": GAIN}})  # 3 per cent: 1.03
            self.assertIs(found.verdict, verdict, found)
        self.assertIs(self.outcome(PAIR | {"reproduced_if": {"at_least": 1.3}}, [pair_cell(1.4)]).verdict, REPRODUCED)

    def test_where_it_holds(self) -> None:
        cells = [pair_cell(1.1, seq_len=512), pair_cell(0.9, seq_len=1024), pair_cell(0.9, seq_len=4096)]
        found = self.outcome(PAIR, cells)
        self.assertIs(found.verdict, ONLY)
        self.assertRegex(found.reason, r"^512 tokens \(1\.1 there, 0\.\d+ to 0\.\d+ elsewhere\)$")
        self.assertIsNone(found.ours)

    def test_places_are_in_their_order(self) -> None:
        cells = [pair_cell(ratio, seq_len=length) for length, ratio in ((4096, 1.1), (1024, 0.9), (512, 1.1))]
        self.assertTrue(self.outcome(PAIR, cells).reason.startswith("512 tokens; 4096 tokens ("))

    def test_cells_together_decide_what_they_do_not_alone(self) -> None:
        cells = [pair_cell(1.1, seq_len=512), open_cell(seq_len=1024)]
        found = self.outcome(PAIR, cells)
        self.assertIs(found.verdict, REPRODUCED)
        self.assertIn("each by itself: 1 faster, 1 not resolved", found.reason)
        apart = self.outcome(PAIR | {"regime": ["seq_len"]}, cells)
        self.assertIs(apart.verdict, OPEN)

    def test_where_of_the_rule_chooses(self) -> None:
        cells = [pair_cell(1.1, seq_len=512), pair_cell(0.9, seq_len=1024)]
        self.assertIs(self.outcome(PAIR | {"where": {"seq_len": 512}}, cells).verdict, REPRODUCED)
        self.assertIs(self.outcome(PAIR | {"where": {"seq_len": [1024]}}, cells).verdict, NOT)

    def test_one_launch_gives_a_figure_and_no_verdict(self) -> None:
        for ranks in (1, 2):
            over = PAIR | {"over": "seq_len", "slow": 1024, "fast": 512}
            found = self.outcome(over, [single(2.0, ranks=ranks), single(1.0, ranks=ranks, seq_len=512)], launches=1, rounds=60)
            self.assertIs(found.verdict, ESTIMATE)
            self.assertAlmostEqual(found.ours or 0, 2.0, delta=0.02)
            self.assertEqual((found.low, found.high), (None, None))

    def test_a_control_that_fails_lets_nothing_stand(self) -> None:
        plan = {"control": {"duplicate": SEQUENCE, "every": 1}}
        cell = Cell({SEQUENCE: 1.0, HEADWISE: 1.5, SEQUENCE + COPY: 1.2})
        found = self.outcome(PAIR, [cell], plan=plan)
        self.assertIs(found.verdict, OPEN)
        self.assertIn("A/A control fails", found.reason)

    def test_nothing_that_votes(self) -> None:
        found = self.outcome(PAIR, [pair_cell(1.5, ranks=1)])  # one rank: the same code under two names
        self.assertEqual((found.verdict, found.reason, found.ours), (OPEN, "no cell votes", None))

    def test_ranks_against_threads_at_equal_processors(self) -> None:
        rule = PAIR | {"over": "ranks", "slow": 1, "fast": 2, "processors": 2}
        cells = [single(2.0, ranks=1, threads=1), single(1.5, ranks=1, threads=2), single(1.0, ranks=2, threads=1)]
        self.assert_near(self.outcome(rule, cells), 1.5)
        self.assertIs(self.register.decide_all()[0].outcome.verdict, REPRODUCED)

    def test_several_runs_are_as_strong_as_the_weakest(self) -> None:
        for link, ratio in (("fast", 1.1), ("slow", 1.3)):
            self.register.write_run([pair_cell(ratio)], f"trial/{link}")
        found = self.register.decide(PAIR, runs=["trial/slow", "trial/fast"]).outcome
        self.assertIs(found.verdict, REPRODUCED)
        self.assert_near(found, 1.1)
        self.register.write_run([pair_cell(0.8)], "trial/slow")
        found = self.register.decide(PAIR, runs=["trial/slow", "trial/fast"]).outcome
        self.assertEqual((found.verdict, found.reason), (ONLY, "link fast (1.1 there, 0.8 elsewhere)"))
        self.register.write_run([pair_cell(0.8)], "trial/slow", launches=1)
        self.assertIs(self.register.decide(PAIR, runs=["trial/slow", "trial/fast"]).outcome.verdict, ESTIMATE)


class ExperimentClaimTest(RuleTest):
    RULE = {"kind": "experiment_claim", "claim": "ordering"}
    CLAIM = ORDER_CLAIM | {"regime": ["contract"]}

    def cells(self, *ratios: float, is_open: int | None = None) -> list[Cell]:
        """`is_open`: the cell that is not resolved."""
        contracts = ("native", "replicated", "token_sharded")
        return [
            Cell({SEQUENCE: 1.0, HEADWISE: ratio, STANDARD: 1.2 * ratio}, {"contract": contract},
                 launch_effect=0.03 if index == is_open else None)
            for index, (contract, ratio) in enumerate(zip(contracts, ratios))
        ]  # fmt: skip

    def test_words(self) -> None:
        for ratios, verdict in (
            ((1.1, 1.1), REPRODUCED), ((0.9, 0.9), NOT), ((1.0, 1.0), NOT), ((1.1, 0.9), ONLY),
        ):  # fmt: skip
            with self.subTest(ratios):
                self.assertIs(self.outcome(self.RULE, self.cells(*ratios), expect=[self.CLAIM]).verdict, verdict)
        unsure = self.outcome(self.RULE, self.cells(1.1, 1.01, is_open=1), expect=[self.CLAIM])
        self.assertIs(unsure.verdict, OPEN)

    def test_where_chooses_regimes_and_keeps_their_words(self) -> None:
        self.register.write_run(self.cells(1.1, 0.9, 1.01, is_open=2), expect=[self.CLAIM])
        for contract, verdict in (("native", REPRODUCED), ("replicated", NOT), ("token_sharded", OPEN)):
            found = self.register.decide(self.RULE | {"where": {"contract": contract}}).outcome
            self.assertIs(found.verdict, verdict, found)
        self.assertLess(found.ours or 0, 1.05)  # the smaller step of the two

    def test_the_published_figures_may_not_show_it_either(self) -> None:
        published = {"order": [THIRD, "table1 | fast time | here"]}  # 2 over 2.5
        found = self.outcome(self.RULE, self.cells(0.9), {"published": published}, expect=[self.CLAIM])
        self.assertIn("the published figures do not show it", found.reason)
        found = self.outcome(self.RULE, self.cells(0.9), {"published": QUOTIENT}, expect=[self.CLAIM])
        self.assertNotIn("published", found.reason)

    def test_one_launch(self) -> None:
        self.assertIs(self.outcome(self.RULE, self.cells(1.5), expect=[self.CLAIM], launches=1).verdict, ESTIMATE)


class CountedTest(RuleTest):
    """bytes_ratio and memory: exact, from one launch."""

    def bytes_of(self, *rows: tuple[int, int, int]) -> list[Cell]:
        """(ranks, KV heads, bytes)."""
        return [
            Cell({SEQUENCE: 1.0}, {"ranks": ranks, "kv_heads": heads}, {"comm_bytes_per_rank": count}) for ranks, heads, count in rows
        ]

    def test_bytes(self) -> None:
        for more, less, verdict in ((200, 100, REPRODUCED), (100, 100, NOT), (50, 100, NOT)):
            found = self.outcome(BYTES, self.bytes_of((2, 8, more), (4, 8, less)), launches=1)
            self.assertEqual((found.verdict, found.ours), (verdict, more / less))
            self.assertEqual((found.low, found.high), (more / less, more / less))

    def test_bytes_that_differ_by_shape(self) -> None:
        cells = self.bytes_of((2, 1, 200), (4, 1, 100), (2, 8, 300), (4, 8, 100), (2, 32, 50), (4, 32, 100))
        found = self.outcome(BYTES, cells, launches=1)
        self.assertEqual((found.verdict, found.reason), (ONLY, "1 KV head; 8 KV heads (counted, 2 to 3 there, 0.5 elsewhere)"))

    def test_memory(self) -> None:
        rule = {"kind": "memory", "over": "seq_len", "more": 2048, "less": 1024, "reproduced_if": {"at_least": "published"}}
        cells = [
            Cell({SEQUENCE: 1.0}, {"seq_len": length}, {"workspace_bytes": workspace, "minimum_bytes": 1000})
            for length, workspace in ((2048, 1600), (1024, 1000))
        ]
        found = self.outcome(rule | {"of": "workspace"}, cells, launches=1)
        self.assertEqual((found.verdict, found.ours), (REPRODUCED, 1.6))
        found = self.outcome(rule | {"of": "workspace_and_tensors"}, cells, launches=1)
        self.assertEqual((found.verdict, found.ours), (NOT, 1.3))


class SpreadTest(RuleTest):
    RULE = {"kind": "spread_below", "over": "kv_block", "values": [64, 128, 256], "at_most": 1.1}

    def test_words(self) -> None:
        for times, verdict, widest in (
            ((1.0, 1.03, 1.06), REPRODUCED, 1.06), ((1.0, 1.2, 1.02), NOT, 1.2), ((1.0, 1.02, 1.2), NOT, 1.2),
            ((1.1, 1.0, 1.0), OPEN, 1 / 1.1),
        ):  # fmt: skip
            with self.subTest(times):
                cells = [single(time, kv_block=block) for block, time in zip((64, 128, 256), times)]
                found = self.outcome(self.RULE, cells)
                self.assertIs(found.verdict, verdict, found)
                self.assert_near(found, widest)

    def test_every_pair_has_to_hold_in_a_place(self) -> None:
        cells = [single(time, kv_block=block, seq_len=512) for block, time in zip((64, 128, 256), (1.0, 1.2, 1.02))]
        cells += [single(1.0, kv_block=block, seq_len=1024) for block in (64, 128, 256)]
        found = self.outcome(self.RULE | {"regime": ["seq_len"]}, cells)
        self.assertIs(found.verdict, ONLY, found)
        self.assertTrue(found.reason.startswith("1024 tokens ("), found)

    def test_one_launch(self) -> None:
        cells = [single(1.0, kv_block=block) for block in (64, 128, 256)]
        self.assertIs(self.outcome(self.RULE, cells, launches=1).verdict, ESTIMATE)


class LimitsTest(RuleTest):
    """efficiency_growth and memory_bound."""

    GROWTH = {"kind": "efficiency_growth", "ranks": 2, "seq_len": [512, 2048]}

    def speedups(self, short: float, long: float, **factors: Any) -> list[Cell]:
        speedup = ((1, 512, 1.0), (2, 512, short), (1, 2048, 1.0), (2, 2048, long))
        return [single(1 / gain, ranks=ranks, seq_len=length, **factors) for ranks, length, gain in speedup]

    def test_growth(self) -> None:
        for long, verdict in ((1.8, REPRODUCED), (1.53, REPRODUCED), (1.5, NOT), (1.2, NOT)):
            with self.subTest(long):
                found = self.outcome(self.GROWTH, self.speedups(1.5, long))
                self.assertIs(found.verdict, verdict, found)
                self.assert_near(found, long / 1.5)
        self.assertIs(self.outcome(self.GROWTH, self.speedups(1.5, 1.8), launches=1).verdict, ESTIMATE)

    def test_a_look_at_one_launch_decides_nothing(self) -> None:
        found = self.outcome(self.GROWTH, self.speedups(1.5, 1.8), plan={"looks": [1, 16]})
        self.assert_near(found, 1.2)

    def test_growth_in_some_cells(self) -> None:
        cells = [*self.speedups(1.5, 1.8, causal="true"), *self.speedups(1.5, 1.2, causal="false")]
        found = self.outcome(self.GROWTH, cells)
        self.assertEqual((found.verdict, found.reason), (ONLY, "causal (1.2 there, 0.8 elsewhere)"))

    def limits(self, phase: str, gigabytes: float) -> Cell:
        """1 GFLOP at 100 GFLOP/s take 10 ms; a GB at 100 GB/s as much."""
        values = {"minimum_bytes": gigabytes * 1e9, "peak_gflops": 100, "read_gb_per_s": 100}
        return Cell({SEQUENCE: 1.0}, {"phase": phase}, values)

    def test_memory_bound(self) -> None:
        rule = {"kind": "memory_bound"}
        for cells, verdict in (
            ([self.limits("decode", 3)], REPRODUCED), ([self.limits("prefill", 0.1)], NOT),
            ([self.limits("decode", 3), self.limits("prefill", 0.1)], ONLY),
        ):  # fmt: skip
            self.assertIs(self.outcome(rule, cells).verdict, verdict)
        self.assertRegex(self.register.decide_all()[0].outcome.reason, r"^decode \(3 there, 0\.1 elsewhere\)")
        self.assertIs(self.outcome(rule, [self.limits("decode", 3)], launches=1).verdict, ESTIMATE)
        found = self.register.decide(rule | {"where": {"phase": "decode"}}).outcome
        self.assertAlmostEqual(found.ours or 0, 3.0, places=2)


class UntestedTest(RuleTest):
    def test_cannot_be_tested_here(self) -> None:
        rule = {"kind": "cannot_be_tested_here", "reason": "it takes 8 nodes"}
        found = self.register.decide(rule)
        self.assertEqual((found.outcome.verdict, found.outcome.reason), (RegisterWord.CANNOT, "it takes 8 nodes"))
        self.assertEqual(found.run_text, "")

    def test_not_measured_yet(self) -> None:
        self.register.write_run([pair_cell(1.1)], "trial/fast")
        found = self.register.decide(PAIR, runs=["trial/fast", "trial/slow"])
        self.assertEqual((found.outcome.verdict, found.outcome.reason), (RegisterWord.NOT_MEASURED, "./reproduce trial"))
        self.assertEqual((found.outcome.ours, found.run_text), (None, ""))
        # The directory of its links is there, a run of that name is not.
        self.assertIs(self.register.decide(PAIR, runs=["trial"]).outcome.verdict, RegisterWord.NOT_MEASURED)


if __name__ == "__main__":
    unittest.main()
