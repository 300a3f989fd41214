"""Checks the house rules of analysis/: imports only go down, test helpers stay in tests, and CSV is read in one place.

The rooms stand below in the order of the flow, lowest first. A module may import its own room and those before it; a
command, at the top, may import any room but no other command. Tests may import what they like.
"""

from __future__ import annotations

import ast
import unittest
from pathlib import Path

ANALYSIS = Path(__file__).parent
ROOMS = ("read", "estimate", "judge", "show", "page", "html_report")
TESTING = "testing"
COMMANDS = ""  # the room of the scripts at the top
CSV_READER = "read/csv_table.py"


def imported(tree: ast.Module) -> list[tuple[int, str]]:
    """(line, module) of every import of this package, as a path from analysis/: 'read/csv_table', or 'merge'."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from analysis.read import csv_table` names a module; `from analysis.read.csv_table import Row` does not.
            whole = len(node.module.split(".")) < 3
            found += [(node.lineno, f"{node.module}.{alias.name}" if whole else node.module) for alias in node.names]
    return [(line, "/".join(name.split(".")[1:3])) for line, name in found if name.split(".")[0] == "analysis"]


def room_of(path: str) -> str:
    return path.split("/")[0] if "/" in path else COMMANDS


def why_not(importer: str, module: str) -> str | None:
    """What is wrong with importing `module` in `importer` (both paths from analysis/); None if nothing is."""
    own, other = room_of(importer), module.split("/")[0]
    if other == TESTING:
        return None if own == TESTING else f"{importer} is no test and may not import {module}"
    if other not in ROOMS:
        return f"{other} is no room; what others need of a command belongs into one"
    if own in ROOMS and ROOMS.index(other) > ROOMS.index(own):
        return f"{own} may not import {other}, which stands above it"
    return None


def reads_csv(tree: ast.Module) -> list[int]:
    """Lines that read CSV with the library instead of read/csv_table.py."""
    names = {"reader", "DictReader", "read_csv", "genfromtxt", "loadtxt"}
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in names]


def violations(sources: dict[str, str]) -> list[str]:
    """A line for each broken rule; sources by path from analysis/."""
    found: list[str] = []
    for path, text in sorted(sources.items()):
        if path.endswith("_test.py"):
            continue
        if room_of(path) not in (*ROOMS, TESTING, COMMANDS):
            found.append(f"{path}: {room_of(path)} is a room this rule does not know")
            continue
        tree = ast.parse(text)
        wrong = [(line, why_not(path, module)) for line, module in imported(tree)]
        found += [f"{path}:{line}: {problem}" for line, problem in wrong if problem]
        if path != CSV_READER:
            found += [f"{path}:{line}: reads CSV by itself; {CSV_READER} does that" for line in reads_csv(tree)]
    return found


class ImportsGoDownTest(unittest.TestCase):
    def test_the_house_is_in_order(self) -> None:
        paths = [path for path in ANALYSIS.rglob("*.py")]
        sources = {path.relative_to(ANALYSIS).as_posix(): path.read_text(encoding="utf-8") for path in paths}
        sources = {path: text for path, text in sources.items() if not path.endswith("__init__.py")}
        for room in (*ROOMS, TESTING):
            self.assertTrue(any(room_of(path) == room for path in sources), room)
        self.assertEqual(violations(sources), [])

    def test_broken_rules_are_seen(self) -> None:
        for path, text, problem in (
            ("read/a.py", "from analysis.judge import verdicts", "read may not import judge"),
            ("read/a.py", "from analysis.judge.verdicts import Verdict", "read may not import judge"),
            ("judge/a.py", "import analysis.show.text_table", "judge may not import show"),
            ("show/a.py", "from analysis.merge import main", "merge is no room"),
            ("show/a.py", "from analysis import merge", "merge is no room"),
            ("merge.py", "from analysis import figures", "figures is no room"),
            ("merge.py", "from analysis.testing import synthetic_run", "may not import testing/synthetic_run"),
            ("attic/a.py", "", "attic is a room this rule does not know"),
            ("show/a.py", "import csv\ncsv.DictReader([])", "reads CSV by itself"),
        ):
            with self.subTest(text):
                (line,) = violations({path: text})
                self.assertIn(problem, line)

    def test_what_is_allowed(self) -> None:
        for path, text in (
            ("show/a.py", "from analysis.read import csv_table"),
            ("judge/a.py", "from analysis.judge.claims import Claim"),
            ("merge.py", "from analysis.show.text_table import print_quietly"),
            ("testing/a.py", "from analysis.testing import noise_model"),
            ("read/a_test.py", "from analysis.judge import verdicts"),
            ("read/csv_table.py", "import csv\ncsv.reader([])"),
        ):
            with self.subTest(text):
                self.assertEqual(violations({path: text}), [])


if __name__ == "__main__":
    unittest.main()
