"""The register's file: what is unsound is refused in one line that names the file, the claim and what is allowed."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis.judge.published import published_figure, read_published
from analysis.judge.register import read_register
from analysis.read.csv_table import UnusableInput
from analysis.testing.small_register import FAST, GAIN, SLOW, THIRD, SmallRegister, entry
from analysis.testing.synthetic_run import HEADWISE, SEQUENCE, Cell

RULE: dict[str, Any] = {"kind": "ratio_of_times", "over": "variant", "slow": HEADWISE, "fast": SEQUENCE, "reproduced_if": "faster"}
CANNOT: dict[str, Any] = {"kind": "cannot_be_tested_here", "reason": "no"}
BYTES: dict[str, Any] = {"kind": "bytes_ratio", "over": "variant", "more": HEADWISE, "less": SEQUENCE, "reproduced_if": "faster"}
GROWTH: dict[str, Any] = {"kind": "efficiency_growth", "ranks": 2, "seq_len": [512, 1024]}
SPREAD: dict[str, Any] = {"kind": "spread_below", "over": "kv_block", "values": [64, 128], "at_most": 1.1}


class RegisterTest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.register = SmallRegister(Path(scratch.name))

    def problem(self) -> str:
        with self.assertRaises(UnusableInput) as caught:
            read_register(self.register.top)
        message = str(caught.exception)
        self.assertNotIn("\n", message)
        return message

    def test_a_sound_file(self) -> None:
        self.register.write(entry(RULE | {"where": {"ranks": [2]}}, statement="A claim\n  of two lines"))
        first, rest = read_register(self.register.top)
        self.assertEqual((first.name, first.statement, first.runs), ("one", "A claim of two lines", ("trial",)))
        self.assertEqual((first.published.value, first.published.unit, first.published.source), (1.5, "x", "table 1"))
        self.assertEqual((rest.published.value, rest.published.unit, rest.published.source), (3, "ms", "table 1, figure 2"))
        self.assertEqual(rest.runs, ())

    def test_entries_that_are_refused(self) -> None:
        refused: tuple[tuple[dict[str, Any], str], ...] = (
            ({"rule": RULE | {"kind": "guess"}}, "the kind 'guess' is unknown; there are: ratio_of_times, experiment_claim"),
            ({"rule": {"over": "variant"}}, "'rule' must be a mapping with kind, one of ratio_of_times"),
            ({"rule": RULE | {"slower": 1}}, "has the unknown key 'slower'; there are: kind, slow, fast, over, reproduced_if, where"),
            ({"rule": {"kind": "memory_bound", "over": "isa"}}, "has the unknown key 'over'; there are: kind, where, regime"),
            ({"rule": {"kind": "cannot_be_tested_here"}}, "its rule, cannot_be_tested_here, lacks reason"),
            ({"note": "x"}, "has the unknown key 'note'; there are: id, statement, published, experiment, runs, rule"),
            ({"experiment": "nosuch"}, "experiment 'nosuch' has no file in experiments/; there are: trial"),
            ({"experiment": ""}, "lacks experiment"),
            ({"runs": ["other/1gbit"]}, "run 'other/1gbit' is of the experiment 'other', which has no file"),
            ({"runs": "trial"}, "'runs' must be a list of names"),
            ({"published": {"value": "table1 | no time | here"}},
             f"published.csv has no row 'table1 | no time | here'; there are: {SLOW}; {FAST}; {THIRD}"),
            ({"published": {"quotient": [SLOW]}}, "quotient takes 2 rows, not 1"),
            ({"published": {"order": [SLOW]}}, "order takes 2 to 9 rows, not 1"),
            ({"published": {"quotient": [SLOW, GAIN]}}, "have no ratio: ms over percent"),
            ({"published": {"value": SLOW, "gain": GAIN}}, "has 2 figures; it has one of value, quotient, order, spread, gain, none"),
            ({"published": {"figure": SLOW}}, "has the unknown key 'figure'; it has one of value"),
            ({"published": 1.5}, "'published' must be a mapping with one of value"),
            ({"rule": RULE | {"where": {"speed": 1}}}, "where: 'speed' is not a factor column"),
            ({"rule": RULE | {"over": "speed"}}, "over 'speed' is not a column"),
            ({"rule": RULE | {"regime": ["speed"]}}, "regime: 'speed' is not a factor column"),
            ({"rule": RULE | {"metric": "speed"}}, "metric 'speed' is unknown; there are: time_s"),
            ({"rule": RULE | {"metric": "workspace_bytes"}}, "ratio_of_times cannot have the metric 'workspace_bytes', which is counted"),
            ({"rule": BYTES | {"metric": "time_s"}}, "bytes_ratio cannot have the metric 'time_s', which is timed"),
            ({"rule": RULE | {"reproduced_if": "slower"}}, "'reproduced_if' must be 'faster' or have at_least or at_most"),
            ({"rule": RULE | {"reproduced_if": {"min": 1}}}, "'reproduced_if' must be 'faster' or have at_least or at_most"),
            ({"rule": RULE | {"reproduced_if": {"at_least": "published - 1"}}}, "the bound 'published - 1' must be a number"),
            ({"rule": RULE | {"reproduced_if": {"at_least": "published / 0"}}}, "needs a factor above zero"),
            ({"rule": RULE | {"reproduced_if": {"at_least": "published"}}, "published": {"none": "the text"}},
             "needs a published figure, and this claim has none"),
            ({"rule": {"kind": "experiment_claim", "claim": "none"}}, "experiments/trial.yaml has no claim 'none'; there are: ordering"),
            ({"rule": GROWTH | {"seq_len": [1024, 512]}}, "'seq_len' must be [shorter, longer], not [1024, 512]"),
            ({"rule": GROWTH | {"ranks": 1}}, "'ranks' must be a whole number above 1, not 1"),
            ({"rule": SPREAD | {"values": [64]}}, "'values' needs two values or more"),
            ({"rule": BYTES | {"kind": "memory", "of": "disk"}}, "'of' must be workspace or workspace_and_tensors, not 'disk'"),
            ({"rule": {"kind": "memory_bound", "where": {"speed": 1}}}, "'speed' is no factor of a roofline; there are: model"),
        )  # fmt: skip
        for changed, expected in refused:
            with self.subTest(expected):
                self.register.write(entry(RULE) | changed)
                message = self.problem()
                self.assertTrue(message.startswith("analysis/claims.yaml: claim 'one': "), message)
                self.assertIn(expected, message)

    def test_files_that_are_refused(self) -> None:
        for text, expected in (
            ("claims: [", "analysis/claims.yaml line "),
            ("claims: {}", "analysis/claims.yaml: must be a mapping with one key, claims, a list"),
            ("claims: []\nother: 1\n", "must be a mapping with one key"),
            ("claims:\n  - 3\n", "claim 'number 1': is no mapping"),
            ("claims:\n  - {id: one}\n", "claim 'one': it lacks statement, published, rule"),
            ("claims:\n  - id: one\n    id: two\n", "line 3: the key 'id' appears twice"),
            ("claims: []\n", f"no claim speaks of the row '{SLOW}' of results/original/published.csv"),
        ):
            with self.subTest(expected):
                self.register.write_text(text)
                self.assertIn(expected, self.problem())
        (self.register.top / "analysis/claims.yaml").unlink()
        self.assertIn("claims.yaml: no such file", self.problem())

    def test_a_name_stands_once(self) -> None:
        self.register.write(entry(CANNOT), entry(CANNOT))
        self.assertIn("claim 'one': appears twice", self.problem())

    def test_a_run_that_does_not_fit_its_rule_names_the_claim(self) -> None:
        limits = {"minimum_bytes": 1e9, "read_gb_per_s": 100}
        self.register.write_run([Cell({SEQUENCE: 1.0, HEADWISE: 1.1}, {}, limits)], expect=())
        misfits: tuple[tuple[dict[str, Any], str], ...] = (
            (RULE | {"slow": "headwise+nothing"}, "names variant 'headwise+nothing', which no case has"),
            (RULE | {"where": {"seq_len": 7}}, "where matches no case (seq_len = 7)"),
            ({"kind": "experiment_claim", "claim": "ordering"}, "no claim 'ordering'"),
            ({"kind": "memory_bound", "where": {"phase": "decode"}}, "run 'trial': 'where' matches no case"),
            (GROWTH, "names ranks '1', which no case has"),
        )
        for rule, expected in misfits:
            with self.subTest(expected), self.assertRaises(UnusableInput) as caught:
                self.register.decide(rule)
            self.assertTrue(str(caught.exception).startswith("analysis/claims.yaml: claim 'one': "), caught.exception)
            self.assertIn(expected, str(caught.exception))

    def test_where_must_not_cut_through_a_regime(self) -> None:
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: 1.1}, {"contract": contract}) for contract in ("native", "replicated")]
        pair = {"claim": "ordering", "over": "variant", "order": [SEQUENCE, HEADWISE], "regime": ["seq_len"]}
        self.register.write_run(cells, expect=[pair])
        rule = {"kind": "experiment_claim", "claim": "ordering", "where": {"contract": "native"}}
        with self.assertRaisesRegex(UnusableInput, "'where' cuts through the regime"):
            self.register.decide(rule)
        with self.assertRaisesRegex(UnusableInput, "no regime of its claim lies where contract token_sharded"):
            self.register.decide(rule | {"where": {"contract": "token_sharded"}})


class PublishedTest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.path = SmallRegister(Path(scratch.name)).top / "results/original/published.csv"

    def test_figures(self) -> None:
        rows = read_published(self.path)
        for spec, value, unit in (
            ({"value": GAIN}, 3, "percent"), ({"quotient": [SLOW, FAST]}, 1.5, "x"), ({"gain": GAIN}, 1.03, "x"),
            ({"order": [FAST, SLOW, THIRD]}, 2.5 / 3, "x"), ({"spread": [THIRD, FAST, SLOW]}, 1.5, "x"), ({"none": "the text"}, None, ""),
        ):  # fmt: skip
            found = published_figure(spec, rows)
            self.assertEqual((found.value, found.unit), (value, unit))
        self.assertEqual(published_figure({"none": "the text", "also": [SLOW]}, rows).rows, (SLOW,))

    def test_rows_that_are_refused(self) -> None:
        text = self.path.read_text(encoding="utf-8")
        for more, expected in (
            ("table1,slow time,here,4,ms\n", "appears twice"), ("table9,a,b,,ms\n", "column value: empty"),
            ("table9,a,b,fast,ms\n", "'fast' is not a number"), ("table9,a,,1,ms\n", "column setting: empty"),
        ):  # fmt: skip
            self.path.write_text(text + more, encoding="utf-8")
            with self.subTest(expected), self.assertRaisesRegex(UnusableInput, expected):
                read_published(self.path)


if __name__ == "__main__":
    unittest.main()
