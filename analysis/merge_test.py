"""merge.py: what is joined, and every reason to refuse."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis import merge
from analysis.read.json_file import read_json_object

_SAMPLES = ["schema_version", "launch", "cell", "case", "round", "time_s", "status"]
_CASES = ["schema_version", "launch", "cell", "case", "nodes", "status"]


class MergeTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)

    def part(self, name: str, cells: dict[tuple[int, str], bool], launch: dict[str, Any] | None = None, nodes: int = 1, **manifest: Any) -> Path:
        """A run directory with two variants and two rounds per (launch, cell): complete or not."""
        directory = self.top / name
        directory.mkdir()
        samples, cases = [_SAMPLES], [_CASES]
        for (launch_id, cell), complete in cells.items():
            for variant in ("a", "b"):
                key = ["1", str(launch_id), cell, f"{cell}/{variant}"]
                samples += [[*key, str(number), "0.5", "ok"] for number in range(2)]
                cases += [[*key, str(nodes), "ok, with a comma"]] if complete else []
        for file, rows in (("samples.csv", samples), ("cases.csv", cases)):
            with open(directory / file, "w", encoding="utf-8", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerows(rows)
        content = {"schema_version": 1, "config_sha256": "c", "git_revision": "r", "git_dirty": False, "title": "t"}
        content["launches"] = [{"launch": 0, "cpu": "one"} | (launch or {})]
        (directory / "manifest.json").write_text(json.dumps(content | manifest))
        return directory

    def merge(self, *arguments: Any) -> tuple[int, str]:
        """Exit status and standard error."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            status = merge.main(["--output", str(self.top / "out"), *map(str, arguments)])
        return status, errors.getvalue()

    def refused(self, pattern: str, *arguments: Any) -> None:
        """One line that matches, exit 2, and no run directory left that could be taken for good."""
        status, errors = self.merge(*arguments)
        self.assertEqual(status, 2, errors)
        self.assertRegex(errors, pattern)
        self.assertEqual(len(errors.strip().splitlines()), 1, errors)
        self.assertFalse((self.top / "out" / "manifest.json").exists())

    def rows(self, file: str) -> list[dict[str, str]]:
        """Rows of a merged file."""
        with open(self.top / "out" / file, encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def test_rows_of_all_parts_and_launches_with_their_origin(self) -> None:
        first, second = self.part("p1", {(0, "x"): True, (1, "x"): True}), self.part("p2", {(0, "y"): True})
        self.assertEqual(self.merge(first, second), (0, ""))
        keys = {(row["launch"], row["case"], row["round"]) for row in self.rows("samples.csv")}
        expected = {
            (launch, f"{cell}/{variant}", str(number))
            for launch, cell in (("0", "x"), ("1", "x"), ("0", "y"))
            for variant in "ab"
            for number in range(2)
        }
        self.assertEqual(keys, expected)
        self.assertEqual(len(self.rows("samples.csv")), len(expected))
        self.assertEqual([row["status"] for row in self.rows("cases.csv")], ["ok, with a comma"] * 6)
        manifest = json.loads((self.top / "out" / "manifest.json").read_text())
        self.assertEqual([launch["merged_from"] for launch in manifest["launches"]], [str(first), str(second)])
        self.assertEqual(manifest["title"], "t")

    def test_samples_of_incomplete_cells_are_left_out(self) -> None:
        # Begun in p1, completed in p2 under the same launch id: only the complete one may remain.
        first, second = self.part("p1", {(0, "x"): True, (0, "y"): False}), self.part("p2", {(0, "y"): True})
        self.assertEqual(self.merge(first, second)[0], 0)
        self.assertEqual([row["case"] for row in self.rows("samples.csv")], ["x/a"] * 2 + ["x/b"] * 2 + ["y/a"] * 2 + ["y/b"] * 2)

    def test_a_line_cut_off_by_a_crash_is_left_out(self) -> None:
        first = self.part("p1", {(0, "x"): True})
        with open(first / "samples.csv", "a", encoding="utf-8") as file:
            file.write("1,0,x,x/a,2")
        self.assertEqual(self.merge(first)[0], 0)
        self.assertEqual(len(self.rows("samples.csv")), 4)

    def test_merging_again_replaces(self) -> None:
        first, second = self.part("p1", {(0, "x"): True}), self.part("p2", {(0, "y"): True})
        self.merge(first)
        self.assertEqual(self.merge(first, second)[0], 0)
        self.assertEqual(len(self.rows("samples.csv")), 8)

    def test_cells_on_different_numbers_of_nodes_are_different_cells(self) -> None:
        first, second = self.part("p1", {(0, "x"): True, (0, "y"): True}), self.part("p2", {(0, "x"): True}, nodes=2)
        self.assertEqual(self.merge(first, second)[0], 0)
        for file in ("samples.csv", "cases.csv"):
            self.assertEqual(
                {(row["cell"], row["case"]) for row in self.rows(file)},
                {(cell, f"{cell}/{variant}") for cell in ("x-nodes1", "x-nodes2", "y") for variant in "ab"},
            )
        self.assertEqual({(row["cell"], row["nodes"]) for row in self.rows("cases.csv")}, {("x-nodes1", "1"), ("x-nodes2", "2"), ("y", "1")})

    def test_duplicate_cells(self) -> None:
        first, second = self.part("p1", {(0, "x"): True}), self.part("p2", {(0, "x"): True})
        self.refused("cell x of launch 0 is in .*p1 and again in .*p2", first, second)

    def test_duplicate_cells_of_a_continued_launch(self) -> None:
        first, second = self.part("p1", {(0, "x"): True}), self.part("p2", {(1000, "x"): True})
        self.refused("cell x of launch 0 is in", first, second)

    def test_the_same_cell_of_another_launch_is_no_duplicate(self) -> None:
        self.assertEqual(self.merge(self.part("p1", {(0, "x"): True}), self.part("p2", {(1, "x"): True}))[0], 0)

    def test_a_case_that_was_chosen_differently(self) -> None:
        parts = [self.part(name, {(launch, "x"): True}, choices={f"x/{name}": {}}) for launch, name in enumerate(("p1", "p2"))]

        def set_strategies(*strategies: str) -> None:
            for part, strategy in zip(parts, strategies):
                lines = ["schema_version,launch,cell,case,nodes,message,strategy,exchange,sharding,algorithm"]
                launch = parts.index(part)
                lines += [f"1,{launch},x,x/{variant},1,ok,{strategy},allgather,contiguous,standard" for variant in "ab"]
                (part / "cases.csv").write_text("\n".join(lines) + "\n")

        set_strategies("headwise", "sequence")
        self.refused("case x/a is headwise allgather contiguous standard in .*p1 and sequence .* in .*p2", *parts)
        set_strategies("headwise", "headwise")
        self.assertEqual(self.merge(*parts)[0], 0)
        manifest = json.loads((self.top / "out" / "manifest.json").read_text())
        self.assertEqual(manifest["choices"], {"x/p1": {}, "x/p2": {}})

    def test_the_same_directory_twice(self) -> None:
        first = self.part("p1", {(0, "x"): True})
        self.refused("cell x of launch 0", first, first)

    def test_links_that_lead_round(self) -> None:
        loop = self.top / "loop"
        loop.symlink_to(loop)
        self.refused("loop: leads nowhere", loop)

    def test_a_directory_whose_name_is_no_text(self) -> None:
        part = self.part("p1", {(0, "x"): True})
        self.assertEqual(self.merge(part.rename(self.top / "bad\udcff"))[0], 0)
        manifest = read_json_object(self.top / "out" / "manifest.json")
        self.assertEqual(manifest["merged_from"], [f"{self.top}/bad\ufffd"])

    def test_other_experiment_file(self) -> None:
        first, second = self.part("p1", {(0, "x"): True}), self.part("p2", {(0, "y"): True}, config_sha256="d")
        self.refused("differ in the experiment file", "--allow-mixed-revisions", "--allow-mixed-hardware", first, second)

    def test_mixed_revisions(self) -> None:
        for key, value in (("git_revision", "s"), ("git_dirty", True), ("compiler", "clang")):
            changed: dict[str, Any] = {key: value}
            with self.subTest(key):
                first, second = self.part(f"1{key}", {(0, "x"): True}), self.part(f"2{key}", {(0, "y"): True}, **changed)
                self.refused(f"differ in {key}.*--allow-mixed-revisions", first, second)
        self.assertEqual(self.merge("--allow-mixed-revisions", first, second)[0], 0)
        manifest = json.loads((self.top / "out" / "manifest.json").read_text())
        self.assertEqual(manifest["mixed_compiler"], [None, "clang"])

    def test_mixed_hardware(self) -> None:
        first, second = self.part("p1", {(0, "x"): True}), self.part("p2", {(0, "y"): True}, launch={"cpu": "two"})
        self.refused('differ in cpu: "one" and "two" .*--allow-mixed-hardware', first, second)
        self.assertEqual(self.merge("--allow-mixed-hardware", first, second)[0], 0)

    def test_missing_and_empty_parts(self) -> None:
        first, empty = self.part("p1", {(0, "x"): True}), self.part("p2", {(0, "y"): False})
        self.refused("p2: no complete cell", first, empty)
        self.refused("p3/manifest.json: no such file", first, self.top / "p3")
        status, errors = self.merge("--allow-missing", first, empty, self.top / "p3")
        self.assertEqual(status, 0)
        self.assertEqual(len(errors.splitlines()), 2)

    def test_broken_files(self) -> None:
        for name, file, text, pattern in (
            ("b1", "manifest.json", "{", "manifest.json line 1"),
            ("b2", "manifest.json", "[]", "manifest.json: must be a JSON object"),
            ("b7", "manifest.json", '{"launches": [5]}', "not the manifest of a run"),
            ("b8", "manifest.json", '{"launches": ' + "[" * 100000 + "]" * 100000 + "}", "nested too deep"),
            ("b3", "cases.csv", "", "cases.csv: empty file"),
            ("b4", "cases.csv", "launch\n1\n", "cases.csv line 1: missing column cell"),
            ("b6", "samples.csv", "launch,cell\n1,x\n", "samples.csv line 1: missing column case"),
            ("b5", "samples.csv", "launch,cell,case\n1,x\n", "samples.csv line 2: 2 fields where the header has 3"),
        ):
            with self.subTest(name):
                directory = self.part(name, {(0, "x"): True})
                (directory / file).write_text(text)
                self.refused(pattern, directory)

    def test_a_cell_that_has_lost_samples(self) -> None:
        # Joined, nobody could tell it from a cell that was measured in fewer rounds.
        directory = self.part("p1", {(0, "x"): True})
        rows = [f"1,0,x,x/{variant},1,ok,2" for variant in "ab"]
        (directory / "cases.csv").write_text("\n".join([",".join([*_CASES, "rounds"]), *rows]) + "\n")
        self.assertEqual(self.merge(directory)[0], 0)
        (self.top / "out" / "manifest.json").unlink()
        lines = (directory / "samples.csv").read_text().splitlines()
        (directory / "samples.csv").write_text("\n".join(lines[:2] + lines[3:]) + "\n")
        self.refused("samples.csv: 1 rounds of case 'x/a', launch 0, which has 2 by cases.csv", directory)

    def test_output_among_the_inputs_and_unwritable_output(self) -> None:
        (self.top / "out").mkdir()
        self.refused("is one of the directories", self.top / "out")
        (self.top / "out").rmdir()
        (self.top / "out").write_text("a file")
        status, errors = self.merge(self.part("p1", {(0, "x"): True}))
        self.assertEqual(status, 2)
        self.assertIn("cannot be written", errors)


if __name__ == "__main__":
    unittest.main()
