"""What is drawn is what was measured, and the same data give the same file."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from matplotlib import pyplot

from analysis import figures
from analysis.judge.verdicts import ClaimResult, judge_run
from analysis.judge.words import Word
from analysis.read.read_run import Run, read_run
from analysis.show import figure_panels, figure_style, regime_figure, run_figures
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, ORDER_CLAIM, SEQUENCE, STANDARD, Cell


class FiguresTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.run_dir, self.output = Path(temporary.name) / "run", Path(temporary.name) / "figures"

    def write(self, launches: int = 16, rounds: int = 4) -> tuple[Run, ClaimResult]:
        cells = [
            Cell({SEQUENCE: 1.0, HEADWISE: ratio, STANDARD: 1.5}, {"contract": contract, "causal": causal, "seq_len": n})
            for contract in ("native", "replicated") for causal in ("true", "false")
            for n, ratio in ((1024, 1.1), (512, 0.9))
        ]  # fmt: skip
        synthetic_run.write_run(self.run_dir, cells, [ORDER_CLAIM], launches=launches, rounds=rounds)
        run = read_run(self.run_dir)
        return run, judge_run(run).claims[0]

    def test_ratios(self) -> None:
        _, result = self.write()
        panels = figure_panels.ratio_panels(result, 0)
        self.assertEqual({title: sorted(series) for title, series in panels.items()},
                         {"native": ["causal", "full"], "replicated": ["causal", "full"]})  # fmt: skip
        points = panels["native"]["causal"]
        self.assertEqual([(p.x, p.word) for p in points], [(512, Word.SLOWER), (1024, Word.FASTER)])
        for point, ratio in zip(points, (0.9, 1.1)):
            self.assertTrue(point.low < point.y < point.high)
            self.assertAlmostEqual(point.y, ratio, delta=0.01)

    def test_open_intervals_are_not_drawn(self) -> None:
        _, result = self.write(launches=1, rounds=3)
        self.assertEqual(figure_panels.ratio_panels(result, 0), {})
        self.assertFalse(run_figures.draw_ratios(result, 0.02, self.output))

    def test_efficiency(self) -> None:
        run, _ = self.write()
        panels = figure_panels.efficiency_panels(run.cases, "native")
        self.assertEqual(list(panels), ["causal", "full"])
        points = panels["causal"][STANDARD]  # 60 % over 1.5 s
        self.assertEqual([p.x for p in points], [512, 1024])
        self.assertTrue(all(abs(p.y - 40) < 1 and p.low < p.y < p.high for p in points), points)

    def test_efficiency_of_one_launch_has_the_interval_of_its_time(self) -> None:
        """The synthetic interval of the time is +-1 %."""
        run, _ = self.write(launches=1)
        for point in figure_panels.efficiency_panels(run.cases, "native")["causal"][STANDARD]:
            self.assertAlmostEqual(point.low, point.y / 1.01, places=2)
            self.assertAlmostEqual(point.high, point.y / 0.99, places=2)

    def test_command_draws_the_same_file_twice(self) -> None:
        self.write()
        contents = []
        for _ in range(2):
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(figures.main([str(self.run_dir), str(self.output)]), 0)
            contents.append({path.name: path.read_bytes() for path in self.output.iterdir()})
        self.assertEqual(sorted(contents[0]), ["efficiency_native.svg", "efficiency_replicated.svg", "ratios_ordering.svg",
                                               "regimes_ordering.svg"])
        self.assertEqual(contents[0], contents[1])

    def test_the_answer_has_its_regimes_words_and_panels(self) -> None:
        _, result = self.write()
        with figure_style.style():
            self.assertTrue(regime_figure.draw_regimes(result, 0.02, self.run_dir / "answer.svg"))
        text = (self.run_dir / "answer.svg").read_text()
        for words in ("native, full", "replicated, causal", "head-wise takes longer than sequence by ... %",
                      "standard takes longer than online softmax by ... %", ">faster<", ">slower<", "within 2 %"):  # fmt: skip
            self.assertIn(words, text)
        self.assertNotIn(">equal<", text)

    def test_the_answer_is_drawn_where_the_ratios_are(self) -> None:
        _, result = self.write()
        with mock.patch.object(regime_figure, "save") as save:
            self.assertTrue(regime_figure.draw_regimes(result, 0.02, self.output / "answer.svg"))
        figure = save.call_args.args[0]
        for axes, expected in zip(figure.axes, ((-10, 10), (100 * (1.5 / 0.9 - 1), 100 * (1.5 / 1.1 - 1)))):
            marks = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
            self.assertEqual(len(marks), 8)  # two lengths of four regimes, the shorter one first
            for mark in marks:
                self.assertAlmostEqual(mark.get_ydata()[0], expected[round(mark.get_xdata()[0])], delta=1.5)
        pyplot.close(figure)

    def test_no_answer_is_drawn_of_what_has_no_intervals(self) -> None:
        _, result = self.write(launches=1, rounds=3)
        self.assertFalse(regime_figure.draw_regimes(result, 0.02, self.output / "answer.svg"))

    def test_refusal(self) -> None:
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            self.assertEqual(figures.main([str(self.run_dir), str(self.output)]), 2)
        self.assertEqual(err.getvalue().count("\n"), 1)


if __name__ == "__main__":
    unittest.main()
