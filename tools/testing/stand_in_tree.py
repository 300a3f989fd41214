"""A tree in which everything that a script runs is stood in for by something that writes down how it was called."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
from typing import Sequence

ROOT = pathlib.Path.cwd()  # of the runfiles

# For scripts that simulate (tools/simulation.sh): says what is asked of it, and leaves a manifest in its --output.
SIMULATION = """\
#!/bin/bash
name=${0##*/}
echo "$name $*" >>"$CALLS"
if [ "$name" = "${FAILING:-}" ]; then exit 1; fi
case $name in
  mpirun | cluster) echo "$PROBE" ;;
  write_calibration) printf '# a CPU\\nwork,...\\nfull,1\\ncopy,2\\nproduct,3\\n' ;;
  simulate_attention)
    while [ $# -gt 0 ]; do
      if [ "$1" = --output ]; then mkdir -p "$2"; touch "$2/manifest.json"; fi
      shift
    done
    ;;
  python) echo "table of $*" ;;
esac
"""
SIMULATION_PROGRAMS = ("bin/bazel", "bazel-bin/src/simulate/simulate_attention", "bazel-bin/src/simulate/write_calibration", "bazel-bin/src/benchmark_qwen3")


class StandInTree(unittest.TestCase):
    """The script's own files are copied; `python` and what stands in `bin` come before the machine's."""

    top: pathlib.Path
    calls: pathlib.Path  # a line for each call; a stand-in finds it as $CALLS

    def plant(self, stand_in: str, programs: Sequence[str], copies: Sequence[str]) -> None:
        """Makes the tree, of paths below its top."""
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="stand-ins"))
        self.addCleanup(shutil.rmtree, scratch)
        self.top, self.calls = scratch / "top", scratch / "calls"
        for name in ("python", *programs):
            path = self.top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(stand_in, encoding="utf-8")
            path.chmod(0o755)
        for name in copies:
            (self.top / name).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, self.top / name)

    def call(self, script: str, *arguments: str, **environment: str) -> tuple[int, str, list[str]]:
        """Exit status, what was printed, calls."""
        self.calls.write_text("", encoding="utf-8")
        places = {"CALLS": str(self.calls), "PYTHON": str(self.top / "python"), "PATH": f"{self.top / 'bin'}:{os.environ['PATH']}"}
        done = subprocess.run(
            [str(self.top / script), *arguments], env=os.environ | places | environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, self.calls.read_text(encoding="utf-8").splitlines()
