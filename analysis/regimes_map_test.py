"""regimes.py: the fastest, its lead, what is not known, and what a choice was worth; bad usage in one line."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis import regimes
from analysis.read.read_run import read_run
from analysis.show.winner_figure import winner_map
from analysis.testing.synthetic_run import HEADWISE, SEQUENCE, Cell, write_run

# As the synthetic runs spell their variants.
RING, GATHER = "sequence(ring,zigzag)+online_softmax", "headwise(ring,zigzag)+online_softmax"


def choice(variant: str) -> dict[str, Any]:
    ranking = [{"variant": name, "predicted_s": 1.0} for name in (variant, GATHER if variant == RING else RING)]
    return {"variant": variant, "predicted_s": 1.0, "ranking": ranking}


class RegimesMapTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)

    def write(self, name: str, launches: int = 16) -> Path:
        """Sequence leads by 10 % at 512 tokens, is equal at 1024, and is slower by half at 2048."""
        cells = [
            Cell({SEQUENCE: 1.0, HEADWISE: ratio}, {"seq_len": length, "contract": contract})
            for contract in ("native", "replicated") for length, ratio in ((512, 1.1), (1024, 1.0), (2048, 0.5))
        ]  # fmt: skip
        choices = {"cell000/auto": choice(RING), "cell002/auto": choice(RING)}
        write_run(self.top / name, cells, launches=launches, rounds=6, plan={"choices": choices})
        return self.top / name

    def command(self, *arguments: str) -> tuple[int, str]:
        """Exit status, and the last line of what it says."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                status = regimes.main(arguments)
            except SystemExit as end:
                status = int(end.code or 0)
        return status, said.getvalue().splitlines()[-1]

    def test_the_map_says_what_was_planted(self) -> None:
        shown = winner_map({"a": read_run(self.write("a"))}, 0.02)
        self.assertEqual((shown.columns, shown.rows), (["512", "1024", "2048"], ["native", "replicated"]))
        fields = shown.panels["a"]
        first, second, third = (fields["native", length] for length in shown.columns)
        self.assertEqual((first.way, first.shown, first.choice_is_good), ("sequence", True, True))
        self.assertAlmostEqual(float(first.text.removesuffix(" %")), 10, delta=0.5)
        self.assertEqual((second.text, second.shown, second.choice_is_good), ("=", False, None))
        self.assertEqual((third.way, third.shown, third.choice_is_good), ("head-wise", True, False))
        self.assertAlmostEqual(float(third.text.removesuffix(" %")), 100, delta=2)

    def test_variants_of_a_strategy_stand_for_each_other(self) -> None:
        """Of one strategy alone the variants are what is compared."""
        trials: list[tuple[dict[str, float], str, float]] = [({HEADWISE: 1.2}, "sequence", 20), ({}, SEQUENCE, 5)]
        for others, way, text in trials:
            run = self.top / way
            write_run(run, [Cell({SEQUENCE: 1.0, "sequence(allgather)+online_softmax": 1.05, **others})], launches=16, rounds=6)
            field = winner_map({"a": read_run(run)}, 0.02).panels["a"]["all", "1024"]
            self.assertEqual(field.way, way)
            self.assertAlmostEqual(float(field.text.removesuffix(" %")), text, delta=0.7)

    def test_one_launch_is_an_estimate(self) -> None:
        field = winner_map({"a": read_run(self.write("a", launches=1))}, 0.02).panels["a"]["native", "2048"]
        self.assertEqual((field.text[0], field.shown), ("~", False))

    def test_the_figure_has_a_panel_per_run_and_is_the_same_again(self) -> None:
        runs = [str(self.write(name)) for name in ("unshaped", "1gbit")]
        once, again = self.top / "once.svg", self.top / "again.svg"
        for path in (once, again):
            self.assertEqual(self.command(*runs, "--output", str(path)), (0, str(path)))
        self.assertEqual(once.read_bytes(), again.read_bytes())
        for text in ("unshaped", "1gbit", "replicated", "head-wise", "choice of auto slower"):
            self.assertIn(f">{text}<", once.read_text(encoding="utf-8"))

    def test_where_the_figure_goes(self) -> None:
        one, other = str(self.write("one")), str(self.write("other"))
        self.assertEqual(self.command(one), (0, f"{one}/regimes.svg"))
        self.assertEqual(self.command(one, other), (0, f"{self.top}/regimes.svg"))

    def test_bad_usage_and_input(self) -> None:
        run = str(self.write("a"))
        for arguments, complaint in (
            ((), "the following arguments are required: RUN_DIR"),
            ((run, "--output", "map.txt"), "'map.txt' does not end in .svg, .pdf, .png"),
            ((run, "--output", "map.svg", "--margin", "0"), "a number between 0 and 1 is expected; found 0.0"),
            ((run, run, "--output", "map.svg"), "both are named 'a'"),
            ((str(self.top / "none"), "--output", "map.svg"), "none: no such directory"),
        ):
            status, said = self.command(*arguments)
            self.assertEqual(status, 2, said)
            self.assertIn(complaint, said)


if __name__ == "__main__":
    unittest.main()
