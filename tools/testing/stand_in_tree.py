"""A tree in which everything that a script runs is stood in for by something that writes down how it was called."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest
from typing import Sequence

ROOT = pathlib.Path.cwd()  # of the runfiles

# For scripts that simulate (tools/simulation.sh): says what is asked of it, and leaves a manifest in its --output. FAILING is a
# program, or a file that a simulation is given. Of the simulations of the maps (--join-heads), TOGETHER are to run at once; with
# PIDS they do not end.
SIMULATION = """\
#!/bin/bash
name=${0##*/}
echo "$name $*" >>"$CALLS"
if [ "$name" = "${FAILING:-}" ]; then exit 1; fi
case $name in
  mpirun | cluster) echo "$PROBE" ;;
  write_calibration) printf '# a CPU\\nwork,...\\nfull,1\\ncopy,2\\nproduct,3\\n' ;;
  simulate_attention)
    case "$*" in *"/${FAILING:- }"*) exit 1 ;; *--join-heads*) ;; *) TOGETHER= PIDS= ;; esac
    if [ -n "${PIDS:-}" ]; then echo $$ >>"$PIDS" && exec sleep 300; fi
    for _ in {1..600}; do [ "$(grep -c -e --join-heads "$CALLS")" -ge "${TOGETHER:-0}" ] && break || sleep 0.1; done
    if [ "$(grep -c -e --join-heads "$CALLS")" -lt "${TOGETHER:-0}" ]; then exit 1; fi
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
        process = self.start(script, *arguments, **environment)
        output, _ = process.communicate()
        return process.returncode, output, self.calls.read_text(encoding="utf-8").splitlines()

    def start(self, script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """To be waited for by the caller."""
        self.calls.write_text("", encoding="utf-8")
        places = {"CALLS": str(self.calls), "PYTHON": str(self.top / "python"), "PATH": f"{self.top / 'bin'}:{os.environ['PATH']}"}
        return subprocess.Popen(
            [str(self.top / script), *arguments], env=os.environ | places | environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
