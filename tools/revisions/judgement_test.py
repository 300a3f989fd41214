"""The rule on planted ratios."""

from __future__ import annotations

import math
import unittest
from typing import Callable

import numpy as np

from tools.revisions.judgement import CaseKey, Judgement, Pair, judge

_VISITS = 6


def planted(
    slowdown: Callable[[CaseKey], float], noise: float, seed: int, visits: int = _VISITS, drift: float = 0.2
) -> dict[CaseKey, list[Pair]]:
    """24 cases in three groups. Between visits the machine's speed moves by `drift`, within a visit by `noise`."""
    generator = np.random.default_rng(seed)
    pairs: dict[CaseKey, list[Pair]] = {}
    for group, slices in (("prefill", 6), ("bf16", 1), ("decode", 1)):
        for part in range(slices):
            speed = np.exp(drift * generator.standard_normal(visits))
            for variant in ("a", "b", "c"):
                key = CaseKey(group, f"slice {part}", variant)
                old, new = np.exp(noise * generator.standard_normal((2, visits))) * speed * 1e-3
                pairs[key] = [Pair(float(o), float(n) * slowdown(key)) for o, n in zip(old, new)]
    return pairs


class JudgementTest(unittest.TestCase):
    def assert_complaints(self, judgement: Judgement, *parts: str) -> None:
        """Exactly one complaint for each of `parts`, in this order."""
        complaints = judgement.complaints()
        self.assertEqual(len(complaints), len(parts), complaints)
        for complaint, part in zip(complaints, parts):
            self.assertIn(part, complaint)

    def test_equal_revisions_pass(self) -> None:
        for seed in range(20):
            self.assert_complaints(judge(planted(lambda _: 1.0, 0.007, seed)))

    def test_slowdown_of_everything_is_found(self) -> None:
        for seed in range(20):
            complaints = judge(planted(lambda _: 1.03, 0.007, seed)).complaints()
            self.assertTrue(complaints and "over all cases is 1.0" in complaints[0], complaints)

    def test_slowdown_of_one_case_is_found(self) -> None:
        for seed in range(20):
            slow = CaseKey("prefill", "slice 3", "b")
            judgement = judge(planted(lambda key: 1.03 if key == slow else 1.0, 0.002, seed))
            self.assert_complaints(judgement, "prefill slice 3 b is 1.0")
            self.assertEqual([case.key for case in judgement.cases if case.slower], [slow])

    def test_slowdown_of_a_group_is_not_made_up_for_by_another(self) -> None:
        for seed in range(20):
            ratios = {"prefill": 0.95, "bf16": 1.018, "decode": 1.0}
            self.assert_complaints(judge(planted(lambda key: ratios[key.group], 0.002, seed)), "mean of bf16 is 1.01")

    def test_faster_passes(self) -> None:
        self.assert_complaints(judge(planted(lambda _: 0.5, 0.007, 1)))

    def test_margins(self) -> None:
        self.assert_complaints(judge(planted(lambda _: 1.0099, 0, 1)))
        complaints = judge(planted(lambda _: 1.0101, 0, 1)).complaints()
        self.assertEqual(len(complaints), 4, complaints)  # over all, and of every group
        slow = CaseKey("prefill", "slice 0", "a")
        self.assert_complaints(judge(planted(lambda key: 1.0199 if key == slow else 1, 0, 1)))
        self.assert_complaints(judge(planted(lambda key: 1.0201 if key == slow else 1, 0, 1)), "prefill slice 0 a")

    def test_values(self) -> None:
        key = CaseKey("prefill", "512", "a")
        judgement = judge({key: [Pair(1, 1.1), Pair(2, 2.0), Pair(10, 8.0)]})
        case = judgement.cases[0]
        self.assertEqual((case.visits, case.old, case.new), (3, 2, 2))
        self.assertAlmostEqual(case.ratio.value, 1.0)
        self.assertAlmostEqual(case.ratio.low, 0.8)
        self.assertAlmostEqual(case.ratio.high, 1.1)
        self.assertTrue(case.wide)
        self.assertFalse(case.slower)

    def test_a_case_without_pairs_is_left_out(self) -> None:
        judgement = judge({CaseKey("ring", "1", "a"): [], CaseKey("model", "1", "a"): [Pair(1, 1)]})
        self.assertEqual(list(judgement.groups), ["model"])

    def test_cases_of_a_slice_do_not_average_their_common_noise(self) -> None:
        measured = [Pair(1, float(new)) for new in np.exp(0.01 * np.random.default_rng(1).standard_normal(_VISITS))]
        together = judge({CaseKey("prefill", "512", variant): measured for variant in "abcd"})
        apart = judge({CaseKey("prefill", part, "a"): measured for part in "1234"})
        alone = together.cases[0].ratio
        self.assertAlmostEqual(together.overall.low, alone.low)
        self.assertAlmostEqual(together.overall.high, alone.high)
        self.assertLess(math.log(apart.overall.high / apart.overall.low), 0.8 * math.log(alone.high / alone.low))

    def test_the_interval_covers(self) -> None:
        covered = 0
        for seed in range(200):
            generator = np.random.default_rng(seed)
            pairs = [Pair(1, 1.03 * math.exp(0.01 * generator.standard_normal())) for _ in range(_VISITS)]
            ratio = judge({CaseKey("prefill", "512", "a"): pairs}).cases[0].ratio
            covered += ratio.low <= 1.03 <= ratio.high
        self.assertGreater(covered, 200 * 0.90)
        self.assertLess(covered, 200)  # or it would say nothing


if __name__ == "__main__":
    unittest.main()
