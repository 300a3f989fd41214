"""The messages of every exchange, in simulation and in truth, are those written down: bytes, order, peers.

After a change of an exchange that is meant, read what it changed and commit it:

    bazel run //src/simulate/testing:message_order_test -- --write
"""

from __future__ import annotations

import difflib
import subprocess
import sys
import unittest
from pathlib import Path

from src.mpi.testing.mpi_job import MpiScratch, launcher, root_allowed

HERE = Path("src/simulate")
WRITTEN = HERE / "testing/message_order.txt"
RANKS = (2, 3, 4, 8)


def simulated(ranks: int) -> str:
    """Messages of a simulated job."""
    program = HERE / "testing/message_order_simulated"
    inputs = [HERE / "testing/platform.yaml", HERE / "testing/calibration.csv"]
    done = subprocess.run([str(program), str(ranks), *map(str, inputs)], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"{ranks} simulated ranks: status {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout


def real(ranks: int) -> str:
    """Messages of a job of the machine's MPI."""
    with MpiScratch("order.") as scratch:
        command = [*launcher(ranks), str(HERE / "testing/message_order_real")]
        environment = scratch.environment | root_allowed()
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200, env=environment)
    assert done.returncode == 0, f"{ranks} ranks: status {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout


def difference(expected: str, found: str) -> str:
    """The first lines that differ, each with the case it belongs to; empty if none."""
    lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), "written down", "found", lineterm="", n=0)
    return "\n".join(list(lines)[:20])


class MessageOrderTest(unittest.TestCase):
    """Real and simulated runs against the file."""

    def written(self, ranks: int) -> str:
        """The part of the file for so many ranks."""
        lines: list[str] = []
        is_wanted = False
        for line in WRITTEN.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.startswith("ranks "):
                is_wanted = line.split()[1] == str(ranks)
            if is_wanted:
                lines.append(line)
        self.assertGreater(len(lines), 50)
        return "".join(lines)

    def test_simulated_messages(self) -> None:
        """Each exchange of the table, with odd shapes, under every contract."""
        for ranks in RANKS:
            self.assertEqual(difference(self.written(ranks), simulated(ranks)), "")

    def test_real_messages(self) -> None:
        """The same cases."""
        for ranks in RANKS:
            self.assertEqual(difference(self.written(ranks), real(ranks)), "")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        WRITTEN.write_text("".join(real(ranks) for ranks in RANKS), encoding="utf-8")
    else:
        unittest.main()
