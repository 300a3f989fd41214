"""Advice is never stronger than the words it rests on."""

from __future__ import annotations

import unittest
from typing import Mapping, Sequence

from analysis.judge.claims import Comparison
from analysis.judge.decisions import PairResult
from analysis.judge.words import Word
from analysis.read.read_run import Case
from analysis.show.advice import Advice, advise

A, B, C = "sequence+online_softmax", "headwise+online_softmax", "headwise+standard"


def case(variant: str) -> Case:
    factors: Mapping[str, str] = {"variant": variant}
    return Case("0", "cell", f"cell/{variant}", factors, {}, {}, None, None, None, (1, 1), 3, False, None, False, "ok", "")


def pair(fast: str, slow: str, word: Word, reason: str = "") -> PairResult:
    return PairResult(Comparison(0, {}, {0: case(fast)}, {0: case(slow)}), word, reason, None)


def advice(*results: PairResult) -> Advice:
    return advise(results, 0.02)


class AdviceTest(unittest.TestCase):
    def check(self, results: Sequence[PairResult], use: Sequence[str], text: str) -> None:
        found = advice(*results)
        self.assertEqual((list(found.use), found.text), (list(use), text))
        self.assertEqual(len(found.evidence), len(results))

    def test_a_chain_that_is_shown(self) -> None:
        self.check([pair(A, B, Word.FASTER), pair(B, C, Word.FASTER)], [A], f"{A} is the fastest shown of 3.")

    def test_the_other_way_round(self) -> None:
        self.check([pair(A, B, Word.SLOWER)], [B], f"{B} is the fastest shown of 2.")
        self.check([pair(A, B, Word.SLOWER), pair(B, C, Word.SLOWER)], [C], f"{C} is the fastest shown of 3.")

    def test_one_open_pair_leaves_it_open(self) -> None:
        self.check([pair(A, B, Word.FASTER), pair(B, C, Word.NOT_RESOLVED)], [],
                   f"not resolved; shown not to be the fastest: {B}.")  # fmt: skip
        self.check([pair(A, B, Word.NOT_RESOLVED), pair(B, C, Word.FASTER)], [],
                   f"not resolved; shown not to be the fastest: {C}.")  # fmt: skip
        self.check([pair(A, B, Word.NOT_RESOLVED)], [], "not resolved.")

    def test_equal(self) -> None:
        self.check([pair(A, B, Word.EQUAL)], [A, B], f"{A} or {B}: shown to be equal within 2 %.")
        self.check([pair(A, B, Word.EQUAL), pair(B, C, Word.FASTER)], [A, B], f"{A} or {B}: shown to be equal within 2 %.")

    def test_equal_twice_is_not_equal(self) -> None:
        """Two differences below the margin may add up to one above it."""
        self.check([pair(A, B, Word.EQUAL), pair(B, C, Word.EQUAL)], [], "not resolved.")

    def test_what_is_beaten_is_not_advised_even_if_equal_to_another(self) -> None:
        self.check([pair(A, B, Word.FASTER), pair(B, C, Word.EQUAL)], [],
                   f"not resolved; shown not to be the fastest: {B}.")  # fmt: skip

    def test_a_circle_is_no_answer(self) -> None:
        self.check([pair(A, B, Word.FASTER), pair(B, C, Word.FASTER), pair(C, A, Word.FASTER)], [], "not resolved.")

    def test_estimates_and_no_votes(self) -> None:
        self.check([pair(A, B, Word.ESTIMATE_ONLY)], [], "not resolved: one launch gives estimates only.")
        self.check([pair(A, B, Word.NO_VOTE, "one rank")], [], "not resolved: no comparison has a vote here.")
        self.assertFalse(advice(pair(A, B, Word.NO_VOTE)).votes)
        self.assertTrue(advice(pair(A, B, Word.NO_VOTE, "oversubscribed")).evidence[0].endswith("no vote: oversubscribed"))


if __name__ == "__main__":
    unittest.main()
