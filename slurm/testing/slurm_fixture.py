"""A Slurm in a box per test class, jobs submitted by the real scripts, and their results compared."""

from __future__ import annotations

import atexit
import collections
import csv
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
_CLUSTER = _REPOSITORY / "tools" / "cluster" / "cluster"
_NO_RIGHTS = 77
NODES = 4
FINAL_STATES = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY"}


@dataclasses.dataclass(frozen=True)
class JobState:
    """What Slurm says of a job."""

    state: str
    exit_status: int
    restarts: int


def read_rows(path: pathlib.Path) -> list[dict[str, str]]:
    """Rows of a CSV file; none if it is not there yet."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []


@dataclasses.dataclass(frozen=True)
class Measured:
    """How often what was measured in a run directory, as far as it is complete; times do not matter."""

    cases: collections.Counter[tuple[int, str]]  # launch, case
    samples: collections.Counter[tuple[int, str, int]]  # launch, case, round

    def of_launches(self, count: int) -> "Measured":
        """The same measured in launches 0 to count - 1; self is launch 0."""
        return Measured(
            collections.Counter({(launch, case): n for launch in range(count) for (_, case), n in self.cases.items()}),
            collections.Counter({(launch, *rest): n for launch in range(count) for (_, *rest), n in self.samples.items()}),
        )


def measured(directory: pathlib.Path) -> Measured:
    """A continued launch K has the id K + 1000 n; samples of cells without rows in cases.csv are a partial cell's."""
    cases = read_rows(directory / "cases.csv")
    complete = {(row["launch"], row["case"]) for row in cases}
    samples = [row for row in read_rows(directory / "samples.csv") if (row["launch"], row["case"]) in complete]
    return Measured(
        collections.Counter((int(row["launch"]) % 1000, row["case"]) for row in cases),
        collections.Counter(
            (int(row["launch"]) % 1000, row["case"], int(row["round"])) for row in samples if int(row["round"]) >= 0
        ),
    )


class SlurmTestCase(unittest.TestCase):
    """Four nodes of four CPUs each in Slurm's eyes, whatever this machine has: speed is not tested here."""

    nodes = NODES
    root: pathlib.Path
    environment: dict[str, str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        # A test that Bazel or a user breaks off must not leave a cluster behind either.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        atexit.register(cls.leave_nothing)
        cls.environment = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH", "OMPI"))}
        cls.environment |= {"CLUSTER_ROOT": str(cls.root / "box")}
        cls.environment |= {"ATTENTION_BINARY": str(pathlib.Path(os.environ["BENCHMARK_BINARY"]).resolve())}
        result = cls.cluster("up", "--nodes", str(cls.nodes), "--slurm", "--slurm-cpus", "4")
        if result.returncode == _NO_RIGHTS and os.environ.get("CI") != "true":
            print(f"SKIPPED for want of rights: {cls.__name__}: {result.stderr.strip()}", flush=True)
            raise unittest.SkipTest(result.stderr.strip())
        if result.returncode != 0:
            raise AssertionError(f"no Slurm in a box: {result.stderr}")
        cls.addClassCleanup(cls.check_nothing_is_left)
        cls.addClassCleanup(cls.cluster, "down", "--all")

    @classmethod
    def leave_nothing(cls) -> None:
        """The cluster and its directory, if something still has them."""
        if cls.root.exists():
            cls.cluster("down", "--all")
            shutil.rmtree(cls.root, ignore_errors=True)

    @classmethod
    def check_nothing_is_left(cls) -> None:
        """No daemon, job or rank of the cluster, and none of its files."""
        left = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            except OSError:
                continue
            if str(cls.root).encode() in line:
                left.append(line.replace(b"\0", b" "))
        if left or list((cls.root / "box").iterdir()):
            raise AssertionError(f"left behind: {left} {list((cls.root / 'box').iterdir())}")

    def setUp(self) -> None:
        self.directory = self.root / self.id().rpartition(".")[2]
        self.directory.mkdir()

    @classmethod
    def cluster(cls, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """tools/cluster/cluster, run to its end from the repository's top directory."""
        return subprocess.run(
            [str(_CLUSTER), *arguments],
            env=cls.environment | environment,
            cwd=_REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=330,
            check=False,
        )

    def on_cluster(self, *command: str, **environment: str) -> str:
        """A command in node0 that must succeed; returns what it printed."""
        result = self.cluster("exec", "--", "timeout", "300", *command, **environment)
        self.assertEqual(result.returncode, 0, f"{command}: {result.stdout}{result.stderr}")
        return result.stdout

    def experiment(self, text: str) -> pathlib.Path:
        """An experiment file of this test."""
        path = self.directory / "experiment.yaml"
        path.write_text(text)
        return path

    def wait_until_restarted(self, job_id: str, times: int) -> None:
        """Until a job runs that was requeued that often; it may have ended meanwhile."""

        def come() -> bool:
            state = self.job(job_id)
            return state.restarts >= times and (state.state == "RUNNING" or state.state in FINAL_STATES)

        self.wait_for(come, f"job {job_id} restarted {times} times")

    def submit(self, experiment: pathlib.Path, *options: str, **environment: str) -> list[str]:
        """slurm/submit into self.directory/results; returns the job ids, the analysis last."""
        profile = ("--profile", "slurm/profiles/box.env", "--output", str(self.directory / "results"))
        printed = self.on_cluster("slurm/submit", str(experiment), *profile, *options, **environment)
        ids = re.findall(r"^  job (\d+)$", printed, re.MULTILINE)
        self.assertGreaterEqual(len(ids), 2, printed)
        return ids

    def job(self, job_id: str) -> JobState:
        """A job as it is now; of an array, its worst task."""
        states = []
        for block in self.on_cluster("scontrol", "--oneliner", "show", "job", job_id).splitlines():
            values = dict(re.findall(r"\b(JobState|ExitCode|Restarts)=(\S+)", block))
            states.append(JobState(values["JobState"], int(values["ExitCode"].split(":")[0]), int(values["Restarts"])))
        unfinished = [state for state in states if state.state not in FINAL_STATES]
        return unfinished[0] if unfinished else max(states, key=lambda state: (state.state != "COMPLETED", state.exit_status))

    def wait_for(self, condition, what: str, seconds: float = 300.0) -> None:
        """Until condition() is true; fails with the logs if it does not come true."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(f"{path.name}:\n{path.read_text()}" for path in self.directory.glob("results/logs/*"))
                queue = self.on_cluster("squeue", "--long")
                self.fail(f"not within {seconds:.0f} s: {what}\n{queue}\n{logs}")
            time.sleep(0.3)

    def wait_for_end(self, job_id: str, seconds: float = 300.0) -> JobState:
        """Until Slurm is done with the job."""
        self.wait_for(lambda: self.job(job_id).state in FINAL_STATES, f"job {job_id} ended", seconds)
        return self.job(job_id)

    def assert_ends(self, job_id: str, expected: str, seconds: float = 300.0) -> JobState:
        """Waits for the job's end; fails with its log if it is another one."""
        state = self.wait_for_end(job_id, seconds)
        self.assertEqual(state.state, expected, "\n".join(["", *self.log_of(job_id)[-40:]]))
        return state

    def run_directory(self, part: str) -> pathlib.Path:
        """Where one job or array task writes."""
        return self.directory / "results" / "parts" / part

    def samples(self, part: str) -> list[dict[str, str]]:
        """What a run has measured so far."""
        return read_rows(self.run_directory(part) / "samples.csv")

    def wait_for_rows(self, part: str, count: int, or_end_of: str | None = None) -> None:
        """Until a run has measured something, or that job has ended."""

        def come() -> bool:
            ended = or_end_of is not None and self.job(or_end_of).state in FINAL_STATES
            return ended or len(self.samples(part)) >= count

        self.wait_for(come, f"{count} rows in {self.run_directory(part)}")

    def log_of(self, job_id: str) -> list[str]:
        """Lines of a job's log; of an array, of its tasks' logs one after the other."""
        logs = self.directory / "results" / "logs"
        paths = [*logs.glob(f"*-{job_id}.log"), *sorted(logs.glob(f"*-{job_id}_*.log"))]
        self.assertTrue(paths, f"job {job_id} has no log in {logs}")
        return [line for path in paths for line in path.read_text().splitlines()]

    def assert_complete(self, directory: pathlib.Path, case_count: int, rounds: int, launches: int = 1) -> None:
        """Every case of every launch once, every round of it once."""
        result = measured(directory)
        self.assertEqual(len({case for _, case in result.cases}), case_count, f"cases of {directory}: {sorted(result.cases)}")
        self.assertEqual(len(result.cases), case_count * launches)
        self.assertEqual(set(result.cases.values()), {1}, "a case was measured twice")
        wanted = {(launch, case, number): 1 for launch, case in result.cases for number in range(rounds)}
        self.assertEqual(dict(result.samples), wanted)

    def ranks_running(self) -> list[int]:
        """Pids of this class's benchmark processes, seen from outside."""
        mark = f"--experiment\0{self.directory}".encode()
        binary = self.environment["ATTENTION_BINARY"].encode() + b"\0"
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            except OSError:
                continue
            if line.startswith(binary) and mark in line:
                found.append(int(entry.name))
        return found
