"""The report fits 100 columns and begins with what a practitioner can act on; then how sure, the map, every cell."""

import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis.judge.verdicts import judge_run
from analysis.judge.words import Word
from analysis.read.read_run import read_run
from analysis.show.verdict_phrases import by_how_much, format_interval, format_ratio, half_width_text, percent, phrase
from analysis.show.verdict_tables import WIDTH, format_report
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import COPY, HEADWISE, ORDER_CLAIM, SEQUENCE, STANDARD, Cell, open_cell

PAIR: dict[str, Any] = {"claim": "sequence-over-headwise", "over": "variant", "order": [SEQUENCE, HEADWISE], "where": {"ranks": [2]}}


def report(cells: list[Cell], *claims: dict[str, Any], regimes: list[str] | None = None, **options: Any) -> str:
    settings: dict[str, Any] = {"launches": 16, "rounds": 3} | options
    with tempfile.TemporaryDirectory() as directory:
        synthetic_run.write_run(Path(directory), cells, claims or (ORDER_CLAIM,), **settings)
        run = read_run(Path(directory))
        return format_report(run, judge_run(run, regimes))


def flat(text: str) -> str:
    """As one line: where it is broken is another matter."""
    return " ".join(text.split())


def grid() -> list[Cell]:
    return [
        Cell({SEQUENCE: 1.0, HEADWISE: ratio if ranks == 2 else 1.0, STANDARD: 12.5},
             {"model": model, "contract": contract, "causal": causal, "seq_len": seq_len, "ranks": ranks},
             {"oversubscribed": "true" if seq_len == 65536 else "false"},
             launch_effect=0.03 if (seq_len, ranks) == (4096, 2) else None)  # not resolved
        for model in ("qwen3-0.6b", "qwen3-32b") for contract in ("native", "token_sharded")
        for causal in ("true", "false") for seq_len, ratio in ((512, 0.9), (4096, 1.0), (65536, 1.2))
        for ranks in (1, 2)
    ]  # fmt: skip


def lengths(ratios: dict[int, float], contract: str = "native") -> list[Cell]:
    return [Cell({SEQUENCE: 1.0, HEADWISE: ratio}, {"seq_len": n, "contract": contract}) for n, ratio in ratios.items()]


class SentencesTest(unittest.TestCase):
    def first_lines(self, cells: list[Cell], claim: dict[str, Any], **options: Any) -> str:
        top, _, _ = report(cells, claim, **options).partition("\n\n  ")
        return flat(top)

    def test_neighbouring_lengths_of_one_word_are_one_phrase(self) -> None:
        claim = PAIR | {"regime": ["contract", "seq_len"]}
        text = self.first_lines(lengths({512: 0.9, 1024: 0.95, 2048: 1.0, 4096: 1.0}), claim)
        self.assertRegex(
            text,
            r"^synthetic: Does the analysis see what was planted\? sequence-over-headwise: REFUTED\. Regimes: 2 slower, 2 equal; 4 "
            r"of 4 cells decided\. Two ranks, native: head-wise faster by [45]\.\d to 1\d % up to 1024 tokens, "
            r"equal within 2 % from 2048 tokens on\.$",
        )

    def test_one_length_and_all_lengths(self) -> None:
        claim = PAIR | {"regime": ["contract", "seq_len"]}
        cells = lengths({512: 1.1, 1024: 1.0}) + lengths({512: 1.1, 1024: 1.12}, "replicated")
        text = self.first_lines(cells, claim)
        self.assertRegex(text, r"Two ranks, native: sequence faster by \S+ to \S+ % at 512 tokens, equal within 2 % at 1024 tokens\.")
        self.assertRegex(text, r"Two ranks, replicated: sequence faster by \S+ to \S+ % from 512 to 1024 tokens\.")

    def test_regimes_without_lengths_speak_for_all_their_cells(self) -> None:
        text = self.first_lines(lengths({512: 1.1, 1024: 1.2}), PAIR)
        self.assertRegex(text, r"Two ranks: sequence faster by \S+ to \S+ % from 512 to 1024 tokens\.")
        self.assertIn("CONFIRMED", text)

    def test_what_is_not_resolved_is_said_once(self) -> None:
        claim = PAIR | {"regime": ["contract", "seq_len"]}
        cells = [open_cell(seq_len=n, contract=name) for name in "abcde" for n in (512, 1024)] + lengths({512: 1.1}, "native")
        text = self.first_lines(cells, claim)
        self.assertRegex(text, r"Two ranks: not resolved in 5 of 6 regimes; the best known ratio is known to \+-\d\.\d %\.")
        self.assertEqual(text.count("not resolved in"), 1)

    def test_one_launch_is_said_to_be_an_estimate(self) -> None:
        text = self.first_lines(lengths({512: 1.1}), PAIR, launches=1, rounds=30)
        self.assertIn("OPEN, because one launch gives estimates, no verdict.", text)
        self.assertRegex(text, r"Two ranks: estimate of one launch, sequence ahead by about (9\.\d|10) %\.")
        several = lengths({512: 1.1, 1024: 1.001, 2048: 3.0})
        text = self.first_lines(several, PAIR, launches=1, rounds=30)
        self.assertRegex(text, r"about 10 % at 512 tokens, about equal at 1024 tokens, sequence about 3\.0 times as fast at 2048 tokens\.")

    def test_a_pair_is_told_by_the_claim_about_it_alone(self) -> None:
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.3})]
        chain = dict(ORDER_CLAIM, where={"ranks": [2]})
        alone = flat(report(cells, chain).partition("\n\n  ")[0])
        self.assertIn("sequence and head-wise: Two ranks: sequence faster", alone)
        self.assertIn("online softmax and standard: Two ranks: online softmax faster", alone)
        both = flat(report(cells, chain, PAIR).partition("\n\n  ")[0])
        self.assertEqual(both.count("sequence faster"), 1)


class ReportTest(unittest.TestCase):
    def test_fits_100_columns(self) -> None:
        ratio_claim = {"claim": "a-claim-with-a-rather-long-name", "over": "variant", "where": {"ranks": [2]},
                       "ratio": {"slow": STANDARD, "fast": HEADWISE, "min": 1.5}}  # fmt: skip
        choices: list[list[str] | None] = [None, ["contract"], ["causal", "seq_len"], []]
        for regimes in choices:
            for launches in (1, 5):
                text = report(grid(), ORDER_CLAIM, ratio_claim, regimes=regimes, launches=launches, rounds=3)
                wide = [line for line in text.splitlines() if len(line) > WIDTH]
                self.assertEqual(wide, [], regimes)

    def test_says_everything_a_reader_asks(self) -> None:
        text = report(grid(), dict(ORDER_CLAIM, where={"ranks": [2]}))
        for fragment in (
            "Does the analysis see what was planted?",
            "A sequence+online_softmax",
            "Where ranks = 2.",
            "Answer: REFUTED. 8 slower, 8 not resolved of 16 voting cells, 8 without a vote.",
            "How sure: 16 launches behind each comparison. The chance that any word below is wrong is at most 5 %, over the 32 comparisons",
            "A/A control: passed, none declared different. 16 pairs of equal code (16 at one rank), different by",
            "the margin is 2 %",
            "qwen3-0.6b, native, causal",
            "B/A ? not resolved: +-",
            "B/A, C/B x oversubscribed",
            "12.",
            "Not recorded: what the host or other processes took",
        ):
            self.assertIn(fragment, flat(text))
        self.assertIn("ordering: REFUTED; 8 slower", flat(text.splitlines()[-1]))

    def test_the_map_has_regimes_in_rows_and_lengths_in_columns(self) -> None:
        claim = PAIR | {"regime": ["contract", "seq_len"]}
        cells = lengths({512: 0.9, 1024: 1.0}) + lengths({512: 1.1, 1024: 7.0}, "replicated")
        lines = report(cells, claim).splitlines()
        index = next(n for n, line in enumerate(lines) if line.split()[:1] == ["regime"])
        self.assertEqual(lines[index].split(), ["regime", "512", "tokens", "1024", "tokens"])
        self.assertRegex(lines[index + 1], r"native +-(9\.\d|10) \[-1\d, -9\.\d\] - +\S+ \[\S+, \S+\] =")
        self.assertRegex(lines[index + 2], r"replicated +\+(9\.\d|10) \[\S+, \S+\] \+ +x\d\.\d\d \[\d\.\d\d, \d\.\d\d\] \+")

    def test_rows_are_sorted_by_number(self) -> None:
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.3}, {"seq_len": n}) for n in (2048, 512, 16384)]
        rows = [line.split()[0] for line in report(cells).splitlines() if line.startswith("    ") and line.split()[0].isdigit()]
        self.assertEqual(rows, ["512", "2048", "16384"])

    def test_regimes_can_be_chosen(self) -> None:
        text = report(grid(), dict(ORDER_CLAIM, where={"ranks": [2]}), regimes=["contract"])
        self.assertIn("\n  native\n", text)
        self.assertNotIn("native, causal", text)

    def test_failed_control_is_loud(self) -> None:
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: 1.1, HEADWISE + COPY: 1.2, STANDARD: 1.3})]
        text = report(cells)
        self.assertIn("A/A control: FAILED, 1 declared different. 1 pair of equal code (1 copy at the same ranks)", text)
        self.assertIn("ordering: OPEN, because the A/A control fails: 1 of 1 pairs of equal code differ", text)

    def test_no_control_is_said(self) -> None:
        self.assertIn("A/A control: none.", report(lengths({512: 1.1}), PAIR))

    def test_disturbances_are_told(self) -> None:
        values = {"steal_s": 0.01, "involuntary_switches": 0, "barrier_skew_s": 0.005}
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: 1.1, HEADWISE + COPY: 1.1}, sample_values=values)]
        text = flat(report(cells, PAIR))
        self.assertIn("Disturbed: 100 % of the samples by other guests of the host (steal), 0 % by a switch", text)
        self.assertIn("ranks left the barrier within 0.5 % of the time in the middle", text)

    def test_how_much_of_the_time_was_measured(self) -> None:
        """Two launches of 100 s each, in which 3 rounds of 1 and of 1.1 s were kept."""
        times = {"started": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:01:40Z", "exit_status": 0}
        cells = lengths({512: 1.1})
        both = report(cells, PAIR, launches=2, plan={"launches": [{"launch": launch, **times} for launch in (0, 1)]})
        self.assertIn("Samples are 6.3 % of the wall time of the launches.", flat(both))
        one = report(cells, PAIR, launches=2, plan={"launches": [{"launch": 0, **times}, {"launch": 1, "exit_status": 0}]})
        self.assertNotIn("wall time", flat(one))

    def test_order_of_four(self) -> None:
        names = [SEQUENCE, HEADWISE, STANDARD, "sequence+standard"]
        times = {name: 1.1**index for index, name in enumerate(names)}
        text = report([Cell(times)], {"claim": "four", "over": "variant", "order": names})
        for pair in ("B/A", "C/B", "D/C"):
            self.assertIn(f"{pair} [interval]", text)
        self.assertTrue(all(len(line) <= WIDTH for line in text.splitlines()))


class PhrasesTest(unittest.TestCase):
    NAMES = ("sequence", "head-wise")

    def test_cells_are_said_as_the_experiment_asks(self) -> None:
        for word, ends, text in (
            (Word.FASTER, (1.05, 1.09), "sequence faster by 5 to 9 %"),
            (Word.SLOWER, (1 / 1.09, 1 / 1.05), "head-wise faster by 5 to 9 %"),
            (Word.EQUAL, (0.99, 1.01), "equal within 2 %"),
            (Word.NOT_RESOLVED, (1 / 1.03, 1.03), "not resolved: +-3 %"),
            (Word.NOT_RESOLVED, (0.0, float("inf")), "not resolved: no interval"),
            (Word.FASTER, (2.0, 7.5), "sequence faster 2.0 to 7.5 times"),
            (Word.DIFFERS, None, "differs from cell to cell"),
        ):
            self.assertEqual(phrase(word, self.NAMES, 1.0, ends, 0.02), text)

    def test_numbers(self) -> None:
        self.assertEqual([format_ratio(v) for v in (0.99051, 12.345, 1234.5, float("inf"))], ["0.991", "12.35", "1234", "inf"])
        self.assertEqual([percent(v) for v in (0.02, 0.0512, 0.12345, -0.0001, 0.005)], ["2", "5.1", "12", "0", "0.5"])
        self.assertEqual(format_interval(7.0, (0.0, float("inf"))), "7.000 [no interval]")
        self.assertEqual((half_width_text((0.5, 8.0)), by_how_much((1.021, 1.5))), ("within a factor of 4", "by 2.1 to 50 %"))


if __name__ == "__main__":
    unittest.main()
