"""Regimes: which cells they hold, what they pool, and that cells that were dropped at a look do not bend them."""

import tempfile
import unittest
from pathlib import Path
from typing import Any, Sequence

from analysis.judge.verdicts import ClaimResult, RunVerdict, judge_run
from analysis.judge.words import ClaimWord, Word
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, SEQUENCE, Cell, open_cell

CLAIM: dict[str, Any] = {"claim": "pair", "over": "variant", "order": [SEQUENCE, HEADWISE], "regime": ["contract", "seq_len"]}


def cell(ratio: float, contract: str = "native", seq_len: int = 512, model: str = "qwen3-0.6b") -> Cell:
    return Cell({SEQUENCE: 1.0, HEADWISE: ratio}, {"contract": contract, "seq_len": seq_len, "model": model})


def judge(cells: Sequence[Cell], claim: dict[str, Any] = CLAIM, wanted: list[str] | None = None, **options: Any) -> RunVerdict:
    with tempfile.TemporaryDirectory() as directory:
        settings: dict[str, Any] = {"launches": 16, "rounds": 3} | options
        synthetic_run.write_run(Path(directory), cells, [claim], **settings)
        return judge_run(read_run(Path(directory)), wanted)


def words(result: ClaimResult) -> dict[str, Word]:
    return {regime.label: regime.word for regime in result.regimes}


class RegimeTest(unittest.TestCase):
    def test_the_claim_names_the_axes(self) -> None:
        cells = [cell(1.1, "native", n, m) for n in (512, 1024) for m in ("a", "b")] + [cell(0.9, "replicated", 512)]
        result = judge(cells).claims[0]
        self.assertEqual(words(result), {"native, 512 tokens": Word.FASTER, "native, 1024 tokens": Word.FASTER,
                                         "replicated, 512 tokens": Word.SLOWER})  # fmt: skip
        self.assertEqual(result.word, ClaimWord.DEPENDS)

    def test_without_axes_the_lengths_make_none(self) -> None:
        cells = [cell(1.1, contract, n) for contract in ("native", "replicated") for n in (512, 1024)]
        plain = {key: value for key, value in CLAIM.items() if key != "regime"}
        self.assertEqual(list(words(judge(cells, plain).claims[0])), ["native", "replicated"])
        self.assertEqual(list(words(judge(cells, plain, ["seq_len"]).claims[0])), ["512 tokens", "1024 tokens"])

    def test_axes_that_are_none_are_refused(self) -> None:
        for regime in (["colour"], "contract", [1]):
            with self.assertRaisesRegex(UnusableInput, "regime"):
                judge([cell(1.1)], dict(CLAIM, regime=regime))
        with self.assertRaisesRegex(UnusableInput, "'colour' is not a factor"):
            judge([cell(1.1)], wanted=["colour"])

    def test_cells_that_are_not_resolved_alone_are_together(self) -> None:
        """Eight cells of 2.5 % with 2 % of noise between launches."""
        cells = [cell(1.025, model=name) for name in "abcdefgh"]
        result = judge(cells, launch_effect=0.014, seed=3).claims[0]
        (regime,) = result.regimes
        self.assertIn(Word.NOT_RESOLVED, {one.word for one in regime.cells})
        self.assertEqual(regime.word, Word.FASTER)
        pooled = regime.pairs[0]
        assert pooled.interval is not None and pooled.ratio is not None
        self.assertTrue(1 < pooled.interval[0] < 1.025 < pooled.interval[1], pooled.interval)

    def test_opposite_cells_make_no_regime(self) -> None:
        result = judge([cell(1.1, model="a"), cell(0.9, model="b")]).claims[0]
        self.assertEqual((words(result), result.word), ({"native, 512 tokens": Word.DIFFERS}, ClaimWord.DEPENDS))

    def test_pooled_over_launches_that_measured_all(self) -> None:
        """A cell that was decided at the first look is not there afterwards."""
        cells = [cell(1.5, model="a"), open_cell(model="b", seq_len=512), open_cell(model="c", seq_len=512)]
        plan = {"looks": [8, 16]}
        result = judge(cells, plan=plan, dropped={0: 8}).claims[0]
        pooled = result.regimes[0].pairs[0].pooled
        assert pooled is not None and pooled.estimate is not None
        self.assertEqual(pooled.estimate.launches, 8)
        self.assertEqual([c.pairs[0].launches for c in result.regimes[0].cells], [8, 16, 16])

    def test_a_regime_of_one_cell_is_that_cell_and_costs_nothing(self) -> None:
        verdict = judge([cell(1.1, seq_len=n) for n in (512, 1024, 2048)])
        self.assertEqual((verdict.cells_schedule.comparisons, verdict.regimes_schedule.comparisons), (3, 0))
        for regime in verdict.claims[0].regimes:
            self.assertEqual(regime.pairs[0].interval, regime.cells[0].pairs[0].interval)

    def test_a_chain_needs_every_pair_in_every_regime(self) -> None:
        third = "headwise+standard"
        claim = dict(CLAIM, order=[SEQUENCE, HEADWISE, third])
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: 1.1, third: slow}, {"seq_len": n}) for n, slow in ((512, 1.3), (1024, 1.1))]
        result = judge(cells, claim).claims[0]
        self.assertEqual([r.word for r in result.regimes], [Word.FASTER, Word.EQUAL])
        self.assertEqual([r.pairs[0].word for r in result.regimes], [Word.FASTER, Word.FASTER])


if __name__ == "__main__":
    unittest.main()
