"""./check: which steps run, in which order, and what it says; all that the steps run is stood in for."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

_ROOT = pathlib.Path.cwd()  # of the runfiles
# Writes down how it was called; fails if its call holds what FAILING says.
_STAND_IN = """\
#!/bin/bash
call="${0##*/top/} $*"
echo "$call" >>"$CALLS"
case $call in *query*) echo //a:full_test ;; *info*) echo /nowhere ;; esac
[ -z "$FAILING" ] || [[ $call != *"$FAILING"* ]]
"""
_STAND_INS = (
    "bin/bazel", "tools/setup", "tools/check_mpich", "tools/fuzz", "tools/lint/run", "tools/lint/tidy", "tools/mutations/run",
    "tools/check_tsan", "tools/coverage",
)  # fmt: skip
_QUICK = ["lint", "tests", "clang-build", "fuzz"]
_FULL = ["lint", "tests", "fuzz", "full-tests", "mutations", "tidy", "mpich", "clang", "asan", "tsan", "coverage", "long-fuzz"]


class CheckTest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="check"))
        self.addCleanup(shutil.rmtree, scratch)
        self.top = scratch / "top"
        for stand_in in _STAND_INS:
            path = self.top / stand_in
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_STAND_IN, encoding="utf-8")
            path.chmod(0o755)
        shutil.copy(_ROOT / "check", self.top)
        self.calls = scratch / "calls"

    def check(self, *arguments: str, failing: str = "") -> tuple[int, list[str], list[str]]:
        """Exit status, lines printed, calls made."""
        self.calls.write_text("", encoding="utf-8")
        path = f"{self.top}/bin:{os.environ.get('PATH', '/usr/bin:/bin')}"
        done = subprocess.run(
            [str(self.top / "check"), *arguments],
            env=os.environ | {"PATH": path, "CALLS": str(self.calls), "FAILING": failing},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.splitlines(), self.calls.read_text(encoding="utf-8").splitlines()

    @staticmethod
    def begun(lines: list[str]) -> list[str]:
        """The steps, from the lines that announce them."""
        return [line.split(":")[0].removeprefix("== ") for line in lines if line.startswith("== ") and ": " in line]

    def assert_refused(self, complaint: str, *arguments: str) -> None:
        """In one line, with nothing run."""
        status, lines, calls = self.check(*arguments)
        self.assertEqual((status, len(lines), calls), (2, 1, []), lines)
        self.assertIn(complaint, lines[0])

    def test_quick(self) -> None:
        status, lines, calls = self.check()
        self.assertEqual((status, lines[-1]), (0, f"{len(_QUICK)} passed, 0 failed"))
        self.assertEqual(self.begun(lines), _QUICK)
        self.assertEqual(calls[:2], ["tools/setup build test", "tools/lint/run "])
        self.assertNotIn("full_test", "".join(calls))

    def test_full(self) -> None:
        status, lines, calls = self.check("--full", "--no-install")
        self.assertEqual((status, lines[-1]), (0, f"{len(_FULL)} passed, 0 failed"))
        self.assertEqual(self.begun(lines), _FULL)
        self.assertEqual(calls[0], "tools/setup --no-install build test full")
        self.assertTrue(any(call.endswith("test --config=strict --color=no --curses=no --noshow_progress --keep_going //a:full_test") for call in calls), calls)
        for step in _FULL:
            self.assertRegex("\n".join(lines), rf"(?m)^== {step} passed in \d+ s$")
        self.assertRegex(lines[-2], r"^\d+ s in all$")

    def test_from(self) -> None:
        status, lines, calls = self.check("--full", "--from", "mutations")
        rest = _FULL[_FULL.index("mutations") :]
        self.assertEqual((status, lines[-1], self.begun(lines)), (0, f"{len(rest)} passed, 0 failed", rest))
        self.assertNotIn("tools/lint/run ", calls)
        self.assertIn("tools/mutations/run ", calls)

    def test_only(self) -> None:
        status, lines, calls = self.check("--full", "--only", "tidy")
        self.assertEqual((status, lines[-1], self.begun(lines)), (0, "1 passed, 0 failed", ["tidy"]))
        self.assertEqual(calls, ["tools/setup build test full", "tools/lint/tidy "])
        self.assertEqual(self.check("--full", "--only", "tidy", "--list")[1][0].split()[0], "tidy")

    def test_failures_are_counted_and_named(self) -> None:
        status, lines, _ = self.check("--full", failing="lint/run")
        self.assertEqual((status, lines[-1], lines[-3]), (1, f"{len(_FULL) - 1} passed, 1 failed", "failed: lint"))
        # Also what lies behind a query, and behind the shutdown of clang's server.
        self.assertEqual(self.check("--full", failing="query")[1][-3], "failed: full-tests")
        self.assertEqual(self.check("--full", failing="symlink_prefix")[1][-3], "failed: clang")
        self.assertEqual(self.check("--full", failing="--config=asan")[1][-3], "failed: asan")
        self.assertEqual(self.check(failing="symlink_prefix")[1][-3], "failed: clang-build")

    def test_full_keeps_what_each_step_said(self) -> None:
        log = self.top / "bazel-testlogs/src/experiment/testing/crash_test_full/test.log"
        log.parent.mkdir(parents=True)
        log.write_text("500 aimed faults over 58 calls x 4 kinds\nnoise\n0 problems\n", encoding="utf-8")
        self.check("--full", failing="lint/run")
        kept = {path.stem: path.read_text(encoding="utf-8") for path in (self.top / "results/reliability/last").iterdir()}
        self.assertEqual(sorted(kept), sorted(_FULL))
        self.assertRegex(kept["lint"], r"^revision \S+\nbegun [-0-9]+T[:0-9]+Z\n== lint: .*\n== FAILED: lint, after \d+ s\n$")
        self.assertRegex(kept["asan"], r"\n== asan passed in \d+ s\n$")
        self.assertIn("crash_test_full: 500 aimed faults over 58 calls x 4 kinds\ncrash_test_full: 0 problems\n", kept["full-tests"])
        shutil.rmtree(self.top / "results")
        self.check()
        self.assertFalse((self.top / "results").exists())

    def test_incomplete_set_up_runs_nothing(self) -> None:
        status, _, calls = self.check(failing="tools/setup")
        self.assertEqual((status, calls), (1, ["tools/setup build test"]))

    def test_list(self) -> None:
        status, lines, calls = self.check("--full", "--list")
        self.assertEqual((status, [line.split()[0] for line in lines], calls), (0, _FULL, []))
        self.assertEqual([line.split()[0] for line in self.check("--list")[1]], _QUICK)

    def test_refusals(self) -> None:
        self.assert_refused("no step 'nonsense' here; there are: lint tests fuzz", "--full", "--from", "nonsense")
        self.assert_refused("no step 'asan' here; there are: lint tests clang-build", "--from", "asan")
        self.assert_refused("--from needs a step", "--full", "--from")
        self.assert_refused("--only needs a step", "--full", "--only")
        self.assert_refused("no step 'asan' here; there are: lint tests clang-build", "--only", "asan")
        self.assert_refused("--from and --only exclude each other", "--full", "--from", "tidy", "--only", "tidy")
        self.assert_refused("unknown argument '--fulll'", "--fulll")


if __name__ == "__main__":
    unittest.main()
