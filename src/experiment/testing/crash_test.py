"""Runs that break off at every call that changes the disk, and at random moments; gone on with, nothing is lost.

    crash_test.py BINARY FAULTY_DISK [--aimed N] [--random N] [--disks N] [--seed S]

A run of some cells is broken off: by a disk that takes no more, by a write that is cut, by death before or after the call
(faulty_disk.cc), by SIGKILL at a random moment, or on a file system that is full at some size and then made larger. Then
`--resume` (or, where nothing had been begun, `--output`) goes on, without faults. Afterwards: exit status 0, every case once,
with as many samples as it says, every row's check right, and the analysis reads the run.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from analysis.read.read_run import read_run
from src.mpi.testing.mpi_job import root_allowed

_EXPERIMENT = """\
name: crash
model: {heads: 1, kv_heads: 1, head_dim: 16}
grid:
  variant: [sequence+online_softmax, headwise+standard]
  seq_len: [8, 9, 10]
measure: {rounds: 2, warmup: 0, order_seed: 1}
accuracy: {reference_rows: 2}
"""
_KINDS = ("fail", "tear", "die", "die_after")
_CASES = 6
# Statuses a broken-off run may end with: 3 is a disk that took no more; a process that was killed has none.
_BROKEN = {"fail": {3, 2}, "tear": {-signal.SIGKILL}, "die": {-signal.SIGKILL}, "die_after": {-signal.SIGKILL}}


class Harness:
    """One scratch directory, one binary."""

    def __init__(self, binary: Path, faulty_disk: Path) -> None:
        self.binary, self.faulty_disk = binary, faulty_disk
        self.top = Path(tempfile.mkdtemp(prefix="crash", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
        self.experiment = self.top / "crash.yaml"
        self.experiment.write_text(_EXPERIMENT)
        self.problems: list[str] = []
        self.environment = os.environ | root_allowed()

    def command(self, mode: str, run: Path) -> list[str]:
        """A start of the benchmark, alone."""
        return [str(self.binary), "--experiment", str(self.experiment), mode, str(run)]

    def start(self, run: Path, fault: dict[str, str] | None = None) -> int:
        """A fresh run, perhaps with a fault; its exit status."""
        environment = self.environment
        if fault is not None:
            environment = environment | fault | {"LD_PRELOAD": str(self.faulty_disk), "FAULTY_DISK_DIRECTORY": str(run)}
        return self._run(self.command("--output", run), environment)[0]

    def _run(self, command: list[str], environment: dict[str, str]) -> tuple[int, str]:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stderr

    def go_on(self, run: Path, where: str) -> None:
        """Resumes without faults and looks at what is there."""
        status, said = self._run(self.command("--resume", run), self.environment)
        if status == 2 and "no run to resume" in said:
            status, said = self._run(self.command("--output", run), self.environment)
        if status != 0:
            self.problems.append(f"{where}: going on ended with {status}: {said.strip()[-300:]}")
            return
        self.check(run, where)

    def check(self, run: Path, where: str) -> None:
        """Every case once, with its samples; every row whole; the analysis reads it."""
        for name in ("samples.csv", "cases.csv"):
            lines = (run / name).read_bytes().split(b"\n")
            if lines[-1] != b"":
                self.problems.append(f"{where}: {name} ends in the middle of a line")
            for line in lines[1:-1]:
                before, _, check = line.rpartition(b",")
                if hashlib.sha256(before + b",").hexdigest()[:8].encode() != check:
                    self.problems.append(f"{where}: {name} holds a row whose check is wrong: {line[:80]!r}")
        with open(run / "cases.csv", encoding="utf-8", newline="") as file:
            cases = list(csv.DictReader(file))
        with open(run / "samples.csv", encoding="utf-8", newline="") as file:
            samples = [(row["launch"], row["case"]) for row in csv.DictReader(file) if int(row["round"]) >= 0]
        if len(cases) != _CASES or len({row["case"] for row in cases}) != _CASES:
            self.problems.append(f"{where}: {len(cases)} cases, {_CASES} expected")
        for row in cases:
            if samples.count((row["launch"], row["case"])) != int(row["rounds"]):
                self.problems.append(f"{where}: {row['case']} has other samples than it says")
        try:
            read_run(run)
        except Exception as problem:  # whatever it is, it is a finding
            self.problems.append(f"{where}: the analysis refuses it: {problem}")

    def aimed(self, count: int, generator: random.Random) -> None:
        """Faults at calls spread over the run, each kind in turn."""
        counter = self.top / "count"
        run = self.top / "run"
        if self.start(run, {"FAULTY_DISK_COUNT": str(counter)}) != 0:
            raise SystemExit("crash_test: the run without faults fails")
        calls = int(counter.read_text())
        places = [(at, kind) for at in range(1, calls + 1) for kind in _KINDS]
        generator.shuffle(places)
        for at, kind in places[:count]:
            shutil.rmtree(run, ignore_errors=True)
            status = self.start(run, {"FAULTY_DISK_AT": str(at), "FAULTY_DISK_KIND": kind})
            where = f"{kind} at call {at} of {calls}"
            if status not in _BROKEN[kind]:
                self.problems.append(f"{where}: ended with {status}")
            self.go_on(run, where)
        print(f"{min(count, len(places))} aimed faults over {calls} calls x {len(_KINDS)} kinds")

    def random_kills(self, count: int, generator: random.Random) -> None:
        """SIGKILL at a random moment of the run, sometimes of the run that goes on as well."""
        run = self.top / "run"
        begun = time.monotonic()
        shutil.rmtree(run, ignore_errors=True)
        self.start(run)
        duration = time.monotonic() - begun
        for number in range(count):
            shutil.rmtree(run, ignore_errors=True)
            mode = "--output"
            for _ in range(generator.choice((1, 1, 2))):
                with subprocess.Popen(
                    self.command(mode, run), env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                ) as process:
                    time.sleep(generator.uniform(0, duration))
                    process.kill()
                mode = "--resume" if (run / "manifest.json").exists() else "--output"
            self.go_on(run, f"random kill {number}")
        print(f"{count} random kills")

    def disks(self, count: int) -> None:
        """File systems that are full at some size and made larger; needs root."""
        mount = self.top / "disk"
        mount.mkdir()
        for number in range(count):
            size = 4 + 4 * number
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(mount)], check=True)
            try:
                status = self.start(mount / "run")
                if status not in (0, 2, 3):
                    self.problems.append(f"disk of {size} KiB: ended with {status}")
                subprocess.run(["mount", "-o", "remount,size=16m", str(mount)], check=True)
                self.go_on(mount / "run", f"disk of {size} KiB")
            finally:
                subprocess.run(["umount", "-l", str(mount)], check=True)
        print(f"{count} full disks")


def main(arguments: list[str]) -> int:
    """Exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("binary", type=Path)
    parser.add_argument("faulty_disk", type=Path)
    parser.add_argument("--aimed", type=int, default=20)
    parser.add_argument("--random", type=int, default=6)
    parser.add_argument("--disks", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    harness = Harness(options.binary.resolve(), options.faulty_disk.resolve())
    generator = random.Random(options.seed)
    try:
        harness.aimed(options.aimed, generator)
        harness.random_kills(options.random, generator)
        if os.getuid() == 0 and options.disks:
            harness.disks(options.disks)
    finally:
        shutil.rmtree(harness.top, ignore_errors=True)
    for problem in harness.problems:
        print(problem, file=sys.stderr)
    print(f"{len(harness.problems)} problems")
    return 1 if harness.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
