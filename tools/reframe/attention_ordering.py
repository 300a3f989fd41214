"""ReFrame: an experiment under the site's MPI, accurate in every cell and no slower than it should be. README.md beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import reframe as rfm
import reframe.utility.osext as osext
import reframe.utility.sanity as sn
from reframe.core.builtins import run_after, run_before, sanity_function, variable

TOP = Path(__file__).resolve().parents[2]
# ReFrame loads this file by its path; the modules are named from the top.
sys.path.insert(0, str(TOP))

from tools.reframe.readings import pair_ratios, percent_of_peak, problem_of

RUN = "run"  # the run directory, in the stage directory
STATUS = "analysis status: "
# verify_ordering.py: every claim confirmed, not every claim, some open. 2 is a run that cannot be used.
JUDGED = (0, 1, 3)


@rfm.simple_test
class AttentionOrdering(rfm.RegressionTest):
    """Builds or takes the benchmark, runs an experiment of experiments/, and judges it.

    Sanity: every case was measured and is accurate against float64, and the analysis could judge the run. Performance: ratios
    only, which need no figures of the site: the largest share of the multiply-add peak that a case reached, and what each claim
    compares. Their references are the checked-in run of the same experiment, on another machine; `tolerance` is for that.
    """

    experiment = variable(str, value="smoke")
    binary = variable(str, value="")  # empty: built from this source tree
    python = variable(str, value="/usr/bin/python3")  # with numpy and scipy
    tolerance = variable(float, value=0.25)
    require_holds = variable(bool, value=False)  # a claim that is not confirmed fails the test

    descr = "Attention strategies under MPI: accuracy and order"
    valid_systems = ["*"]
    valid_prog_environs = ["*"]
    sourcesdir = None
    build_system = "CustomBuild"
    build_locally = True
    time_limit = "30m"
    keep_files = [f"{RUN}/{name}" for name in ("manifest.json", "samples.csv", "cases.csv", "verdict.txt", "verdict.json")]
    tags = {"mpi", "attention"}

    @run_after("init")
    def set_places(self) -> None:
        self.executable = self.binary or str(TOP / "bazel-bin/src/benchmark_qwen3")
        self.experiment_file = str(TOP / "experiments" / f"{self.experiment}.yaml")

    @run_before("compile")
    def set_build(self) -> None:
        build = [f"cd {TOP}", "bazel build //src:benchmark_qwen3"]
        self.build_system.commands = ["true"] if self.binary else build

    @run_before("run")
    def set_run(self) -> None:
        """The binary knows how many ranks and threads the experiment takes, and pins them itself."""
        asked = osext.run_command([self.executable, "--experiment", self.experiment_file, "--print-geometry"], check=True)
        geometry = dict(line.split(maxsplit=1) for line in asked.stdout.splitlines())
        self.num_tasks = int(geometry["ranks"])
        self.num_cpus_per_task = int(geometry["threads"])
        self.env_vars["OMP_PROC_BIND"] = "false"
        self.executable_opts = ["--experiment", self.experiment_file, "--output", RUN]
        judge = f"{self.python} {TOP / 'analysis/verify_ordering.py'} --write {RUN}"
        self.postrun_cmds = ["status=0", f"{judge} || status=$?", f'echo "{STATUS}$status"']

    @sanity_function
    def accurate_and_judged(self):  # type: ignore[no-untyped-def]  # deferred expressions of ReFrame
        problem = problem_of(Path(self.stagedir) / RUN)
        status = sn.extractsingle(rf"^{STATUS}(\d+)$", self.stdout, 1, int)
        allowed = (0,) if self.require_holds else JUDGED
        return sn.all(
            [
                sn.assert_true(problem is None, msg=problem or ""),
                sn.assert_in(status, allowed, msg="the analysis ended with {0}, expected is one of {1}"),
            ]
        )

    @run_before("performance")
    def set_performance(self) -> None:
        run, record = Path(self.stagedir) / RUN, TOP / "results" / self.experiment / "reference"
        measured = {"percent_of_peak": percent_of_peak(run)} | pair_ratios(run)
        expected = {"percent_of_peak": percent_of_peak(record)} | pair_ratios(record) if record.is_dir() else {}
        bounds = {}
        for name, value in measured.items():
            unit = "%" if name == "percent_of_peak" else "x"
            self.perf_variables[name] = sn.make_performance_function(sn.defer(value), unit)
            if name in expected:
                # A larger share of the peak is no fault; a ratio may not move either way.
                upper = None if unit == "%" else self.tolerance
                bounds[name] = (expected[name], -self.tolerance, upper, unit)
        self.reference = {"*": bounds}
