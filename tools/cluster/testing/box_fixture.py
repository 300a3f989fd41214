"""What the tests of clusters share: running the command, looking for leftovers, and what to do without the rights."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

CLUSTER = pathlib.Path(__file__).resolve().parent.parent / "cluster"
NO_RIGHTS = 77


def processes_with(mark: str) -> list[int]:
    """Pids of the processes whose command line holds `mark`, in any pid namespace below ours."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass
    return [pid for pid in found if pid != os.getpid()]


def sleepers(seconds: str) -> list[int]:
    """Pids of the processes that are exactly `sleep SECONDS`, in any pid namespace below ours."""
    found = []
    for pid in processes_with(seconds):
        try:
            if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(pid)
        except OSError:
            pass
    return found


def wait_until(condition, what: str, seconds: float = 20.0) -> None:
    """Waits for condition() to be true; fails the test with `what` if it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.02)


class BoxTestCase(unittest.TestCase):
    """Gives every test a cluster root of its own and checks afterwards that nothing is left of its clusters."""

    def setUp(self) -> None:
        # Short: sockets below it may have paths of 107 characters.
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="box-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        trial = self.cluster("exec", "--nodes", "1", "--", "true")
        if trial.returncode == NO_RIGHTS:
            if os.environ.get("CI") == "true":
                self.fail(f"CI must be able to make clusters: {trial.stderr}")
            print(f"SKIPPED for want of rights: {self.id()}: {trial.stderr.strip()}", flush=True)
            self.skipTest(trial.stderr.strip())
        self.addCleanup(self.check_nothing_is_left)
        self.addCleanup(self.cluster, "down", "--all")

    def check_nothing_is_left(self) -> None:
        """No process that belongs to a cluster of this test, and no file."""
        wait_until(lambda: not processes_with(str(self.root)), f"no process of {self.root} is left")
        wait_until(lambda: not list(self.root.iterdir()), f"{self.root} is empty")

    def environment(self) -> dict[str, str]:
        """The environment of the commands under test."""
        return os.environ | {"CLUSTER_ROOT": str(self.root)}

    def cluster(self, *arguments: str, seconds: float = 60.0, **environment: str) -> subprocess.CompletedProcess:
        """Runs the command to its end and captures its output."""
        return subprocess.run(
            [str(CLUSTER), *arguments],
            env=self.environment() | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def succeed(self, *arguments: str, seconds: float = 60.0, **environment: str) -> str:
        """cluster(), which must exit 0; returns its standard output."""
        result = self.cluster(*arguments, seconds=seconds, **environment)
        self.assertEqual(result.returncode, 0, f"cluster {' '.join(arguments)}: {result.stdout}{result.stderr}")
        return result.stdout

    def start(self, *arguments: str) -> subprocess.Popen:
        """Starts the command and returns at once."""
        return subprocess.Popen(
            [str(CLUSTER), *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
