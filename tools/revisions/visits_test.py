"""What is run in which order, and what is made of the files a start leaves."""

from __future__ import annotations

import random
import tempfile
import unittest
from collections import Counter
from pathlib import Path

from tools.revisions.judgement import CaseKey, Pair
from tools.revisions.slices import Slice
from tools.revisions.visits import MINIMUM_ROUNDS, Bounds, Measured, Outcome, measure, read_outcome, visit

_VARIANTS = ("headwise(none)+standard", "sequence(ring,zigzag)+online_softmax")


def a_slice(title: str, visits: int = 1, variants: tuple[str, ...] = ("a",)) -> Slice:
    return Slice("prefill", title, variants, seq_len=1, samples=1, visits=visits)


class ReadOutcomeTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def write(self, samples: str, cases: str) -> None:
        (self.directory / "samples.csv").write_text(samples)
        (self.directory / "cases.csv").write_text(cases)

    def read(self, printed: str = "") -> Outcome:
        return read_outcome(self.directory, _VARIANTS, printed)

    def test_columns_are_found_by_name(self) -> None:
        self.write(
            "new_column,time_s,round,variant,status\n"
            "x,9,-1,headwise(none)+standard,ok\n"  # a pilot's
            "x,3,0,headwise(none)+standard,ok\n"
            'x,8,0,"sequence(ring,zigzag)+online_softmax",time_limited\n'
            "x,1,1,headwise(none)+standard,ok\n"
            "x,2,2,headwise(none)+standard,ok\n",
            "message,status,mask,variant\n"
            ",ok,causal,headwise(none)+standard\n"
            'slow,time_limited,causal,"sequence(ring,zigzag)+online_softmax"\n',
        )
        outcome = self.read()
        self.assertEqual(outcome.times, {_VARIANTS[0]: 2.0, _VARIANTS[1]: 8.0})
        self.assertEqual(outcome.failures, {})

    def test_wrong_after_it_was_timed(self) -> None:
        self.write(
            "time_s,round,variant,status\n3,0,headwise(none)+standard,ok\n",
            "message,status,variant\nwrong result,failed,headwise(none)+standard\n",
        )
        outcome = self.read("a line\nbenchmark_qwen3: out of memory\nanother")
        self.assertEqual(outcome.times, {})
        self.assertEqual(
            outcome.failures, {_VARIANTS[0]: "wrong result", _VARIANTS[1]: "benchmark_qwen3: out of memory"}
        )

    def test_nothing_there(self) -> None:
        self.assertEqual(set(self.read("mpirun was killed").failures.values()), {"mpirun was killed"})
        self.assertEqual(set(self.read().failures), set(_VARIANTS))


class VisitTest(unittest.TestCase):
    def setUp(self) -> None:
        self.starts: list[tuple[str, str, int]] = []
        self.failing: dict[tuple[str, str], int] = {}  # how often (side, variant) is still going to fail
        self.now = 0.0
        self.left: list[float] = []

    def start(self, side: str, part: Slice, seed: int) -> Outcome:
        """A binary that takes 1 s per start; of the new one every run takes 2 s and of the old one 1 s."""
        self.starts.append((side, part.title, seed))
        self.now += 1
        failures = {}
        for variant in part.variants:
            if self.failing.get((side, variant), 0) > 0:
                self.failing[side, variant] -= 1
                failures[variant] = "broken"
        times = {variant: 2.0 if side == "new" else 1.0 for variant in part.variants if variant not in failures}
        return Outcome(times, failures)

    def measure(self, slices: list[Slice], bounds: Bounds) -> Measured:
        return measure(
            self.start,
            slices,
            bounds,
            lambda _, left: self.left.append(left),
            clock=lambda: self.now,
            chance=random.Random(1),
        )

    def test_rounds(self) -> None:
        measured = self.measure([a_slice("1"), a_slice("2", visits=3)], Bounds(40, None))
        self.assertEqual(measured.rounds, 40)
        self.assertEqual(len(measured.pairs[CaseKey("prefill", "1", "a")]), 40)
        self.assertEqual(measured.pairs[CaseKey("prefill", "2", "a")], [Pair(1.0, 2.0)] * 120)
        visits = [self.starts[i : i + 2] for i in range(0, len(self.starts), 2)]
        for pair in visits:
            self.assertEqual({side for side, _, _ in pair}, {"old", "new"})
            self.assertEqual(len({what[1:] for what in pair}), 1, "the same slice and seed on both sides")
        self.assertEqual(len({pair[0][2] for pair in visits}), 160, "a seed of its own for every visit")
        first = Counter(pair[0][0] for pair in visits)
        self.assertGreater(first["old"], 50)
        self.assertGreater(first["new"], 50)
        orders = {tuple(pair[0][1] for pair in visits[i : i + 4]) for i in range(0, 160, 4)}
        self.assertEqual(len(orders), 4, "every order of the visits of a round")
        self.assertEqual(self.left[1], 2 * 159.0)
        self.assertEqual(self.left[-1], 2.0)

    def test_time_is_up(self) -> None:
        slices = [a_slice("1"), a_slice("2")]
        measured = self.measure(slices, Bounds(None, 30))  # rounds of 4 s
        self.assertEqual((measured.rounds, self.now), (7, 30))
        self.assertEqual(self.left[1:3], [28, 26])

    def test_not_before_enough_rounds(self) -> None:
        measured = self.measure([a_slice("1"), a_slice("2")], Bounds(100, 0.1))
        self.assertEqual(measured.rounds, MINIMUM_ROUNDS)
        self.assertEqual(self.left[1], 4 * MINIMUM_ROUNDS - 2)

    def test_a_failure_is_tried_again(self) -> None:
        self.failing = {("new", "a"): 1, ("old", "b"): 1}
        measured = self.measure([a_slice("1", variants=("a", "b"))], Bounds(3, None))
        self.assertEqual((measured.broken, measured.left_out), ({}, {}))
        self.assertEqual([len(pairs) for pairs in measured.pairs.values()], [3, 3])
        self.assertEqual(len(self.starts), 8)

    def test_new_is_broken(self) -> None:
        self.failing = {("new", "a"): 100}
        measured = self.measure([a_slice("1", variants=("a", "b"))], Bounds(3, None))
        self.assertEqual(measured.broken, {CaseKey("prefill", "1", "a"): "broken"})
        self.assertEqual(list(measured.pairs), [CaseKey("prefill", "1", "b")])
        self.assertEqual(len(self.starts), 7, "what is known to fail is not tried again")

    def test_old_never_could(self) -> None:
        self.failing = {("old", "a"): 100, ("new", "a"): 100}
        measured = Measured()
        for seed in range(3):
            visit(self.start, a_slice("1"), seed, ("old", "new"), measured)
        self.assertEqual(measured.left_out, {CaseKey("prefill", "1", "a"): "broken"})
        self.assertEqual((measured.broken, measured.pairs), ({}, {}))
        self.assertEqual(len(self.starts), 4)


if __name__ == "__main__":
    unittest.main()
