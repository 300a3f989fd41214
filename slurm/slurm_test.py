"""The real scripts in a real Slurm: every way in which a job can be interrupted must end in the uninterrupted result."""

from __future__ import annotations

import enum
import json
import os
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "testing"))

from slurm_fixture import JobState, Measured, SlurmTestCase, measured  # noqa: E402

# The benchmark itself, or, for TimeLimit, a stand-in that does the same towards Slurm and sleeps instead of measuring.
STAND_IN = "stand_in" in os.environ["BENCHMARK_BINARY"]
CELLS = 4
VARIANTS = ["wait"] if STAND_IN else ["sequence+online_softmax", "headwise+online_softmax"]
CASES = CELLS * len(VARIANTS)


class Pace(enum.Enum):
    """Rounds of a cell, and how long the stand-in takes for one."""

    QUICK = (5, 0.01)
    INTERRUPTIBLE = (60, None)  # several seconds in all: time to do something to it
    LONGER_THAN_A_TIME_LIMIT = (5, 2.0)
    STUCK = (5, 30.0)  # not one cell within a time limit

    @property
    def rounds(self) -> int:
        """Rounds of a cell."""
        return self.value[0]


def experiment_text(pace: Pace, launches: int = 1) -> str:
    """CELLS cells on four ranks."""
    if STAND_IN:
        return (
            f"name: slurm_test\nranks: 4\nlaunches: {launches}\ncells: {CELLS}\nrounds: {pace.rounds}\n"
            f"seconds_per_round: {pace.value[1]}\n"
        )
    return f"""\
name: slurm_test
title: Do interrupted jobs end like uninterrupted ones?
model: {{heads: 4, kv_heads: 2, head_dim: 32}}
scope: attention
phase: prefill
grid:
  variant: [{", ".join(VARIANTS)}]
  contract: [native]
  seq_len: [64, 128]
  causal: [true, false]
  ranks: [4]
  threads: [1]
  isa: [auto]
measure: {{warmup: 1, rounds: {pace.rounds}, cache: warm, data: gaussian, seed: 1, max_seconds_per_cell: 600}}
accuracy: {{reference_rows: 4}}
launches: {launches}
expect:
  - claim: ordering
    metric: time_s
    over: variant
    order: [{", ".join(VARIANTS)}]
"""


def mpirun_profile(directory: pathlib.Path) -> list[str]:
    """Options of slurm/submit: start ranks with mpirun instead of srun."""
    profile = directory / "mpirun.env"
    profile.write_text("ATTENTION_LAUNCHER=mpirun\nATTENTION_AFFINITY=warn\n")
    return ["--profile", str(profile)]


class Uninterrupted(SlurmTestCase):
    """Geometry, launches, arrays, the chained merge."""

    def test_one_two_and_four_nodes(self) -> None:
        jobs = self.submit(self.experiment(experiment_text(Pace.QUICK)), "--nodes", "1,2,4", "--wait")
        for job in jobs[:-1]:
            self.assertEqual(self.job(job).state, "COMPLETED")
            self.assertRegex(self.log_of(job)[-1], r"all launches complete.*\(status 0\)$")
        for nodes in (1, 2, 4):
            self.assert_complete(self.run_directory(f"nodes-{nodes}"), CASES, Pace.QUICK.rounds)
        self.assert_complete(self.directory / "results", 3 * CASES, Pace.QUICK.rounds)
        self.assert_analysed(jobs[-1])

    def test_array_over_node_counts_and_launches(self) -> None:
        jobs = self.submit(self.experiment(experiment_text(Pace.QUICK, launches=2)), "--nodes", "1,2,4", "--array")
        self.wait_for_end(jobs[-1])
        self.assertEqual(self.job(jobs[0]).state, "COMPLETED")
        self.assert_complete(self.directory / "results", 3 * CASES, Pace.QUICK.rounds, launches=2)
        self.assert_analysed(jobs[-1])

    def test_mpirun_as_the_launcher(self) -> None:
        experiment = self.experiment(experiment_text(Pace.QUICK))
        job = self.submit(experiment, "--nodes", "2", *mpirun_profile(self.directory))[0]
        self.assert_ends(job, "COMPLETED")
        self.assert_complete(self.run_directory("nodes-2"), CASES, Pace.QUICK.rounds)

    def assert_analysed(self, job: str) -> None:
        """The verdict is there, whatever it says."""
        self.assertEqual(self.job(job).state, "COMPLETED")
        self.assertRegex(self.log_of(job)[-1], r"merge_and_analyse: .*verdict.txt \(status 0\)$")
        verdict = json.loads((self.directory / "results" / "verdict.json").read_text())
        self.assertEqual(verdict["experiment"], "slurm_test")
        self.assertIn("CLAIM ordering", (self.directory / "results" / "verdict.txt").read_text())
        self.assertIn("slurm_test", (self.directory / "results" / "report.html").read_text())


class OneNode(SlurmTestCase):
    """Ranks that share the cores of a node."""

    nodes = 1

    def test_every_rank_may_use_all_cores_of_its_node(self) -> None:
        # Not one core each, and all the same: the OpenMP runtime's doing when it is asked to bind.
        environment = {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"}
        job = self.submit(self.experiment(experiment_text(Pace.QUICK)), "--nodes", "1", **environment)[0]
        self.assert_ends(job, "COMPLETED")
        manifest = json.loads((self.run_directory("nodes-1") / "manifest.json").read_text())
        (host,) = manifest["launches"][0]["hosts"]
        cores = os.sched_getaffinity(0)
        self.assertEqual(host["ranks"], [0, 1, 2, 3])
        seen = {core for part in host["cpus"].split(",") for core in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)}
        self.assertEqual(seen, cores)
        self.assertEqual(set(manifest["launches"][0]["affinity"]), {host["cpus"]})


class InterruptedTestCase(SlurmTestCase):
    """A job that can be interrupted when it has measured something and is not done, and the same job left alone."""

    pace = Pace.INTERRUPTIBLE
    uninterrupted: Measured

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        case = cls("run_uninterrupted")
        case.setUp()
        cls.uninterrupted = case.run_uninterrupted()

    def run_uninterrupted(self) -> Measured:
        """What an uninterrupted run leaves in its final CSV files. The stand-in need not take its time for that."""
        pace = Pace.QUICK if STAND_IN else Pace.INTERRUPTIBLE
        jobs = self.submit(self.experiment(experiment_text(pace)), "--nodes", "2")
        self.assert_ends(jobs[-1], "COMPLETED")
        self.assert_complete(self.directory / "results", CASES, pace.rounds)
        return measured(self.directory / "results")

    def start(self, *options: str, pace: Pace = Pace.INTERRUPTIBLE) -> list[str]:
        """A job on two nodes that has measured more than one cell; returns its id and that of its analysis."""
        jobs = self.submit(self.experiment(experiment_text(pace)), "--nodes", "2", *options)
        self.pace = pace
        self.wait_for_rows("nodes-2", pace.rounds * len(VARIANTS) + 2)
        return jobs

    def assert_as_uninterrupted(self, analysis: str, launches: int = 1) -> None:
        """Same cells, no duplicates, no gaps, in the final CSV files; and a verdict on them."""
        self.assert_ends(analysis, "COMPLETED")
        self.assertEqual(measured(self.directory / "results"), self.uninterrupted.of_launches(launches))
        if not STAND_IN:
            verdict = json.loads((self.directory / "results" / "verdict.json").read_text())
            self.assertEqual(len(verdict["claims"][0]["cells"]), CELLS)

    def assert_requeued(self, jobs: list[str]) -> JobState:
        """The job came back by itself, once or more, and ended like an uninterrupted one; the analysis waited for that."""
        state = self.assert_ends(jobs[0], "COMPLETED")
        self.assertGreaterEqual(state.restarts, 1)
        self.assert_as_uninterrupted(jobs[1])
        return state

    def resubmit(self, stopped: list[str]) -> None:
        """What was stopped is usable as it is; and the same command again goes on with it."""
        self.assert_ends(stopped[1], "COMPLETED")
        self.assertTrue(any("is not finished; its complete cells are used" in line for line in self.log_of(stopped[1])))
        partial = measured(self.directory / "results")
        self.assertTrue(0 < len(partial.cases) < CASES, partial)
        self.assertLessEqual(partial.samples, self.uninterrupted.samples)
        jobs = self.submit(self.directory / "experiment.yaml", "--nodes", "2")
        self.assert_ends(jobs[0], "COMPLETED")
        self.assert_as_uninterrupted(jobs[1])


class Interrupted(InterruptedTestCase):
    """What other people and hardware do to jobs."""

    def test_requeue_in_the_middle(self) -> None:
        jobs = self.start()
        self.on_cluster("scontrol", "requeue", jobs[0])
        self.assertEqual(self.assert_requeued(jobs).restarts, 1)

    def test_requeue_at_any_moment(self) -> None:
        # Before anything is measured, at the first sample, in a later cell, in one more, and when all is done.
        jobs = self.submit(self.experiment(experiment_text(Pace.INTERRUPTIBLE)), "--nodes", "2")
        a_cell_and_more = Pace.INTERRUPTIBLE.rounds * len(VARIANTS) + 10
        for restarts, more_rows in enumerate((0, 1, a_cell_and_more, a_cell_and_more)):
            self.wait_until_restarted(jobs[0], restarts)
            self.wait_for_rows("nodes-2", len(self.samples("nodes-2")) + more_rows, or_end_of=jobs[0])
            self.on_cluster("scontrol", "requeue", jobs[0])
        self.wait_until_restarted(jobs[0], 4)
        self.assert_ends(jobs[0], "COMPLETED")
        self.on_cluster("scontrol", "requeue", jobs[0])
        self.wait_until_restarted(jobs[0], 5)
        self.assert_requeued(jobs)

    def test_requeue_of_an_array_task(self) -> None:
        experiment = self.experiment(experiment_text(Pace.INTERRUPTIBLE, launches=2))
        jobs = self.submit(experiment, "--nodes", "2", "--array")
        self.wait_for_rows("task-0", Pace.INTERRUPTIBLE.rounds * len(VARIANTS) + 2)
        self.on_cluster("scontrol", "requeue", f"{jobs[0]}_0")
        self.assert_ends(jobs[0], "COMPLETED")
        self.assert_as_uninterrupted(jobs[1], launches=2)

    def test_warning(self) -> None:
        # What Slurm sends before the time limit, at a time of ours.
        jobs = self.start()
        self.on_cluster("scancel", "--batch", "--signal=USR1", jobs[0])
        self.assertEqual(self.assert_requeued(jobs).restarts, 1)
        self.assertTrue(any("time limit reached" in line for line in self.log_of(jobs[0])))

    def test_warning_under_mpirun(self) -> None:
        jobs = self.start(*mpirun_profile(self.directory))
        self.on_cluster("scancel", "--batch", "--signal=USR1", jobs[0])
        self.assertEqual(self.assert_requeued(jobs).restarts, 1)

    def assert_stopped(self, jobs: list[str]) -> None:
        self.assertEqual(self.assert_ends(jobs[0], "FAILED").exit_status, 3)
        self.assertRegex(self.log_of(jobs[0])[-1], "stopped in launch 0; .* resume with the same command")
        self.resubmit(jobs)

    def test_order_to_stop_then_submit_again(self) -> None:
        # Preemption without requeue: TERM to the batch script.
        jobs = self.start()
        self.on_cluster("scancel", "--batch", "--signal=TERM", jobs[0])
        self.assert_stopped(jobs)

    def test_order_to_stop_under_mpirun_then_submit_again(self) -> None:
        # mpirun itself ends with 1 when it is told to stop.
        jobs = self.start(*mpirun_profile(self.directory))
        self.on_cluster("scancel", "--batch", "--signal=TERM", jobs[0])
        self.assert_stopped(jobs)

    def test_order_to_one_rank_then_submit_again(self) -> None:
        jobs = self.start()
        os.kill(max(self.ranks_running()), signal.SIGTERM)
        self.assert_stopped(jobs)

    def test_node_set_down(self) -> None:
        jobs = self.start()
        self.on_cluster("scontrol", "update", "nodename=node1", "state=down", "reason=test")
        self.addCleanup(self.cluster, "exec", "--", "scontrol", "update", "nodename=node1", "state=resume")
        self.assert_requeued(jobs)

    def test_kill_9_of_a_rank_then_submit_again(self) -> None:
        jobs = self.start()
        os.kill(max(self.ranks_running()), signal.SIGKILL)
        state = self.assert_ends(jobs[0], "FAILED")
        self.assertNotEqual(state.exit_status, 0)
        self.assertRegex(self.log_of(jobs[0])[-1], r"launch 0 ended with status \d+")
        self.assertFalse(self.ranks_running())
        self.resubmit(jobs)

    def test_cancel_then_submit_again(self) -> None:
        jobs = self.start()
        self.on_cluster("scancel", jobs[0])
        self.assert_ends(jobs[0], "CANCELLED")
        self.wait_for(lambda: not self.ranks_running(), "no rank is left")
        self.resubmit(jobs)

    def test_full_disk_then_submit_again(self) -> None:
        # Room for some samples, not for all. Node 0 has rank 0, and the mount is only there.
        part = self.run_directory("nodes-2")
        part.mkdir(parents=True)
        self.on_cluster("mount", "-t", "tmpfs", "-o", "size=20k", "none", str(part))
        self.addCleanup(self.cluster, "exec", "--", "umount", str(part))
        on_node0 = ["--nodes", "2", "--", "--nodelist=node0"]
        job = self.submit(self.experiment(experiment_text(Pace.INTERRUPTIBLE)), *on_node0)[0]
        self.assertNotEqual(self.assert_ends(job, "FAILED").exit_status, 0)
        self.assertTrue(any("No space left on device" in line for line in self.log_of(job)), self.log_of(job))
        self.assertRegex(self.log_of(job)[-1], r"stopped in launch 0; what was measured is kept")
        self.on_cluster("mount", "-o", "remount,size=1m", str(part))
        job, analysis = self.submit(self.directory / "experiment.yaml", *on_node0)
        self.assert_ends(job, "COMPLETED")
        self.assert_as_uninterrupted(analysis)


class TimeLimit(InterruptedTestCase):
    """Slurm's own warnings; only with the stand-in, whose rounds can be made to take as long as that needs."""

    def test_warning_before_the_time_limit(self) -> None:
        # Slurm looks at time limits every 30 s and may warn a minute early; this warns within 30 s of the start, several times.
        jobs = self.start("--time", "1", "--", "--signal=B:USR1@40", pace=Pace.LONGER_THAN_A_TIME_LIMIT)
        self.assert_requeued(jobs)

    def test_a_time_limit_too_short_for_any_cell_does_not_requeue_forever(self) -> None:
        jobs = self.submit(
            self.experiment(experiment_text(Pace.STUCK)), "--nodes", "2", "--time", "1", "--", "--signal=B:USR1@40"
        )
        state = self.wait_for_end(jobs[0], seconds=400)
        self.assertEqual((state.state, state.exit_status, state.restarts), ("FAILED", 3, 1))
        self.assertRegex(self.log_of(jobs[0])[-1], "not one cell more .* give more --time")


class Refused(SlurmTestCase):
    """A job that cannot work ends at once, non-zero, and the last line of its log says why."""

    def assert_refused(self, pattern: str, *options: str, **environment: str) -> None:
        experiment = self.experiment(experiment_text(Pace.QUICK))
        log = self.directory / "log"
        command = ["sbatch", "--parsable", f"--output={log}", "--nodes=1", *options]
        job = self.on_cluster(
            *command, "slurm/run_experiment.sbatch", str(experiment), str(self.directory / "out"), **environment
        ).strip()
        state = self.wait_for_end(job)
        self.assertEqual((state.state, state.exit_status), ("FAILED", 2))
        self.assertRegex(log.read_text().splitlines()[-1], pattern)

    def test_missing_binary(self) -> None:
        self.assert_refused("no binary /no/such on node0; build it", ATTENTION_BINARY="/no/such")

    def test_missing_launcher(self) -> None:
        self.assert_refused("launcher 'mpirun-x' not found on node0; is a module missing", ATTENTION_LAUNCHER="mpirun-x")

    def test_missing_profile(self) -> None:
        self.assert_refused("profile /no/such.env is not readable", ATTENTION_PROFILE="/no/such.env")

    def test_ranks_without_cores(self) -> None:
        # Four CPUs in Slurm's eyes, fewer in truth.
        cores = max(1, len(os.sched_getaffinity(0)) // 4)
        if cores < 4:
            self.assert_refused("affinity: .*(ranks on node0 share|overlap).*(ask for|let each)", "--ntasks=4")

    def test_failing_module_in_the_profile(self) -> None:
        profile = self.directory / "profile.env"
        profile.write_text("module load nothing/1.0\n")
        self.assert_refused("profile .*profile.env failed", ATTENTION_PROFILE=str(profile))


if __name__ == "__main__":
    unittest.main(verbosity=2)
