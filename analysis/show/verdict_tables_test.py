"""The report fits 80 columns and answers: what was asked, what came out, how sure, why."""

import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis.judge.verdicts import judge_run
from analysis.read.read_run import read_run
from analysis.show.verdict_tables import WIDTH, format_ratio, format_report
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, ORDER_CLAIM, SEQUENCE, STANDARD, Cell


def report(cells: list[Cell], *claims: dict[str, Any], regimes: list[str] | None = None, **options: Any) -> str:
    with tempfile.TemporaryDirectory() as directory:
        synthetic_run.write_run(Path(directory), cells, claims or (ORDER_CLAIM,), **options)
        run = read_run(Path(directory))
        return format_report(run, judge_run(run), regimes)


def grid() -> list[Cell]:
    return [
        Cell({SEQUENCE: 1.0, HEADWISE: ratio if ranks == 2 else 1.0, STANDARD: 12.5},
             {"model": model, "contract": contract, "causal": causal, "seq_len": seq_len, "ranks": ranks},
             {"oversubscribed": "true" if seq_len == 65536 else "false"})
        for model in ("qwen3-0.6b", "qwen3-32b") for contract in ("native", "token_sharded")
        for causal in ("true", "false") for seq_len, ratio in ((512, 0.9), (4096, 1.01), (65536, 1.2))
        for ranks in (1, 2)
    ]  # fmt: skip


class ReportTest(unittest.TestCase):
    def test_fits_80_columns(self) -> None:
        ratio_claim = {"claim": "a-claim-with-a-rather-long-name", "over": "variant", "where": {"ranks": [2]},
                       "ratio": {"slow": STANDARD, "fast": HEADWISE, "min": 1.5}}  # fmt: skip
        choices: list[list[str] | None] = [None, ["contract"], ["causal", "ranks"], []]
        for regimes in choices:
            for launches in (1, 2):
                text = report(grid(), ORDER_CLAIM, ratio_claim, regimes=regimes, launches=launches, rounds=15)
                wide = [line for line in text.splitlines() if len(line) > WIDTH]
                self.assertEqual(wide, [], regimes)

    def test_says_everything_a_reader_asks(self) -> None:
        claim = dict(ORDER_CLAIM, where={"ranks": [2]})
        text = report(grid(), claim)
        for fragment in (
            "Does the analysis see what was planted?",
            "A  sequence+online_softmax",
            "Where ranks = 2.",
            "Answer: MIXED. 8 contradicted, 8 undecided of 16 voting cells, 8 without a\n",
            "How sure: 95 % intervals, 30 rounds in 1 launch",
            "A/A control (one rank, same code under two names): passed. 16 of 16",
            "qwen3-0.6b, native, causal\n",
            "could have detected",
            "B/A, C/B x oversubscribed",
            "12.",
        ):
            self.assertIn(fragment, text)
        self.assertTrue(text.splitlines()[-2].startswith("  ordering: MIXED; "), text.splitlines()[-2:])

    def test_rows_are_sorted_by_number(self) -> None:
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.3}, {"seq_len": n}) for n in (2048, 512, 16384)]
        lines = report(cells).splitlines()
        rows = [line.split()[0] for line in lines if line.startswith("    ") and line.split()[0].isdigit()]
        self.assertEqual(rows, ["512", "2048", "16384"])

    def test_regimes_can_be_chosen(self) -> None:
        text = report(grid(), dict(ORDER_CLAIM, where={"ranks": [2]}), regimes=["contract"])
        self.assertIn("\n  native\n", text)
        self.assertNotIn("native, causal", text)
        self.assertIn("qwen3-0.6b, causal, seq_len 512\n", text)

    def test_failed_control_is_loud(self) -> None:
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: 1.05, STANDARD: 1.3}, {"ranks": ranks}) for ranks in (1, 2)]
        text = report(cells)
        self.assertIn("FAILED", text)
        self.assertIn("ordering: UNDECIDED; the A/A control fails in 1 of 1 cells", text)

    def test_order_of_four(self) -> None:
        names = [SEQUENCE, HEADWISE, STANDARD, "sequence+standard"]
        times = {name: 1.1**index for index, name in enumerate(names)}
        text = report([Cell(times)], {"claim": "four", "over": "variant", "order": names})
        for pair in ("B/A", "C/B", "D/C"):
            self.assertIn(f"{pair} [95 % interval]", text)
        self.assertTrue(all(len(line) <= WIDTH for line in text.splitlines()))

    def test_format_ratio(self) -> None:
        self.assertEqual([format_ratio(v) for v in (0.99051, 12.345, 1234.5, float("inf"))], ["0.991", "12.35", "1234", "inf"])


if __name__ == "__main__":
    unittest.main()
