"""tools/compare_revisions from a git repository to the verdict; Bazel, mpirun and the binary are stood in for.

The stand-in binary takes the nanoseconds per token that the file `speed` of its tree says, and fails at the variants that the
file `fails` names.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

_ROOT = Path.cwd()  # of the runfiles

_BAZEL = """\
#!/bin/bash
set -euo pipefail
echo "$PWD $*" >>"$CALLS"
output= links= command=
for argument in "$@"; do
  case $argument in
    --output_base=*) output=${argument#*=} ;;
    --symlink_prefix=*) links=${argument#*=} ;;
    build | shutdown) command=$argument ;;
  esac
done
[ "$command" = build ] || exit 0
if [ -f syntax_error ]; then echo "INFO: so far so good"; echo "a.cc:1: error: expected ;"; exit 1; fi
mkdir -p "$output/bin/src/locked"
[ -e "${links}bin" ] || ln -s "$output/bin" "${links}bin"
cp -f "$BINARY" "$output/bin/src/benchmark_qwen3"
sed -i "s|SPEED|$(cat speed)|; s|FAILS|$(cat fails 2>/dev/null || true)|g" "$output/bin/src/benchmark_qwen3"
chmod 555 "$output/bin/src/benchmark_qwen3" "$output/bin/src/locked"
"""

_BINARY = """\
#!/bin/bash
if [ "$1" = --list ]; then printf 'ISAs of this machine: scalar sse4 avx2\\n\\nModels: ...\\n'; exit; fi
mkdir "$4"
exec >"$4/samples.csv" 3>"$4/cases.csv"
echo variant,round,time_s,status
echo variant,status,message >&3
while read -r key value; do
  value=${value#[}
  case $key in
    variant:) IFS='"' read -ra quoted <<<"$value" ;;
    seq_len:) tokens=${value%]} ;;
  esac
done <"$2"
for variant in "${quoted[@]}"; do
  [[ $variant == *+* ]] || continue
  if [ -n "FAILS" ] && [[ $variant == *FAILS* ]]; then
    echo "\\"$variant\\",failed,wrong result" >&3
    continue
  fi
  echo "\\"$variant\\",0,$((tokens * SPEED))e-9,ok"
  echo "\\"$variant\\",ok," >&3
done
"""

_MPIRUN = """\
#!/bin/bash
while [[ $1 == -* ]]; do shift 2; done
exec "$@"
"""


class CommandTest(unittest.TestCase):
    def setUp(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="rev"))
        self.addCleanup(self.remove)
        self.tree, self.tmp = self.top / "tree", self.top / "tmp"
        for directory in ("bin", "tree/tools", "tree/analysis/show", "tmp"):
            (self.top / directory).mkdir(parents=True)
        for name, text in (("bin/bazel", _BAZEL), ("bin/mpirun", _MPIRUN), ("binary", _BINARY)):
            (self.top / name).write_text(text)
            (self.top / name).chmod(0o755)
        shutil.copy(_ROOT / "tools/compare_revisions", self.tree / "tools")
        shutil.copytree(_ROOT / "tools/revisions", self.tree / "tools/revisions", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(_ROOT / "analysis/show/text_table.py", self.tree / "analysis/show")
        self.environment = {
            "PATH": f"{self.top}/bin:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "TMPDIR": str(self.tmp),
            "HOME": str(self.top),
            "CALLS": str(self.top / "calls"),
            "BINARY": str(self.top / "binary"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.git("init", "--quiet")
        (self.tree / ".gitignore").write_text("/user.bazelrc\n")
        self.commit(speed="1000", tag="first")

    def remove(self) -> None:
        for locked in self.top.rglob("locked"):
            locked.chmod(0o755)
        shutil.rmtree(self.top)

    def git(self, *arguments: str) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", *names, *arguments], cwd=self.tree, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def commit(self, speed: str, tag: str) -> None:
        (self.tree / "speed").write_text(speed)
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", tag)
        self.git("tag", tag)

    def compare(self, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = self.environment | ({} if path is None else {"PATH": path})
        return subprocess.run(
            ["/usr/bin/python3", str(self.tree / "tools/compare_revisions"), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
        )

    def assert_problem(self, done: subprocess.CompletedProcess[str], *parts: str) -> None:
        """One line, exit 2."""
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        lines = [line for line in done.stderr.splitlines() if not line.startswith(("note:", "building "))]
        self.assertEqual(len(lines), 1, done.stderr)
        for part in parts:
            self.assertIn(part, lines[0])
        self.assert_clean()

    def assert_clean(self) -> None:
        left = [path.name for path in self.tmp.iterdir() if not path.name.endswith(".log")]
        self.assertEqual(left, [], "left in the temporary directory")
        self.assertEqual(self.git("worktree", "list").count("\n"), 1)

    def calls(self) -> list[str]:
        return (self.top / "calls").read_text().splitlines()

    def test_equal(self) -> None:
        table = self.top / "table.csv"
        done = self.compare("first", "--quick", "--rounds", "3", "--csv", str(table))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("new: the working tree; old: first (", done.stdout)
        self.assertIn("holds: the geometric mean is 1.000", done.stdout)
        self.assertNotIn("avx512", done.stdout, "an ISA that the binary does not name")
        with open(table, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(rows[0]["case"], "512 full avx2 headwise(none)+online_softmax")
        self.assertEqual((rows[0]["group"], rows[0]["visits"], rows[0]["ratio"]), ("prefill", "6", "1"))
        self.assertEqual((rows[-1]["group"], rows[-1]["ratio"]), ("all", "1"))
        self.assert_clean()

    def test_slower(self) -> None:
        (self.tree / "speed").write_text("1030")  # in the working tree alone
        done = self.compare("first", "--groups", "prefill,ring", "--quick", "--rounds", "3", "--markdown")
        self.assertEqual(done.returncode, 1, done.stderr)
        row = "| 512 full avx2 headwise(none)+standard | 0.512 | 0.5274 | 1.030 | 1.030 to 1.030 | 6 | SLOWER |"
        self.assertIn(row, done.stdout)
        self.assertIn("geometric mean over all cases is 1.0300", done.stdout)
        self.assertNotIn("decode", done.stdout)
        self.assert_clean()

    def test_two_revisions(self) -> None:
        self.commit(speed="800", tag="second")
        (self.tree / "speed").write_text("77000")
        done = self.compare("first", "--new", "second", "--groups", "model", "--rounds", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"0\.800 +0\.800 to 0\.800")
        done = self.compare("second", "--new", "first", "--groups", "model", "--rounds", "3")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assert_clean()

    def test_a_case_that_fails(self) -> None:
        (self.tree / "fails").write_text("row_blocked")
        done = self.compare("first", "--groups", "prefill", "--quick", "--rounds", "3")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("prefill 512 causal avx2 headwise(none)+row_blocked fails: wrong result", done.stdout)
        self.git("add", ".")
        self.commit(speed="1000", tag="second")
        (self.tree / "fails").unlink()
        done = self.compare("second", "--groups", "prefill", "--quick", "--rounds", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("left out: prefill 512 causal avx2 headwise(none)+row_blocked", done.stdout)

    def test_directory_is_kept_and_used_again(self) -> None:
        self.commit(speed="1500", tag="second")
        (self.tree / "user.bazelrc").write_text("build --jobs=2\nbuild --disk_cache=cache\n")
        kept = self.top / "kept"
        options = ("--groups", "model", "--rounds", "3", "--directory", str(kept))
        self.assertEqual(self.compare("first", *options).returncode, 1)
        self.assertEqual((kept / "old_tree/user.bazelrc").read_text(), (self.tree / "user.bazelrc").read_text())
        builds = [call for call in self.calls() if " build " in call]
        self.assertEqual([call.split()[0] for call in builds], [str(kept / "old_tree"), str(self.tree)])
        for call, side in zip(builds, ("old", "new")):
            self.assertIn(f"--disk_cache={self.tree}/cache", call)
            self.assertIn(f"--output_base={kept}/{side}_output", call)
        done = self.compare("second", *options)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        (kept / "old_tree/speed").write_text("3000")
        done = self.compare("first", *options)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("old_tree has changes of its own", done.stderr)
        shutil.rmtree(kept / "old_tree")
        self.assertEqual(self.compare("first", *options).returncode, 1)
        shutil.rmtree(kept / "old_tree")
        (kept / "old_tree").mkdir()
        done = self.compare("first", *options)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("is no worktree of this repository", done.stderr)

    def test_bad_usage(self) -> None:
        self.assert_problem(self.compare(), "REV")
        self.assert_problem(self.compare("nowhere"), "unknown revision 'nowhere'")
        self.assert_problem(self.compare("--upload-pack=x"), "REV")
        self.assert_problem(self.compare("first", "--new", "nowhere"), "unknown revision 'nowhere'")
        self.assert_problem(self.compare("first", "--groups", "prefil"), "'prefil'", "prefill, decode")
        self.assert_problem(self.compare("first", "--rounds", "2"), "whole number from 3")
        self.assert_problem(self.compare("first", "--minutes", "nan"), "number of minutes")
        self.assert_problem(self.compare("first", "--csv", "/nowhere/x.csv"), "cannot be written")
        self.assert_problem(self.compare("first", "--directory", str(self.tree / "d")), "outside of the tree")

    def test_what_is_missing(self) -> None:
        (self.top / "few").mkdir()
        git = shutil.which("git")
        assert git is not None
        (self.top / "few/git").symlink_to(git)
        self.assert_problem(self.compare("first", path=str(self.top / "few")), "no mpirun on PATH", "openmpi-bin")
        shutil.copy(self.top / "bin/mpirun", self.top / "few")
        self.assert_problem(self.compare("first", path=str(self.top / "few")), "no bazel on PATH")
        shutil.rmtree(self.tree / ".git")
        done = self.compare("first")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("not a git working tree", done.stderr)

    def test_build_fails(self) -> None:
        (self.tree / "syntax_error").write_text("")
        done = self.compare("first")
        self.assert_problem(done, "the build of the working tree failed: a.cc:1: error: expected ;", ".log)")
        self.assertEqual(self.calls()[-1].split()[-1], "shutdown")

    def test_interrupted(self) -> None:
        process = subprocess.Popen(
            ["/usr/bin/python3", str(self.tree / "tools/compare_revisions"), "first", "--minutes", "100"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if "round 1" in line:
                break
        process.terminate()
        printed, complained = process.communicate(timeout=100)
        self.assertEqual((process.returncode, printed), (130, ""))
        self.assertIn("interrupted", complained)
        self.assert_clean()


if __name__ == "__main__":
    unittest.main()
