"""Whatever is in a run directory, every command ends with a status that it documents and at most one line on standard error.

The strategies, and how to try more damages than the few here, are in testing/damaged_run.py. Examples are inputs that once ended in
a traceback or in warnings.
"""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Callable, Sequence

from hypothesis import example, given

from analysis import (
    compare_verdicts,
    crossovers,
    figures,
    kernel_targets,
    merge,
    next_launch,
    parallel_efficiency,
    regimes,
    roofline,
    verify_ordering,
)
from analysis.testing.damaged_run import (
    CASES,
    MANIFEST,
    SAMPLES,
    VERDICT,
    Damage,
    Outcome,
    Rename,
    SetField,
    SetJson,
    damages,
    few,
    run_command,
    sound_run,
)
from analysis.testing.synthetic_run import SEQUENCE

Main = Callable[[Sequence[str]], int]


class DamagedRunTest(unittest.TestCase):
    def check(self, damage: Damage, main: Main, statuses: Sequence[int], *arguments: str) -> Outcome:
        """In the arguments, RUN is the damaged run, SOUND the same one as it was, LATER that with other launches, OUT an output, MAP a figure."""
        with tempfile.TemporaryDirectory() as temporary:
            places = {name: Path(temporary) / name.lower() for name in ("RUN", "SOUND", "LATER", "OUT")}
            places["MAP"] = Path(temporary) / "map.svg"
            damage.write(places["RUN"])
            Damage(damage.run, ()).write(places["SOUND"])
            Damage(damage.run, tuple(Rename(f"\n1,{number},", f"\n1,{number + 100},") for number in range(4))).write(places["LATER"])
            before = {path for path in Path(temporary).rglob("*")}
            outcome = run_command(main, [str(places.get(argument, argument)) for argument in arguments])
            written = {path for path in Path(temporary).rglob("*")} - before
            self.assertEqual([path for path in written if path.name.endswith(".new")], [])
        self.assertIn(outcome.status, statuses, outcome.errors)
        self.assertLessEqual(len(outcome.errors.splitlines()), 1, outcome.errors)
        self.assertNotIn("Traceback", outcome.errors)
        if outcome.status == 2:
            self.assertNotEqual(outcome.errors, "")
        return outcome

    @few(40)
    @given(damages())
    @example(Damage("looks", (SetJson(MANIFEST, ("title",), r'"\ud800"'),)))
    @example(Damage("looks", (SetJson(MANIFEST, ("git_dirty",), "1e999"),)))
    @example(Damage("looks", (SetJson(MANIFEST, ("git_revision",), "[" * 500 + "]" * 500),)))
    def test_verify_ordering(self, damage: Damage) -> None:
        outcome = self.check(damage, verify_ordering.main, (0, 1, 2, 3), "RUN", "--write")
        self.assertEqual(outcome.output == "", outcome.status == 2)

    @few(30)
    @given(damages())
    def test_next_launch(self, damage: Damage) -> None:
        self.check(damage, next_launch.main, (0, 2), "RUN")

    @few(30)
    @given(damages())
    def test_merge(self, damage: Damage) -> None:
        self.check(damage, merge.main, (0, 2), "RUN", "LATER", "--output", "OUT", "--allow-mixed-hardware")
        self.check(damage, merge.main, (0, 2), "RUN", "--output", "OUT", "--allow-mixed-revisions")

    @few(6)
    @given(damages(["one_launch", "looks"]))
    @example(Damage("one_launch", (Rename("native", "../up"), Rename(SEQUENCE, "$x_{$"))))
    @example(Damage("one_launch", (Rename("ordering", "x" * 300), Rename(SEQUENCE, "\x96\U00097821"))))
    @example(Damage("looks", (SetJson(MANIFEST, ("expect", 1, "ratio", "min"), "9" * 400),)))
    def test_figures(self, damage: Damage) -> None:
        self.check(damage, figures.main, (0, 2), "RUN", "OUT")

    @few(50)
    @given(damages(["one_launch", "looks"], [VERDICT]))
    @example(Damage("one_launch", (SetJson(VERDICT, ("claims", 0, "cells", 1, "word"), None),)))
    @example(Damage("one_launch", (SetJson(VERDICT, ("claims", 0, "cells", 1, "word"), "{}"),)))
    @example(Damage("one_launch", (SetJson(VERDICT, ("claims", 0, "cells", 1, "factors", "isa"), r'"\ud800"'),)))
    def test_compare_verdicts(self, damage: Damage) -> None:
        self.check(damage, compare_verdicts.main, (0, 1, 2), "SOUND", "RUN")
        self.check(damage, compare_verdicts.main, (0, 1, 2), "RUN", "RUN")

    @few(30)
    @given(damages())
    def test_crossovers(self, damage: Damage) -> None:
        self.check(damage, crossovers.main, (0, 2), "SOUND", "RUN")

    @few(6)
    @given(damages(["one_launch", "looks"]))
    @example(Damage("one_launch", (Rename("native", "../up"), Rename(SEQUENCE, "$x_{$"))))
    @example(Damage("looks", (SetJson(MANIFEST, ("choices",), '{"x": {"ranking": []}}'),)))
    def test_regimes(self, damage: Damage) -> None:
        self.check(damage, regimes.main, (0, 2), "RUN", "SOUND", "--output", "MAP")

    @few(30)
    @given(damages(["kernels"]))
    @example(Damage("kernels", (Rename("fp32", "1e25"),)))
    @example(Damage("kernels", (SetField(SAMPLES, 0, "all", "peak_gflops", "5e-324"),)))
    def test_kernel_targets(self, damage: Damage) -> None:
        self.check(damage, kernel_targets.main, (0, 1, 2, 3), "RUN")

    @few(30)
    @given(damages(["one_launch", "looks"], [CASES]))
    def test_roofline(self, damage: Damage) -> None:
        self.check(damage, roofline.main, (0, 2), "RUN")

    @few(30)
    @given(damages(["one_launch", "looks"]))
    def test_parallel_efficiency(self, damage: Damage) -> None:
        self.check(damage, parallel_efficiency.main, (0, 2), "SOUND", "RUN")

    def test_sound_runs_are_accepted(self) -> None:
        """Else a damaged one would be refused for nothing."""
        for name in ("one_launch", "looks", "kernels"):
            sound = Damage(name, ())
            self.assertEqual(set(sound.files()), set(sound_run(name)))
            with self.subTest(name):
                self.check(sound, verify_ordering.main, (0, 1, 3), "RUN", "--write")
                self.check(sound, next_launch.main, (0,), "RUN")
                self.check(sound, merge.main, (0,), "RUN", "LATER", "--output", "OUT")
                self.check(sound, crossovers.main, (0,), "RUN")
                self.check(sound, regimes.main, (0,), "RUN", "--output", "MAP")
                self.check(sound, parallel_efficiency.main, (0,), "RUN")
                if name != "kernels":
                    self.check(sound, figures.main, (0,), "RUN", "OUT")
                    self.check(sound, roofline.main, (0,), "RUN")
                    self.check(sound, compare_verdicts.main, (0,), "RUN", "SOUND")
        self.check(Damage("kernels", ()), kernel_targets.main, (1, 3), "RUN")


if __name__ == "__main__":
    unittest.main()
