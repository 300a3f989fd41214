"""predictions.py: planted errors and regrets are found, whatever the labels; a manifest that makes no sense is one line."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis import predictions
from analysis.estimate.predictions import predictions as predictions_of
from analysis.estimate.predictions import results_of_choices, summary
from analysis.read.read_run import read_run
from analysis.testing.synthetic_run import Cell, write_run

# As the synthetic runs spell their variants: FACTORS says ring and zigzag of all of them.
SEQUENCE, HEADWISE = "sequence+online_softmax", "headwise+online_softmax"
RING, GATHER = "sequence(ring,zigzag)+online_softmax", "headwise(ring,zigzag)+online_softmax"
NOT_MEASURED = "sequence(merge,contiguous)+online_softmax"
NOISE = 0.01  # of medians of 30 rounds of 0.4 %


def choice(*ranking: tuple[str, float]) -> dict[str, Any]:
    return {
        "variant": ranking[0][0],
        "predicted_s": ranking[0][1],
        "ranking": [{"variant": variant, "predicted_s": seconds} for variant, seconds in ranking],
    }


class PredictionsTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.run_directory = Path(temporary.name) / "run"

    def write(self, choices: Any) -> None:
        cells = [Cell({SEQUENCE: 1.0, HEADWISE: 1.25}), Cell({SEQUENCE: 3.0, HEADWISE: 2.0}, {"seq_len": 4096})]
        write_run(self.run_directory, cells, launches=3, plan={"choices": choices})

    def command(self) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = predictions.main([str(self.run_directory)])
        return status, out.getvalue(), err.getvalue()

    def test_errors_and_regrets(self) -> None:
        self.write({
            "cell000/auto": choice((RING, 1.1), (GATHER, 1.25), (NOT_MEASURED, 9.0)),
            "cell001/auto": choice((RING, 1.5), (GATHER, 2.0)),
        })  # fmt: skip
        run = read_run(self.run_directory)
        errors = {(found.case, found.variant): found.error for found in predictions_of(run)}
        planted = {
            ("cell000/auto", RING): 0.1,
            ("cell000/auto", GATHER): 0.0,
            ("cell001/auto", RING): -0.5,
            ("cell001/auto", GATHER): 0.0,
        }
        self.assertEqual(set(errors), set(planted))
        for key, error in planted.items():
            self.assertAlmostEqual(errors[key], error, delta=NOISE)
        first, second = results_of_choices(run)
        self.assertEqual((first.chosen, first.fastest, first.regret), (RING, RING, 0.0))
        self.assertEqual((second.chosen, second.fastest), (RING, GATHER))
        self.assertAlmostEqual(second.regret, 0.5, delta=NOISE)
        status, text, _ = self.command()
        self.assertEqual(status, 0)
        self.assertIn("4 predictions: ", text)
        self.assertIn("; 50 % within 7 %.", text)
        self.assertIn("2 choices: 1 at most 2 % slower", text)
        self.assertIn(RING + " *", text)
        self.assertIn("seq_len", text)

    def test_summary_is_of_absolute_errors(self) -> None:
        total = summary([0.0, -0.02, 0.06, -0.2, 0.3], 0.06)
        self.assertAlmostEqual(total.median_error, 0.06)
        self.assertAlmostEqual(total.error_at_90_percent, 0.26)
        self.assertAlmostEqual(total.within, 0.6)

    def test_a_run_without_choices(self) -> None:
        self.write({})
        self.assertEqual(self.command()[:2], (0, "No automatic variant has a candidate that was measured.\n"))

    def test_nonsense_is_one_line(self) -> None:
        for nonsense in (
            [], {"cell000/auto": 1}, {"cell000/auto": {"variant": RING}}, {"cell000/auto": {"ranking": [RING]}},
            {"cell000/auto": choice((RING, 0.0))}, {"cell000/auto": {"ranking": [{"variant": 1, "predicted_s": 1.0}]}},
        ):  # fmt: skip
            with self.subTest(nonsense):
                self.write(nonsense)
                status, out, err = self.command()
                self.assertEqual((status, out, err.count("\n")), (2, "", 1))
                self.assertIn("choices", err)


if __name__ == "__main__":
    unittest.main()
