"""analysis/reliability.py and its page: what ./check --full said becomes what docs/reliability.md says."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis import reliability
from analysis.page import reliability as page
from analysis.page.records import Results
from analysis.read.check_record import read_record
from analysis.read.csv_table import UnusableInput

TOP = Path(__file__).parent.parent
REVISION = "0123456789" * 4


def step(name: str, said: str, ended: str, revision: str = REVISION, begun: str = "2026-01-02T03:04:05Z") -> str:
    return f"revision {revision}\nbegun {begun}\n== {name}: what it does\n{said}== {ended} s\n"


CRASHES = """\
//src:a_test    PASSED in 3.0s
//src:b_test    (cached) PASSED in 1.0s
//src:c_test    FAILED in 2 out of 2 in 9.1s
//src:d_test    TIMEOUT in 60.0s
crash_test_full: 500 aimed faults over 58 calls x 4 kinds
crash_test_full: 499 random kills
crash_test_full: 40 full disks
crash_test_full: 3 problems
"""
FUZZED = """\
plan_fuzz: FOUND src/fuzz/corpus/plan_fuzz/timeout-1 after 77 runs
plan_fuzz: SUMMARY: libFuzzer: timeout
config_fuzz: 290094 runs in 30 s, 1065 new inputs, nothing found
"""
COVERED = """\
below: src/base/error.cc 1 of 4 lines
950 of 1000 lines covered (95.0 %)
"""


class ReliabilityTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)
        self.last = self.top / "last"
        self.last.mkdir()
        self.record = self.top / "results/reliability/reference/record.json"
        (self.top / "src/fuzz").mkdir(parents=True)
        shutil.copy(TOP / page.FINDINGS, self.top / page.FINDINGS)
        self.keep("full-tests", step("full-tests", CRASHES, "FAILED: full-tests, after 70"))
        self.keep("fuzz", step("fuzz", FUZZED, "FAILED: fuzz, after 61", begun="2026-01-02T03:00:00Z"))
        self.keep("coverage", step("coverage", COVERED, "coverage passed in 600"))
        self.keep("mutations", step("mutations", "a: noticed\n51 mutations, 2 problems\n", "mutations passed in 9"))

    def keep(self, name: str, text: str) -> None:
        (self.last / f"{name}.txt").write_text(text, encoding="utf-8")

    def run_command(self) -> tuple[int, str]:
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            status = reliability.main(["--from", str(self.last), "--output", str(self.record)])
        return status, errors.getvalue()

    def test_the_page_says_what_the_steps_said(self) -> None:
        self.assertEqual(self.run_command(), (0, ""))
        values = page.values(Results(self.top / "results"))
        self.assertEqual(
            values["reliability.outcome"],
            "The one on record is of revision `012345678`, begun on 2026-01-02, and took 12 min. Failed: fuzz, full-tests."
            " Not run yet: lint, tests, tidy, mpich, clang, asan, tsan, long-fuzz.",
        )
        names = ("aimed", "kills", "disks", "crash_problems", "mutations", "mutations_missed")
        self.assertEqual([values[f"reliability.{name}"] for name in names], ["500", "499", "40", "3", "51", "2"])
        self.assertIn("| full-tests | what it does | **failed** | 2 of 4 | 70 s | `012345678` |", values["reliability.steps_table"])
        self.assertIn("| coverage | what it does | passed |  | 10 min | `012345678` |", values["reliability.steps_table"])
        self.assertIn("| `plan_fuzz` | 77 | 0 | 1 |", values["reliability.fuzz_table"])
        self.assertIn("| `config_fuzz` | 290094 | 30 | 0 |", values["reliability.fuzz_table"])
        self.assertEqual(values["reliability.coverage"], "950 of 1000 lines (95.0 %)")
        self.assertIn("| `src/base/error.cc` | 1 | 4 |", values["reliability.below_table"])
        self.assertIn("endless_documents.yaml", values["reliability.findings_table"])

    def test_a_part_does_not_pass_for_the_whole(self) -> None:
        for name in reliability.steps_of_check():
            self.keep(name, step(name, "", f"{name} passed in 60"))
        self.assertEqual(self.run_command(), (0, ""))
        whole = page.values(Results(self.top / "results"))["reliability.outcome"]
        self.assertTrue(whole.endswith("took 12 min. Every step passed."), whole)
        (self.last / "tsan.txt").unlink()
        self.assertEqual(self.run_command(), (0, ""))
        part = page.values(Results(self.top / "results"))["reliability.outcome"]
        self.assertTrue(part.endswith("took 11 min. Every step of it passed. Not run yet: tsan."), part)

    def test_steps_of_several_revisions_say_which(self) -> None:
        self.keep("fuzz", step("fuzz", FUZZED, "fuzz passed in 61", revision="f" * 40, begun="2026-01-01T03:00:00Z"))
        self.assertEqual(self.run_command(), (0, ""))
        values = page.values(Results(self.top / "results"))
        self.assertIn("was run in parts, on 2 revisions (each row has its own), begun on 2026-01-01", values["reliability.outcome"])
        self.assertIn("| fuzz | what it does | passed |  | 61 s | `fffffffff` |", values["reliability.steps_table"])

    def test_short_and_long_fuzzing_add_up(self) -> None:
        long = "config_fuzz: 9 runs in 3600 s, 0 new inputs, nothing found\n"
        self.keep("long-fuzz", step("long-fuzz", long, "long-fuzz passed in 3601"))
        self.assertEqual(self.run_command(), (0, ""))
        self.assertIn("| `config_fuzz` | 290103 | 3630 | 0 |", page.values(Results(self.top / "results"))["reliability.fuzz_table"])

    def test_what_was_not_run_is_not_a_number(self) -> None:
        for name in ("full-tests", "coverage", "mutations"):
            (self.last / f"{name}.txt").unlink()
        self.assertEqual(self.run_command(), (0, ""))
        values = page.values(Results(self.top / "results"))
        for name in ("aimed", "kills", "disks", "crash_problems", "mutations", "mutations_missed", "coverage"):
            self.assertEqual(values[f"reliability.{name}"], "not recorded")

    def test_without_a_record_the_page_says_so(self) -> None:
        values = page.values(Results(self.top / "results"))
        self.assertEqual(values["reliability.outcome"], "No full run is on record yet.")
        self.assertEqual(values["reliability.aimed"], "not recorded")

    def test_every_finding_is_an_input_of_the_corpus(self) -> None:
        for line in (TOP / page.FINDINGS).read_text(encoding="utf-8").splitlines()[1:]:
            target, name, _ = line.split(",", 2)
            self.assertTrue((TOP / "src/fuzz/corpus" / target / name).is_file(), line)

    def test_refusals(self) -> None:
        for name, text, complaint in (
            ("fuzz", step("fuzz", "", "fuzz passed in 1").replace(REVISION, REVISION + " changed"), "fuzz: run on a tree with"),
            ("fuzz", "revision x\n", "fuzz.txt: is not what ./check --full keeps"),
            ("fuzz", "", "fuzz.txt: is not what ./check --full keeps"),
            ("fuzz", step("fuzz", "", "fuzz passed in 1").rsplit("\n", 2)[0] + "\n", "has not ended; ./check --full --only fuzz"),
        ):
            with self.subTest(complaint):
                self.keep(name, text)
                status, errors = self.run_command()
                self.assertEqual((status, errors.count("\n")), (2, 1))
                self.assertIn(complaint, errors)
                self.assertFalse(self.record.exists())

    def test_a_record_of_another_form_is_refused(self) -> None:
        self.record.parent.mkdir(parents=True)
        contents: list[dict[str, Any]] = [{}, {"schema_version": 2, "steps": [{}]}, {"schema_version": 1, "steps": []},
                                          {"schema_version": 1, "steps": [{"a": 1}]}, {"schema_version": 1, "steps": [7]}]  # fmt: skip
        for content in contents:
            self.record.write_text(json.dumps({"not_run": [], **content}), encoding="utf-8")
            with self.assertRaises(UnusableInput):
                read_record(self.record)


if __name__ == "__main__":
    unittest.main()
