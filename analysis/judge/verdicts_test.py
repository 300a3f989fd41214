"""Known answers: every word of a pair, a cell and a claim, who may vote, and what the control has to say."""

import tempfile
import unittest
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np

from analysis.estimate.looks import CELLS_ERROR
from analysis.judge.decisions import PairResult, half_width
from analysis.judge.launch_values import _quantile
from analysis.judge.verdicts import ClaimResult, RunVerdict, exit_code, judge_run
from analysis.judge.words import ClaimWord, Word
from analysis.read.read_run import read_run, restrict
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import COPY, HEADWISE, ORDER_CLAIM, SEQUENCE, STANDARD, Cell, open_cell

PAIR_CLAIM = {"claim": "pair", "metric": "time_s", "over": "variant", "order": [SEQUENCE, HEADWISE]}
LAUNCHES = 16


def pair_cell(ratio: float, **factors: Any) -> Cell:
    return Cell({SEQUENCE: 1.0, HEADWISE: ratio}, factors)


def judge_all(cells: Sequence[Cell], *claims: Mapping[str, Any], **options: Any) -> RunVerdict:
    with tempfile.TemporaryDirectory() as directory:
        settings: dict[str, Any] = {"launches": LAUNCHES, "rounds": 3} | options
        synthetic_run.write_run(Path(directory), cells, claims or (PAIR_CLAIM,), **settings)
        return judge_run(read_run(Path(directory)))


def judge(cells: Sequence[Cell], claim: Mapping[str, Any] = PAIR_CLAIM, **options: Any) -> ClaimResult:
    return judge_all(cells, claim, **options).claims[0]


def only_pair(result: ClaimResult) -> PairResult:
    return result.cells[0].pairs[0]


class PairWordTest(unittest.TestCase):
    """Noise of 0.4 % per time, so 0.57 % per ratio."""

    def test_planted_ratios(self) -> None:
        expected = {
            1.05: (Word.FASTER, ClaimWord.CONFIRMED),
            1.03: (Word.FASTER, ClaimWord.CONFIRMED),
            1.0: (Word.EQUAL, ClaimWord.REFUTED),
            1.01: (Word.EQUAL, ClaimWord.REFUTED),
            0.95: (Word.SLOWER, ClaimWord.REFUTED),
            1.02: (Word.FASTER, ClaimWord.CONFIRMED),
            1 / 1.02: (Word.SLOWER, ClaimWord.REFUTED),
        }
        for ratio, (word, claim) in expected.items():
            with self.subTest(ratio=ratio):
                result = judge([pair_cell(ratio)])
                pair = only_pair(result)
                self.assertEqual((pair.word, result.word), (word, claim), pair.interval)
                assert pair.interval is not None
                self.assertTrue(pair.interval[0] < ratio < pair.interval[1])

    def test_the_margin_is_a_factor_of_the_experiment(self) -> None:
        for margin, word in ((0.005, Word.FASTER), (0.02, Word.EQUAL)):
            self.assertEqual(only_pair(judge([pair_cell(1.01)], plan={"margin": margin})).word, word)

    def test_not_resolved_says_how_well_the_ratio_is_known(self) -> None:
        result = judge([open_cell()])
        pair = only_pair(result)
        assert pair.estimate is not None
        self.assertEqual((pair.word, result.word), (Word.NOT_RESOLVED, ClaimWord.OPEN))
        self.assertRegex(pair.reason, r"^\+-\d\.\d % \(16 launches, 48 rounds\)$")
        self.assertGreater(half_width(pair.estimate, pair.level), 0.01)

    def test_direction_follows_the_claim(self) -> None:
        claim = dict(PAIR_CLAIM, order=[HEADWISE, SEQUENCE])
        self.assertEqual(only_pair(judge([pair_cell(1.05)], claim)).word, Word.SLOWER)
        self.assertEqual(only_pair(judge([pair_cell(0.95)], claim)).word, Word.FASTER)

    def test_one_launch_on_several_ranks_gives_no_word(self) -> None:
        """However sure its rounds look: what differs from launch to launch is not in them."""
        result = judge([pair_cell(1.5)], launches=1, rounds=100)
        pair = only_pair(result)
        self.assertEqual((pair.word, result.word), (Word.ESTIMATE_ONLY, ClaimWord.OPEN))
        self.assertIn("one launch", pair.reason)
        self.assertIn("one launch gives estimates", result.reason)
        assert pair.interval is not None
        self.assertGreater(pair.interval[0], 1.4)

    def test_one_launch_on_one_rank_may(self) -> None:
        cell = Cell({HEADWISE: 1.0, STANDARD: 1.2}, {"ranks": 1})
        claim = dict(PAIR_CLAIM, order=[HEADWISE, STANDARD], where={"ranks": [1]})
        self.assertEqual(judge([cell], claim, launches=1, rounds=30).word, ClaimWord.CONFIRMED)

    def test_no_interval_without_bounds_is_a_word(self) -> None:
        """Three rounds on one rank, at a ratio of seven: an interval from zero to infinity decides nothing."""
        cell = Cell({HEADWISE: 1.0, STANDARD: 7.0}, {"ranks": 1})
        claim = dict(PAIR_CLAIM, order=[HEADWISE, STANDARD], where={"ranks": [1]})
        pair = only_pair(judge([cell], claim, launches=1))
        self.assertEqual(pair.word, Word.NOT_RESOLVED)
        self.assertIn("no interval: too few rounds", pair.reason)

    def test_launch_effects_are_what_counts(self) -> None:
        """2 % that stays within a launch: no number of rounds makes it small."""
        for rounds in (3, 60):
            pair = only_pair(judge([pair_cell(1.03)], launches=5, rounds=rounds, launch_effect=0.02))
            self.assertEqual(pair.word, Word.NOT_RESOLVED)
            assert pair.estimate is not None
            self.assertGreater(half_width(pair.estimate, pair.level), 0.02)

    def test_the_value_of_a_launch_is_a_ratio_of_lower_quartiles(self) -> None:
        """Every other sample of one side is disturbed: medians follow it, lower quartiles do not."""
        state = {"calls": 0}

        def disturbed(generator: np.random.Generator, variant: int) -> float:
            state["calls"] += 1
            return float(abs(generator.normal(0.0, 0.3))) * (variant == 1 and state["calls"] % 3 != 0)

        pair = only_pair(judge([pair_cell(1.0)], noise=disturbed, rounds=24))
        sensitivity = pair.sensitivity()
        assert pair.ratio is not None
        self.assertLess(pair.ratio, sensitivity["median"] - 0.02)
        self.assertLessEqual(sensitivity["minimum"], pair.ratio)

    def test_two_rounds_have_a_median(self) -> None:
        pair = only_pair(judge([pair_cell(1.05)], rounds=2))
        self.assertAlmostEqual(pair.ratio or 0, pair.sensitivity()["median"])

    def test_a_launch_far_off_is_trimmed(self) -> None:
        launch = {"calls": 0}

        def one_bad_launch(generator: np.random.Generator, variant: int) -> float:
            launch["calls"] += 1
            bad = (launch["calls"] - 1) // 10 == 5 and variant == 1  # (3 rounds + 2 of the pilot) x 2 variants
            return float(generator.normal(0.0, 0.004)) + (0.7 if bad else 0.0)

        self.assertEqual(only_pair(judge([pair_cell(1.0)], noise=one_bad_launch)).word, Word.EQUAL)

    def test_failed_rounds_are_left_out_of_both_sides(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            synthetic_run.write_run(Path(directory), [pair_cell(1.05)], [PAIR_CLAIM], rounds=30)
            path = Path(directory) / "samples.csv"
            lines = path.read_text().splitlines()
            lines[10] = lines[10].rsplit(",", 1)[0] + ",over_peak"
            path.write_text("\n".join(lines) + "\n")
            pair = only_pair(judge_run(read_run(Path(directory))).claims[0])
        assert pair.estimate is not None
        self.assertEqual(pair.estimate.rounds, 29)

    def test_drift_beyond_the_interval_is_flagged(self) -> None:
        """The synthetic interval is +-1 %: 3 % is beyond its width, 1.5 % is not."""
        for drift, flags in ((0.03, ("times drifted during the cell",)), (-0.03, ("times drifted during the cell",)), (0.015, ())):
            cell = Cell({SEQUENCE: 1.0, HEADWISE: 1.05}, {}, {"drift": drift})
            self.assertEqual(only_pair(judge([cell])).flags, flags)


class LooksTest(unittest.TestCase):
    PLAN = {"looks": [8, 16, 32]}

    def test_the_first_look_that_decides_is_the_one_reported_of_a_cell_that_was_dropped(self) -> None:
        cells = [pair_cell(1.2, seq_len=512), open_cell(seq_len=1024)]
        dropped, other = (cell.pairs[0] for cell in judge(cells, plan=self.PLAN, dropped={0: 8}).cells)
        self.assertEqual((dropped.word, dropped.launches, other.launches), (Word.FASTER, 8, 16))

    def test_a_cell_that_was_measured_on_has_the_interval_of_all_its_launches(self) -> None:
        early = only_pair(judge([pair_cell(1.2)], plan=self.PLAN, launches=8))
        late = only_pair(judge([pair_cell(1.2)], plan=self.PLAN))
        self.assertEqual((late.word, late.launches), (Word.FASTER, 16))
        assert early.estimate is not None and late.estimate is not None
        self.assertLess(half_width(late.estimate, late.level), half_width(early.estimate, early.level))

    def test_a_word_stays_when_launches_are_added(self) -> None:
        """What was decided at a look stays decided, although the later launches are noisier than any test allows."""
        state = {"calls": 0}

        def worse(generator: np.random.Generator, variant: int) -> float:
            state["calls"] += 1
            late = state["calls"] > 8 * 10
            return float(generator.normal(0.0, 0.004)) + (0.3 if late and variant == 0 else 0.0)

        pair = only_pair(judge([pair_cell(1.1)], noise=worse, plan=self.PLAN))
        self.assertEqual((pair.word, pair.launches), (Word.FASTER, 16))
        state["calls"] = 0
        without = only_pair(judge([pair_cell(1.1)], noise=worse, plan={"looks": [16]}))
        self.assertNotEqual(without.word, Word.FASTER)

    def test_a_run_that_stopped_between_looks_is_judged_with_all_it_has(self) -> None:
        pair = only_pair(judge([open_cell()], launches=12, plan=self.PLAN))
        self.assertEqual((pair.word, pair.launches), (Word.NOT_RESOLVED, 12))

    def test_launches_beyond_the_last_look_are_not_looked_at(self) -> None:
        self.assertEqual(only_pair(judge([open_cell()], launches=12, plan={"looks": [4, 8]})).launches, 8)

    def test_every_comparison_and_look_takes_its_share(self) -> None:
        cells = [pair_cell(1.1, seq_len=n) for n in (256, 512, 1024)]
        verdict = judge_all(cells, plan=self.PLAN)
        self.assertAlmostEqual(only_pair(verdict.claims[0]).level, CELLS_ERROR / 3 * 16 / 56 / 2)

    def test_a_pair_that_two_claims_share_counts_once(self) -> None:
        cell = Cell({SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.3})
        reverse = dict(PAIR_CLAIM, claim="reverse", order=[HEADWISE, SEQUENCE])
        self.assertEqual(judge_all([cell], ORDER_CLAIM, PAIR_CLAIM, reverse).cells_schedule.comparisons, 2)

    def test_a_crowd_can_withhold_a_word(self) -> None:
        """A cell looks decided on its own; over all cells it is not."""
        alone = only_pair(judge([pair_cell(1.02)], seed=1, launches=8))
        self.assertEqual(alone.word, Word.FASTER)
        crowd = judge([pair_cell(1.02, seq_len=n) for n in range(1, 401)], seed=1, launches=8)
        self.assertEqual(only_pair(crowd).word, Word.NOT_RESOLVED)

    def test_a_look_at_one_launch_decides_nothing(self) -> None:
        pair = only_pair(judge([pair_cell(1.5)], rounds=60, plan={"looks": [1, 16]}))
        self.assertEqual((pair.word, pair.launches), (Word.FASTER, 16))

    def test_open_cells(self) -> None:
        cells = [pair_cell(1.2, seq_len=512), open_cell(seq_len=1024), pair_cell(1.0, seq_len=2048)]
        self.assertEqual(judge_all(cells).open_cells(), ["cell001"])
        self.assertEqual(judge_all(cells, launches=1).open_cells(), ["cell000", "cell001", "cell002"])

    def test_launches_can_be_left_out(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            synthetic_run.write_run(Path(directory), [pair_cell(1.2)], [PAIR_CLAIM], launches=6, rounds=3)
            verdict = judge_run(restrict(read_run(Path(directory)), {0, 1, 2, 4}))
        self.assertEqual((verdict.launches, only_pair(verdict.claims[0]).launches), (4, 4))


class RatioClaimTest(unittest.TestCase):
    CLAIM: dict[str, Any] = {"claim": "gain", "over": "isa", "ratio": {"slow": "scalar", "fast": "avx2", "min": 2.0, "max": 3.5}}

    def cells(self, ratio: float) -> list[Cell]:
        return [Cell({HEADWISE: 1.0}, {"isa": "avx2", "ranks": 1}), Cell({HEADWISE: ratio}, {"isa": "scalar", "ranks": 1})]

    def test_planted_ratios(self) -> None:
        expected = {2.7: Word.INSIDE, 1.8: Word.OUTSIDE, 3.9: Word.OUTSIDE, 2.0: Word.NOT_RESOLVED}
        for options in ({"launches": 1, "rounds": 30}, {"launches": 16}):
            for ratio, word in expected.items():
                with self.subTest(ratio=ratio, options=options):
                    self.assertEqual(only_pair(judge(self.cells(ratio), self.CLAIM, **options)).word, word)

    def test_one_sided_bounds(self) -> None:
        for bounds, word in (({"min": 2}, ClaimWord.CONFIRMED), ({"max": 2}, ClaimWord.REFUTED)):
            ratio: dict[str, Any] = {"slow": "scalar", "fast": "avx2", **bounds}
            self.assertEqual(judge(self.cells(2.7), dict(self.CLAIM, ratio=ratio)).word, word)

    def test_one_launch_over_ranks_is_an_estimate(self) -> None:
        cells = [Cell({HEADWISE: time}, {"ranks": ranks}) for ranks, time in ((1, 2.0), (2, 1.0))]
        claim = {"claim": "two", "over": "ranks", "ratio": {"slow": 1, "fast": 2, "min": 1.9}}
        self.assertEqual(only_pair(judge(cells, claim, launches=1, rounds=30)).word, Word.ESTIMATE_ONLY)
        self.assertEqual(only_pair(judge(cells, claim)).word, Word.INSIDE)

    def test_unpaired_blocks_say_so(self) -> None:
        flags = only_pair(judge(self.cells(2.7), self.CLAIM, launches=1, rounds=30)).flags
        self.assertTrue(any("not paired" in flag for flag in flags))
        self.assertEqual(only_pair(judge(self.cells(2.7), self.CLAIM, launches=5)).flags, ())

    def test_cells_of_a_resumed_launch_are_compared(self) -> None:
        """A resumed launch has another id for the cells that came after the interruption."""
        with tempfile.TemporaryDirectory() as directory:
            synthetic_run.write_run(Path(directory), self.cells(2.7), [self.CLAIM], launches=3)
            for name in ("samples.csv", "cases.csv"):
                path = Path(directory) / name
                path.write_text(path.read_text().replace("1,1,cell001", "1,2001,cell001"))
            pair = only_pair(judge_run(read_run(Path(directory))).claims[0])
        self.assertEqual((pair.word, pair.launches), (Word.INSIDE, 3))
        self.assertEqual([fast % 1000 for fast, _ in pair.comparison.launches], [0, 1, 2])

    def test_counted_metric_has_no_noise_and_takes_no_share(self) -> None:
        cells = [Cell({HEADWISE: 1.0}, {"seq_len": n}, {"workspace_bytes": 1000 * n}) for n in (512, 1024)]
        claim = {"claim": "memory", "metric": "workspace_bytes", "over": "seq_len",
                 "ratio": {"slow": 1024, "fast": 512, "min": 1.9, "max": 2.1}}  # fmt: skip
        verdict = judge_all(cells, claim, launches=1)
        self.assertEqual((verdict.claims[0].word, verdict.cells_schedule.comparisons), (ClaimWord.CONFIRMED, 0))

    def test_derived_rates(self) -> None:
        claim = {"claim": "rate", "metric": "pct_peak", "over": "variant", "order": [HEADWISE, SEQUENCE]}
        self.assertEqual(judge([pair_cell(1.1)], claim).word, ClaimWord.CONFIRMED)  # the slower one has the smaller rate


class VotingTest(unittest.TestCase):
    def no_vote_reason(self, cell: Cell) -> str:
        result = judge([cell, pair_cell(1.05, seq_len=64)])
        silent = [c for c in result.cells if c.word is Word.NO_VOTE]
        self.assertEqual(len(silent), 1)
        self.assertEqual(result.word, ClaimWord.CONFIRMED, "the other cell decides")
        return silent[0].pairs[0].reason

    def test_who_does_not_vote(self) -> None:
        against = {SEQUENCE: 1.2, HEADWISE: 1.0}
        self.assertEqual(self.no_vote_reason(Cell(against, {}, {"oversubscribed": "true"})), "oversubscribed")
        for status in ("failed", "time_limited"):
            cell = Cell(against, {}, {"message": "why"}, {HEADWISE: status})
            self.assertEqual(self.no_vote_reason(cell), f"{HEADWISE} {status}: why")
        self.assertIn("exchange none", self.no_vote_reason(Cell(against, {"exchange": "none"})))

    def late(self, launches: int, status: str) -> PairResult:
        """Of 16 launches, so many in which one variant has this status."""
        with tempfile.TemporaryDirectory() as directory:
            synthetic_run.write_run(Path(directory), [pair_cell(1.1)], [PAIR_CLAIM], launches=LAUNCHES, rounds=3)
            path = Path(directory) / "cases.csv"
            lines = path.read_text().splitlines()
            chosen = [n for n, line in enumerate(lines) if f"/{HEADWISE}," in line][:launches]
            lines = [line.replace(",ok,", f",{status},") if n in chosen else line for n, line in enumerate(lines)]
            path.write_text("\n".join(lines) + "\n")
            return only_pair(judge_run(read_run(Path(directory))).claims[0])

    def test_a_launch_that_ran_out_of_time_is_left_out(self) -> None:
        pair = self.late(2, "time_limited")
        self.assertEqual((pair.word, pair.launches), (Word.FASTER, LAUNCHES - 2))
        self.assertEqual(pair.flags, ("2 launches left out, which ran out of time",))

    def test_many_late_launches_or_a_wrong_one_take_the_vote(self) -> None:
        for launches, status in ((4, "time_limited"), (1, "failed")):
            pair = self.late(launches, status)
            self.assertEqual((pair.word, pair.reason), (Word.NO_VOTE, f"{HEADWISE} {status}"))

    def test_a_block_sums_what_heads_leave_apart(self) -> None:
        result = judge([Cell({SEQUENCE: 1.2, HEADWISE: 1.0}, {"exchange": "none", "scope": "block"})])
        self.assertEqual(result.word, ClaimWord.REFUTED)

    def test_one_rank_does_not_vote(self) -> None:
        result = judge([pair_cell(1.0, ranks=1), pair_cell(1.05, ranks=2)])
        self.assertEqual(result.word, ClaimWord.CONFIRMED)
        self.assertEqual(result.counts[Word.NO_VOTE], 1)

    def test_a_claim_about_one_rank_compares_algorithms_only(self) -> None:
        cell = Cell({SEQUENCE: 1.0, HEADWISE: 1.0, STANDARD: 1.5}, {"ranks": 1})
        pairs = judge([cell], dict(ORDER_CLAIM, where={"ranks": [1]})).cells[0].pairs
        self.assertEqual([pairs[0].word, pairs[1].word], [Word.NO_VOTE, Word.FASTER])
        self.assertEqual(judge([cell], ORDER_CLAIM).cells[0].word, Word.NO_VOTE)

    def test_nobody_votes(self) -> None:
        result = judge([pair_cell(1.0, ranks=1)])
        self.assertEqual((result.word, result.reason), (ClaimWord.OPEN, "no cell votes"))
        self.assertEqual(exit_code([result]), 3)

    def test_values_that_are_not_positive_give_no_ratio(self) -> None:
        cell = Cell({SEQUENCE: 1.0, HEADWISE: 1.1}, {}, {"comm_bytes_per_rank": 0})
        result = judge([cell], dict(PAIR_CLAIM, metric="comm_bytes_per_rank"))
        self.assertEqual(only_pair(result).reason, "comm_bytes_per_rank is zero")

    def test_exposed_communication_lost_in_the_noise_is_not_resolved(self) -> None:
        """Keeping the positive rounds only would keep the large ones; a ratio of noise is no number to print."""
        claim = dict(PAIR_CLAIM, metric="comm_exposed_s")
        self.assertEqual(judge([pair_cell(1.05)], claim).word, ClaimWord.CONFIRMED)
        with tempfile.TemporaryDirectory() as directory:
            synthetic_run.write_run(Path(directory), [pair_cell(1.05)], [claim])
            path = Path(directory) / "samples.csv"
            lines = path.read_text().splitlines()
            fields = lines[20].split(",")
            fields[lines[0].split(",").index("comm_exposed_s")] = "-0.0077"
            path.write_text("\n".join([*lines[:20], ",".join(fields), *lines[21:]]) + "\n")
            pair = only_pair(judge_run(read_run(Path(directory))).claims[0])
        self.assertEqual((pair.word, pair.ratio), (Word.NO_VOTE, None))
        self.assertEqual(pair.reason, "comm_exposed_s is not resolved: zero or negative in some rounds")


class ControlTest(unittest.TestCase):
    CLAIM = dict(PAIR_CLAIM, where={"ranks": [2]})

    def with_copies(self, ratio: float, count: int = 2, **options: Any) -> RunVerdict:
        """Copies of head-wise that take `ratio` times as long as it."""
        cells = [
            Cell({SEQUENCE: 1.0, HEADWISE: 1.1, HEADWISE + COPY: 1.1 * ratio}, {"seq_len": 512 * (n + 1)}) for n in range(count)
        ]
        return judge_all([*cells, pair_cell(1.1, seq_len=64)], self.CLAIM, **options)

    def test_copies_are_controls_at_the_ranks_of_the_claim(self) -> None:
        verdict = self.with_copies(1.0)
        controls = verdict.controls
        self.assertEqual((controls.count, len(controls.copies), controls.failed), (2, 2, []))
        self.assertEqual({r.word for r in controls.results}, {Word.EQUAL})
        self.assertLess(controls.spread, 0.005)
        self.assertEqual(verdict.claims[0].word, ClaimWord.CONFIRMED)

    def test_a_copy_is_in_no_claim(self) -> None:
        by_strategy = {"claim": "strategies", "over": "strategy", "order": ["sequence", "headwise"]}
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: 1.1, HEADWISE + COPY: 1.1})]
        result = judge(cells, by_strategy)
        self.assertEqual((result.word, len(result.cells), len(result.cells[0].pairs)), (ClaimWord.CONFIRMED, 1, 1))

    def test_a_copy_that_differs_makes_every_claim_open(self) -> None:
        for ratio in (1.05, 0.95):
            verdict = self.with_copies(ratio)
            self.assertEqual(len(verdict.controls.failed), 2)
            self.assertEqual(verdict.claims[0].word, ClaimWord.OPEN)
            self.assertIn("the A/A control fails: 2 of 2 pairs of equal code differ", verdict.claims[0].reason)
            self.assertEqual(exit_code(verdict.claims), 3)

    def test_a_copy_within_the_margin_is_reported_only(self) -> None:
        verdict = self.with_copies(1.008)
        self.assertEqual(verdict.claims[0].word, ClaimWord.CONFIRMED)
        self.assertAlmostEqual(verdict.controls.median_bias or 0, 0.008, delta=0.002)

    def test_one_launch_of_copies_fails_nothing(self) -> None:
        verdict = self.with_copies(1.05, launches=1, rounds=30)
        self.assertEqual(verdict.controls.failed, [])
        self.assertEqual({r.word for r in verdict.controls.results}, {Word.ESTIMATE_ONLY})

    def test_equal_code_at_one_rank(self) -> None:
        cells = [pair_cell(1.0, ranks=1, seq_len=n) for n in (512, 1024)] + [pair_cell(1.05, ranks=2)]
        verdict = judge_all(cells, self.CLAIM, dict(self.CLAIM, claim="again"))
        self.assertEqual((verdict.controls.count, verdict.controls.copies), (2, []), "a pair of two claims is one")
        broken = [pair_cell(1.04, ranks=1, seq_len=n) for n in (512, 1024)] + [pair_cell(1.05, ranks=2)]
        self.assertEqual(judge(broken, self.CLAIM).word, ClaimWord.OPEN)

    def test_the_correction_is_that_of_the_family_of_controls(self) -> None:
        verdict = self.with_copies(1.0, count=5)
        self.assertAlmostEqual(verdict.controls.results[0].level, 0.05 / 5 / 2)


class ClaimTest(unittest.TestCase):
    def test_exit_codes(self) -> None:
        confirmed, unclear, refuted = judge([pair_cell(1.05)]), judge([open_cell()]), judge([pair_cell(0.95)])
        self.assertEqual(exit_code([confirmed]), 0)
        self.assertEqual(exit_code([confirmed, unclear]), 3)
        self.assertEqual(exit_code([confirmed, unclear, refuted]), 1)
        self.assertEqual(exit_code([]), 0)

    def test_a_cell_needs_every_pair(self) -> None:
        cells = [
            Cell({SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.3}, {"seq_len": 512}),
            Cell({SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.0}, {"seq_len": 1024}),
        ]
        result = judge(cells, dict(ORDER_CLAIM, regime=["seq_len"]))
        self.assertEqual([cell.word for cell in result.cells], [Word.FASTER, Word.SLOWER])
        self.assertEqual(result.cells[1].pairs[0].word, Word.FASTER)
        self.assertEqual(result.word, ClaimWord.DEPENDS)

    def test_nothing_against_and_little_known_is_open(self) -> None:
        """Forty-eight cells that say nothing are no 'mixed' verdict."""

        def noisy(generator: np.random.Generator, variant: int) -> float:
            return float(generator.normal(0, 0.2))

        result = judge([pair_cell(1.0, seq_len=n) for n in range(1, 49)], noise=noisy, launches=5)
        self.assertEqual((result.word, len(result.decided), len(result.voting)), (ClaimWord.OPEN, 0, 48))


class QuantileTest(unittest.TestCase):
    def test_it_is_numpys_to_the_last_bit(self) -> None:
        generator = np.random.default_rng(11)
        for count in range(1, 40):
            values = generator.standard_normal(count) * 10.0 ** generator.integers(-6, 6)
            for share in (0.25, 0.5, 0.75):
                self.assertEqual(_quantile(sorted(map(float, values)), share), float(np.quantile(values, share)))


if __name__ == "__main__":
    unittest.main()
