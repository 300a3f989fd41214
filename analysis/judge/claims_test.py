"""Claims are parsed, refused and matched to cases as the experiment file means them."""

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping, Sequence

from analysis.judge import claims
from analysis.read.csv_table import UnusableInput
from analysis.read.plan import LAUNCH_ID_STEP
from analysis.read.read_run import Case, read_run
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, ORDER, SEQUENCE, STANDARD, Cell

TIMES = {SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.3}


def read_cases(cells: Sequence[Cell]) -> list[Case]:
    with tempfile.TemporaryDirectory() as directory:
        synthetic_run.write_run(Path(directory), cells, rounds=2, pilots=0)
        return read_run(Path(directory)).cases


def parse(**entry: Any) -> claims.Claim:
    return claims.parse_claim({"claim": "test", "over": "variant", **entry}, 1)


class ParseTest(unittest.TestCase):
    def test_order(self) -> None:
        claim = parse(order=ORDER, where={"ranks": 2, "causal": [True, False]})
        self.assertEqual(claim.pairs, [(SEQUENCE, HEADWISE), (HEADWISE, STANDARD)])
        self.assertEqual(claim.where, {"ranks": ("2",), "causal": ("true", "false")})
        self.assertEqual(claim.metric, "time_s")

    def test_ratio(self) -> None:
        claim = parse(over="isa", ratio={"slow": "scalar", "fast": "avx2", "min": 2, "max": 3.5})
        self.assertEqual((claim.order, claim.minimum, claim.maximum), (("avx2", "scalar"), 2.0, 3.5))

    def test_refusals(self) -> None:
        ratio = {"slow": "scalar", "fast": "avx2"}
        bad: list[tuple[Mapping[str, Any], str]] = [
            ({}, "either 'order' or 'ratio'"),
            ({"order": ORDER, "ratio": ratio}, "either 'order' or 'ratio'"),
            ({"order": [SEQUENCE]}, "two values or more"),
            ({"order": [SEQUENCE, SEQUENCE]}, "names a value twice"),
            ({"order": ORDER, "metric": "speed"}, "metric 'speed' is unknown"),
            ({"order": ORDER, "over": "colour"}, "over 'colour'"),
            ({"order": ORDER, "were": {}}, "unknown key 'were'"),
            ({"order": ORDER, "where": {"colour": 1}}, "where: 'colour'"),
            ({"order": ORDER, "where": {"ranks": []}}, "where: 'ranks' lists no value"),
            ({"order": ORDER, "where": [1]}, "'where' must be a mapping"),
            ({"over": "isa", "ratio": ratio}, "needs 'min' or 'max'"),
            ({"over": "isa", "ratio": {"slow": "scalar", "min": 2}}, "needs 'slow' and 'fast'"),
            ({"over": "isa", "ratio": {**ratio, "min": 3, "max": 2}}, "below ratio.max"),
            ({"over": "isa", "ratio": {**ratio, "min": "two"}}, "ratio.min must be a number"),
            ({"over": "isa", "ratio": {"slow": "avx2", "fast": "avx2", "min": 1}}, "with itself"),
        ]
        for entry, problem in bad:
            with self.subTest(problem), self.assertRaises(UnusableInput) as raised:
                parse(**entry)
            self.assertIn(problem, str(raised.exception))
            self.assertIn("claim 'test'", str(raised.exception))


class ComparisonTest(unittest.TestCase):
    def test_pairs_within_each_cell(self) -> None:
        cases = read_cases([Cell(TIMES, {"seq_len": n}) for n in (512, 1024)])
        found = claims.find_comparisons(parse(order=ORDER), cases)
        self.assertEqual([(c.factors["seq_len"], c.pair) for c in found], [("512", 0), ("512", 1), ("1024", 0), ("1024", 1)])
        self.assertTrue(all(c.same_cell for c in found))
        first = found[0]
        self.assertEqual((first.fast[0].variant, first.slow[0].variant), (SEQUENCE, HEADWISE))

    def test_where_selects(self) -> None:
        cases = read_cases([Cell(TIMES, {"seq_len": n, "causal": c}) for n in (512, 1024) for c in ("true", "false")])
        found = claims.find_comparisons(parse(order=ORDER[:2], where={"seq_len": [1024], "causal": False}), cases)
        self.assertEqual([(c.factors["seq_len"], c.factors["causal"]) for c in found], [("1024", "false")])

    def test_over_isa_compares_the_same_variant_across_cells(self) -> None:
        cells = [Cell(TIMES, {"isa": isa, "seq_len": n}) for isa in ("scalar", "avx2") for n in (512, 1024)]
        claim = parse(over="isa", ratio={"slow": "scalar", "fast": "avx2", "min": 2})
        found = claims.find_comparisons(claim, read_cases(cells))
        self.assertEqual(len(found), 6)
        for comparison in found:
            fast, slow = comparison.fast[0], comparison.slow[0]
            self.assertEqual((fast.factors["isa"], slow.factors["isa"]), ("avx2", "scalar"))
            self.assertEqual(fast.variant, slow.variant)
            self.assertEqual(fast.factors["seq_len"], slow.factors["seq_len"])
            self.assertFalse(comparison.same_cell)

    def test_cells_of_a_bundle_are_compared_by_turns(self) -> None:
        claim = parse(over="dtype", order=["bf16", "fp32"])
        for bundles, together in ((("b", "b"), True), (("b", "c"), False), (("", ""), False), (("b", ""), False)):
            with self.subTest(bundles):
                cells = [
                    Cell(TIMES, {"dtype": dtype}, {"bundle": bundle}) for dtype, bundle in zip(("bf16", "fp32"), bundles)
                ]
                found = claims.find_comparisons(claim, read_cases(cells))
                self.assertEqual([c.by_turns for c in found], [together] * 3)

    def test_a_resumed_attempt_is_no_turn(self) -> None:
        cells = [Cell(TIMES, {"dtype": dtype}, {"bundle": "b"}) for dtype in ("bf16", "fp32")]
        cases = [
            replace(case, launch=str(LAUNCH_ID_STEP)) if case.factors["dtype"] == "fp32" else case for case in read_cases(cells)
        ]
        found = claims.find_comparisons(parse(over="dtype", order=["bf16", "fp32"]), cases)
        self.assertEqual([(c.by_turns, c.launches) for c in found], [(False, [(0, 0)])] * 3)

    def test_over_algorithm_compares_within_a_strategy(self) -> None:
        claim = parse(over="algorithm", order=["online_softmax", "standard"])
        found = claims.find_comparisons(claim, read_cases([Cell(TIMES)]))
        self.assertEqual([(c.fast[0].variant, c.slow[0].variant) for c in found], [(HEADWISE, STANDARD)])
        self.assertTrue(found[0].same_cell)

    def test_ambiguous_comparison_is_refused(self) -> None:
        times = {"sequence(ring)+online_softmax": 1.0, "sequence(merge)+online_softmax": 1.0, HEADWISE: 1.0}
        with self.assertRaises(UnusableInput) as raised:
            claims.find_comparisons(parse(over="strategy", order=["sequence", "headwise"]), read_cases([Cell(times)]))
        self.assertIn("choose one with 'where'", str(raised.exception))

    def test_no_pair_at_all(self) -> None:
        cells = [Cell({SEQUENCE: 1.0}, {"seq_len": 512}), Cell({HEADWISE: 1.0}, {"seq_len": 1024})]
        with self.assertRaises(UnusableInput) as raised:
            claims.find_comparisons(parse(order=[SEQUENCE, HEADWISE]), read_cases(cells))
        self.assertIn("no two cases differ in variant only", str(raised.exception))


class ControlTest(unittest.TestCase):
    def test_same_algorithm_at_one_rank(self) -> None:
        cases = read_cases([Cell(TIMES, {"ranks": ranks}) for ranks in (1, 2)])
        found = claims.find_controls(parse(order=ORDER, where={"ranks": [2]}), cases)
        self.assertEqual([(c.pair, c.factors["ranks"]) for c in found], [(0, "1")])

    def test_no_control_for_another_axis(self) -> None:
        cases = read_cases([Cell(TIMES, {"ranks": 1, "isa": isa}) for isa in ("scalar", "avx2")])
        self.assertEqual(claims.find_controls(parse(over="isa", order=["avx2", "scalar"]), cases), [])


if __name__ == "__main__":
    unittest.main()
