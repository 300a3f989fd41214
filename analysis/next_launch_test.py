"""The driver's brain: which launch comes next, when the run is judged, what goes on, and when it is done."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis import next_launch
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, SEQUENCE, Cell, open_cell

CLAIM = {"claim": "pair", "over": "variant", "order": [SEQUENCE, HEADWISE]}
LOOKS = [8, 16, 32]


def cell(ratio: float, seq_len: int) -> Cell:
    return Cell({SEQUENCE: 1.0, HEADWISE: ratio}, {"seq_len": seq_len})


class NextLaunchTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def next(self, *options: str) -> tuple[int, str, str]:
        """(exit status, stdout, stderr)"""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = next_launch.main([str(self.directory), *options])
            except SystemExit as leaving:  # argparse
                status = int(leaving.code or 0)
        return status, out.getvalue().rstrip("\n"), err.getvalue()

    def line(self, *options: str) -> str:
        status, out, err = self.next(*options)
        self.assertEqual(status, 0, err)
        return out

    def manifest(self, launches: list[tuple[int, int | None]], keys: dict[str, Any] | None = None) -> None:
        """A manifest alone: nothing else may be read."""
        content = {
            "schema_version": 3, "experiment": "e", "title": "t", "expect": [CLAIM], "looks": LOOKS,
            "launches": [{"launch": launch, "exit_status": status} for launch, status in launches],
            **(keys or {}),
        }  # fmt: skip
        (self.directory / "manifest.json").write_text(json.dumps(content), encoding="utf-8")

    def write(self, *cells: Cell, launches: int, **options: Any) -> None:
        plan = {"looks": LOOKS} | options.pop("plan", {})
        synthetic_run.write_run(self.directory, cells, [CLAIM], launches=launches, rounds=3, plan=plan, **options)

    def open_cells(self) -> list[str] | None:
        path = self.directory / next_launch.OPEN_CELLS
        return path.read_text().splitlines() if path.exists() else None

    def test_between_looks_only_the_manifest_is_read(self) -> None:
        cases: list[tuple[list[tuple[int, int | None]], int]] = [
            ([], 0),
            ([(0, 0)], 1),
            ([(0, 0), (1, 1)], 2),  # 1: some case was not right
            ([(0, 0), (1, None)], 1),  # begun, or killed
            ([(0, 0), (1, 143)], 1),
            ([(0, 3), (1, 0)], 0),
            ([(0, 0), (1, None), (1001, 0)], 2),  # ended when it was gone on with
            ([(0, 0), (1, 0), (1001, None)], 1),
            ([(0, 0), (2, 0)], 1),
        ]
        for launches, wanted in cases:
            with self.subTest(launches):
                self.manifest(launches)
                self.assertEqual(self.line(), f"launch {wanted}")
        self.assertIsNone(self.open_cells())

    def test_a_look_says_what_goes_on(self) -> None:
        self.write(cell(1.2, 512), open_cell(seq_len=1024), cell(1.0, 2048), launches=8)
        status, out, err = self.next()
        self.assertEqual((status, out), (0, "launch 8"))
        self.assertEqual(err, "look 1 of 3 (8 launches): 2 of 3 comparisons decided, 1 cell goes on, at most 24 more launches\n")
        self.assertEqual(self.open_cells(), ["cell001"])

    def test_a_look_says_how_long_it_may_take(self) -> None:
        self.write(cell(1.2, 512), open_cell(seq_len=1024), launches=8)
        path = self.directory / "manifest.json"
        for ended, said in (("00:00:02Z", "about 48 s"), ("00:02:00Z", "about 48 min"), ("01:00:00Z", "about 24 h"), ("?", None)):
            content = json.loads(path.read_text())
            content["launches"][-1] |= {"started": "2026-01-01T00:00:00Z", "ended": f"2026-01-01T{ended}"}
            path.write_text(json.dumps(content))
            more = f" ({said})" if said else ""
            self.assertTrue(self.next()[2].endswith(f"at most 24 more launches{more}\n"), self.next()[2])

    def test_rows_of_a_launch_that_is_going_on_are_not_part_of_a_look(self) -> None:
        """Asked again after a kill, the look says the same."""
        self.write(cell(1.2, 512), open_cell(seq_len=1024), launches=9)
        path = self.directory / "cases.csv"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:-1], lines[-1].replace(",ok,", ",failed,")]) + "\n")
        first = self.rewrite_status(8, None)
        self.assertEqual(first[1], "launch 8")
        self.assertIn("look 1 of 3 (8 launches): 1 of 2", first[2])
        self.assertEqual(self.open_cells(), ["cell001"])

    def rewrite_status(self, launch: int, status: int | None) -> tuple[int, str, str]:
        path = self.directory / "manifest.json"
        content = json.loads(path.read_text())
        content["launches"][launch]["exit_status"] = status
        path.write_text(json.dumps(content))
        return self.next()

    def test_cells_that_were_dropped_stay_decided(self) -> None:
        self.write(cell(1.2, 512), open_cell(seq_len=1024), launches=16, dropped={0: 8})
        _, out, err = self.next()
        self.assertEqual(out, "launch 16")
        self.assertIn("look 2 of 3 (16 launches): 1 of 2 comparisons decided, 1 cell goes on, at most 16 more launches", err)

    def test_everything_is_decided(self) -> None:
        self.write(cell(1.2, 512), cell(1.0, 1024), launches=8)
        status, out, err = self.next()
        self.assertEqual((status, out), (0, "done: everything is decided"))
        self.assertIn("2 of 2 comparisons decided, 0 cells open", err)
        self.assertEqual(self.open_cells(), [])

    def test_nothing_votes(self) -> None:
        """One rank decides nothing about two."""
        self.write(Cell({SEQUENCE: 1.0, HEADWISE: 1.2}, {"ranks": 1}), launches=8)
        status, out, err = self.next()
        self.assertEqual((status, out), (0, "done: no comparison has a vote"), err)

    def test_the_last_look(self) -> None:
        self.write(open_cell(seq_len=512), launches=32)
        _, out, err = self.next()
        self.assertEqual(out, "done: the last look")
        self.assertIn("look 3 of 3 (32 launches): 0 of 1 comparisons decided, 1 cell open", err)
        self.assertEqual(self.open_cells(), ["cell000"])

    def test_between_looks_the_file_stays(self) -> None:
        self.write(open_cell(seq_len=512), launches=9)
        (self.directory / next_launch.OPEN_CELLS).write_text("cell000\n")
        self.assertEqual(self.next(), (0, "launch 9", ""))
        self.assertEqual(self.open_cells(), ["cell000"])

    def test_a_limit_of_launches(self) -> None:
        self.manifest([(0, 0), (1, 0)])
        self.assertEqual(self.line("--launches", "3"), "launch 2")
        self.write(open_cell(seq_len=512), launches=3)
        self.assertEqual(self.line("--launches", "3"), "done: 3 launches, as asked")
        self.assertEqual(self.line("--launches", "9"), "launch 3")

    def test_without_claims_there_is_nothing_to_look_at(self) -> None:
        self.manifest([(launch, 0) for launch in range(8)], {"expect": []})
        self.assertEqual(self.next(), (0, "launch 8", ""))
        self.manifest([(launch, 0) for launch in range(32)], {"expect": []})
        self.assertEqual(self.next(), (0, "done: the last look", ""))

    def test_a_plan_of_one_launch(self) -> None:
        self.manifest([], {"looks": [1]})
        self.assertEqual(self.line(), "launch 0")
        self.write(cell(1.5, 512), launches=1, plan={"looks": [1]})
        _, out, err = self.next()
        self.assertEqual(out, "done: the last look")
        self.assertIn("look 1 of 1 (1 launch): 0 of 1 comparisons decided, 1 cell open", err)

    def test_unusable_input_is_one_line(self) -> None:
        bad: list[tuple[dict[str, Any], str]] = [
            ({"looks": [8, 8]}, "'looks' must increase"),
            ({"looks": []}, "'looks' must be a list of positive whole numbers"),
            ({"looks": ["8"]}, "'looks' must be a list of positive whole numbers"),
            ({"launches": [{"launch": "x", "exit_status": 0}]}, "a launch has the id 'x'"),
            ({"schema_version": 9}, "schema_version 9 is unknown"),
        ]
        for keys, problem in bad:
            self.manifest([], keys)
            status, out, err = self.next()
            self.assertEqual((status, out, err.count("\n")), (2, "", 1))
            self.assertIn(problem, err)
        (self.directory / "manifest.json").unlink()
        self.assertEqual(self.next()[0], 2)
        for options in (["--launches", "0"], ["--launches", "x"], ["--what"]):
            self.assertEqual(self.next(*options)[0], 2)


if __name__ == "__main__":
    unittest.main()
