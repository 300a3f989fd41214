"""Geometry, and the sbatch lines that slurm/submit would run; no Slurm needed."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import submit_command  # noqa: E402
from geometry import BadRequest, Experiment, Machine, Shape, default_nodes, shape_for  # noqa: E402

_EIGHT_RANKS = Experiment("e", ranks=8, launches=1, threads=None)
_BIG = Machine(cores=64, domains=4)


class GeometryTest(unittest.TestCase):
    def test_auto_spreads_ranks_and_fills_the_nodes(self) -> None:
        self.assertEqual(shape_for(_EIGHT_RANKS, _BIG, 2, None, None), Shape(2, 8, 4, 16))
        self.assertEqual(shape_for(_EIGHT_RANKS, _BIG, 8, None, None), Shape(8, 8, 1, 64))

    def test_ranks_that_do_not_divide(self) -> None:
        self.assertEqual(shape_for(_EIGHT_RANKS, _BIG, 3, None, None), Shape(3, 8, 3, 21))

    def test_threads_of_the_file_win_over_filling(self) -> None:
        experiment = Experiment("e", ranks=8, launches=1, threads=6)
        self.assertEqual(shape_for(experiment, _BIG, 2, None, None).cores_per_rank, 6)
        self.assertEqual(shape_for(experiment, _BIG, 2, None, 3).cores_per_rank, 3)

    def test_no_machine_known(self) -> None:
        self.assertEqual(shape_for(_EIGHT_RANKS, None, 2, None, None), Shape(2, 8, 4, 1))
        self.assertEqual(default_nodes(_EIGHT_RANKS, None, None), 8)

    def test_one_numa_domain_per_rank_by_default(self) -> None:
        self.assertEqual(default_nodes(_EIGHT_RANKS, _BIG, None), 2)
        self.assertEqual(default_nodes(_EIGHT_RANKS, _BIG, 3), 3)

    def test_refusals_say_what_to_give(self) -> None:
        for arguments, pattern in (
            ((_EIGHT_RANKS, _BIG, 2, 2, None), "cells of 8 ranks; give --ranks-per-node 4"),
            ((_EIGHT_RANKS, _BIG, 9, None, None), "9 nodes would leave 1 idle"),
            ((_EIGHT_RANKS, _BIG, 1, None, 9), "8 ranks x 9 cores are more than the 64 of a node.*--cpus-per-task 8"),
        ):
            with self.subTest(pattern), self.assertRaisesRegex(BadRequest, pattern):
                shape_for(*arguments)

    def test_smallest_kind_of_node_counts(self) -> None:
        self.assertEqual(Machine.parse("64 2 16\n48 4 12\n"), Machine(32, 2))
        self.assertIsNone(Machine.parse("\n"))
        # Nodes that never answered, or of which nothing is known.
        self.assertEqual(Machine.parse("N/A 1 1\n16 2\n16 0 0\n48 4 12\n"), Machine(48, 4))
        self.assertIsNone(Machine.parse("16 0 0\n"))

    def test_geometry_of_the_binary(self) -> None:
        self.assertEqual(Experiment.parse("name a b\nranks 2\nlaunches 3\nthreads 4\n"), Experiment("a b", 2, 3, 4))
        with self.assertRaisesRegex(BadRequest, "does not say 'launches'"):
            Experiment.parse("name a\nranks 2\n")


class CommandLineTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = pathlib.Path(temporary.name)
        self.experiment = self.top / "some.yaml"
        self.experiment.touch()
        binary = self.top / "benchmark"
        binary.write_text("#!/bin/sh\nprintf 'name some\\nranks 4\\nlaunches 2\\nthreads 1\\n'\n")
        binary.chmod(0o755)
        # No Slurm on PATH: a dry run must not need one.
        saved = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(saved)))
        os.environ |= {"ATTENTION_BINARY": str(binary), "PATH": "/bin"}

    def run_submit(self, *arguments: str) -> tuple[int, list[str], str]:
        """Exit status, lines of standard output, standard error."""
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            try:
                status = submit_command.main([str(self.experiment), "--dry-run", *arguments])
            except SystemExit as end:
                status = int(end.code or 0)
        return status, output.getvalue().splitlines(), errors.getvalue()

    def test_a_job_per_node_count_and_the_analysis_after_all(self) -> None:
        status, lines, errors = self.run_submit("--nodes", "1,4", "--output", "/out", "--time", "5", "--", "--account=x y")
        self.assertEqual((status, errors), (0, ""))
        for line, nodes, each, first_launch in ((lines[0], 1, 4, 0), (lines[1], 4, 1, 2)):
            self.assertIn(f"--nodes={nodes} --ntasks=4 --ntasks-per-node={each} --cpus-per-task=1", line)
            self.assertIn("'--account=x y' --time=5", line)
            self.assertIn(f"ATTENTION_LAUNCHES=2 ATTENTION_FIRST_LAUNCH={first_launch} ATTENTION_RANKS=4 sbatch ", line)
            # Naming variables here would make the node run a login shell.
            self.assertIn(" --export=ALL slurm/", line)
            self.assertTrue(line.endswith(f"slurm/run_experiment.sbatch {self.experiment} /out/parts/nodes-{nodes}"), line)
        self.assertIn("--dependency=afterany:JOB1:JOB2", lines[2])
        self.assertTrue(lines[2].endswith("merge_and_analyse.sbatch /out /out/parts/nodes-1 /out/parts/nodes-4"), lines[2])

    def test_array_has_a_task_per_node_count_and_launch(self) -> None:
        status, lines, _ = self.run_submit("--nodes", "1,4", "--array", "--output", "/out", "--after", "77")
        self.assertEqual(status, 0)
        self.assertIn("--array=0-3 ", lines[0])
        self.assertIn("--nodes=4 --ntasks-per-node=4", lines[0])
        self.assertIn("--dependency=afterany:77", lines[0])
        self.assertIn("ATTENTION_TASKS=1:0+1:1+4:2+4:3 ", lines[0])
        self.assertEqual(len(lines), 3)
        self.assertTrue(lines[1].endswith(" ".join(f"/out/parts/task-{i}" for i in range(4))))

    def test_the_profile_of_an_experiment_goes_to_the_binary_and_to_every_job(self) -> None:
        binary = pathlib.Path(os.environ["ATTENTION_BINARY"])
        binary.write_text(
            "#!/bin/sh\nranks=4; case $* in *'--profile cluster'*) ranks=16 ;; esac\n"
            "printf 'name some\\nranks %s\\nlaunches 2\\nthreads 1\\n' $ranks\n"
        )
        status, lines, errors = self.run_submit("--nodes", "1,2", "--output", "/out", "--experiment-profile", "cluster")
        self.assertEqual((status, errors), (0, ""))
        for line in lines[:2]:
            self.assertIn("ATTENTION_EXPERIMENT_PROFILE=cluster ", line)
            self.assertIn(" --ntasks=16 ", line)

    def test_profile_gives_defaults_and_options_win(self) -> None:
        profile = self.top / "site.env"
        profile.write_text("SUBMIT_PARTITION=p1\nSUBMIT_TIME=7\nSUBMIT_EXTRA='--account=a --exclusive'\n")
        _, lines, _ = self.run_submit("--nodes", "1", "--profile", str(profile))
        self.assertIn("--partition=p1 --account=a --exclusive --time=7", lines[0])
        self.assertIn(f"ATTENTION_PROFILE={profile}", lines[0])
        _, lines, _ = self.run_submit("--nodes", "1", "--profile", str(profile), "--partition", "p2", "--time", "8")
        self.assertIn("--partition=p2", lines[0])
        self.assertIn("--time=8", lines[0])

    def test_only_the_analysis_is_waited_for(self) -> None:
        _, lines, _ = self.run_submit("--nodes", "1,2", "--wait")
        self.assertEqual(["--wait" in line for line in lines], [False, False, True, False])

    def test_sbatch_that_refuses_and_a_job_that_fails(self) -> None:
        tools = self.top / "bin"
        tools.mkdir()
        sbatch = tools / "sbatch"
        os.environ["PATH"] = f"{tools}:/bin"
        for script, pattern in (
            ("exit 1", "sbatch refused; submitted so far: nothing"),
            ("exit 0", "sbatch gave no number of a job but ''"),
            ("echo hello", "sbatch gave no number of a job but 'hello'"),
            ("case $* in *--wait*) echo 8; exit 2;; *) echo 7;; esac", "job 8 ended with status 2; see /.*/out/logs"),
        ):
            sbatch.write_text(f"#!/bin/sh\n{script}\n")
            sbatch.chmod(0o755)
            errors = io.StringIO()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
                arguments = [str(self.experiment), "--nodes", "1", "--wait", "--output", str(self.top / "out")]
                self.assertEqual(submit_command.main(arguments), 1)
            self.assertRegex(errors.getvalue(), pattern)

    def test_bad_usage_is_one_line_and_submits_nothing(self) -> None:
        for arguments, pattern in (
            (["--nodes", "0"], "'0' is not a list of node counts"),
            (["--nodes", "1,1"], "names a node count twice"),
            (["--nodes", "5"], "would leave 1 idle"),
            (["--cpus-per-task", "many"], "neither auto nor a number"),
            (["--profile", "/no/such.env"], "/no/such.env"),
            (["--nodes", "1,2", "--ranks-per-node", "4", "--array"], "same number of ranks"),
        ):
            with self.subTest(pattern):
                status, lines, errors = self.run_submit(*arguments)
                self.assertEqual((status, lines), (2, []))
                self.assertIn(pattern, errors)

    def test_profiles_that_cannot_be_read(self) -> None:
        pipe, loop, profile = (self.top / name for name in ("pipe.env", "loop.env", "site.env"))
        os.mkfifo(pipe)
        loop.symlink_to(loop)
        for path in (pipe, loop, self.top):
            status, lines, errors = self.run_submit("--profile", str(path))
            self.assertEqual((status, lines), (2, []))
            self.assertIn(f"profile {path}: there is no such file", errors)
        for text, pattern in (("exit 0", "ends the shell"), ('SUBMIT_EXTRA="--account=\\"x"', "SUBMIT_EXTRA: No closing quotation")):
            profile.write_text(text + "\n")
            status, lines, errors = self.run_submit("--profile", str(profile))
            self.assertEqual((status, lines, errors.count("\n")), (2, [], 1), errors)
            self.assertIn(pattern, errors)

    def test_missing_binary_and_experiment(self) -> None:
        os.environ["ATTENTION_BINARY"] = "/no/such"
        self.assertIn("no binary /no/such; build it here first", self.run_submit()[2])
        self.experiment.unlink()
        self.assertIn("no experiment", self.run_submit()[2])

    def test_message_of_the_binary_is_passed_on(self) -> None:
        pathlib.Path(os.environ["ATTENTION_BINARY"]).write_text("#!/bin/sh\necho 'some.yaml:3:1: unknown key' >&2; exit 2\n")
        status, _, errors = self.run_submit()
        self.assertEqual((status, errors), (2, "slurm/submit: some.yaml:3:1: unknown key\n"))


if __name__ == "__main__":
    unittest.main()
