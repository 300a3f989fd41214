"""The command line of slurm/submit."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import os
import pathlib
import re
import shlex
import subprocess
import sys

from geometry import BadRequest, Experiment, Machine, Shape, default_nodes, shape_for

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_PROFILE_KEYS = ("SUBMIT_OUTPUT_ROOT", "SUBMIT_PARTITION", "SUBMIT_TIME", "SUBMIT_EXTRA", "ATTENTION_BINARY")

_DESCRIPTION = """\
Submits EXPERIMENT (a name in experiments/ or a path) to Slurm: one job per node count, each resuming by
itself after time limits, requeues and lost nodes, then a job that joins their results and judges them.
Prints the sbatch lines it runs.
"""
_EPILOG = """\
examples:
  slurm/submit ordering --nodes 1,2 --time 04:00:00
  slurm/submit ordering --nodes 2 --launches 5 --array --profile slurm/profiles/mine.env -- --account=abc
  slurm/submit ordering --experiment-profile cluster --nodes 1,2,4,8
  slurm/submit ordering --output results/ordering/20260101T000000Z-slurm    goes on with that one

exit status: 0 submitted (with --wait: and judged), 1 sbatch refused or the analysis failed, 2 bad usage
"""


@dataclasses.dataclass(frozen=True)
class Job:
    """One sbatch line."""

    environment: dict[str, str]  # for the script, on top of the caller's
    options: list[str]
    script: str
    arguments: list[str]
    after: tuple[int, ...] = ()  # indices of the jobs that must have ended

    def command(self, ids: list[str]) -> list[str]:
        """The command line, given the ids of the jobs before this one; it is to run in `environment`."""
        command = ["sbatch", "--parsable", *self.options]
        if self.after:
            command.append("--dependency=afterany:" + ":".join(ids[index] for index in self.after))
        # Not --export=ALL,NAME=VALUE: naming variables makes the node run a login shell for the job's environment, which
        # may take a minute and undo the caller's modules.
        return [*command, "--export=ALL", self.script, *self.arguments]

    def line(self, ids: list[str]) -> str:
        """What to type for the same."""
        return " ".join([*(f"{key}={shlex.quote(value)}" for key, value in self.environment.items()), shlex.join(self.command(ids))])


def _counts(text: str) -> list[int]:
    if re.fullmatch(r"[1-9][0-9]{0,5}(,[1-9][0-9]{0,5})*", text):
        return [int(word) for word in text.split(",")]
    raise argparse.ArgumentTypeError(f"'{text}' is not a list of node counts such as 1,2,4")


def _auto_or_count(text: str) -> int | None:
    if text == "auto":
        return None
    if re.fullmatch(r"[1-9][0-9]{0,5}", text):
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is neither auto nor a number from 1")


def build_parser() -> argparse.ArgumentParser:
    """The options; what follows -- goes to sbatch."""
    parser = argparse.ArgumentParser(
        prog="slurm/submit", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", metavar="EXPERIMENT")
    parser.add_argument("--nodes", type=_counts, metavar="N,N,...", help="node counts (default: one NUMA domain per rank)")
    parser.add_argument("--ranks-per-node", type=_auto_or_count, metavar="N|auto", help="auto: spread the file's ranks")
    parser.add_argument("--cpus-per-task", type=_auto_or_count, metavar="N|auto", help="cores per rank; auto: fill the node")
    parser.add_argument("--partition", help="(default: the profile's, else Slurm's)")
    parser.add_argument("--time", help="time limit of a job (default: the profile's, else Slurm's)")
    parser.add_argument("--launches", type=_auto_or_count, metavar="N", help="mpirun launches (default: what the file says)")
    parser.add_argument("--array", action="store_true", help="one array task per node count and launch")
    parser.add_argument("--experiment-profile", metavar="NAME", help="a variant that the file has under 'profiles', such as cluster")
    parser.add_argument("--after", metavar="ID", help="start when this job has ended")
    parser.add_argument("--profile", type=pathlib.Path, metavar="FILE", help="the site: slurm/profiles/*.env")
    parser.add_argument("--output", type=pathlib.Path, metavar="DIR", help="(default: results/NAME/TIME-slurm)")
    parser.add_argument("--wait", action="store_true", help="return when the verdict is there")
    parser.add_argument("--dry-run", action="store_true", help="print the sbatch lines, submit nothing")
    return parser


def read_profile(profile: pathlib.Path | None) -> dict[str, str]:
    """The variables that submit itself needs, from the profile as bash understands it, else from the environment."""
    script = 'if [ -n "$0" ]; then . "$0" >/dev/null || exit 1; fi; for key; do printf "%s\\0" "${!key-}"; done'
    if profile and not profile.is_file():
        raise BadRequest(f"profile {profile}: there is no such file")
    source = str(profile.resolve()) if profile else ""
    result = subprocess.run(
        ["bash", "-c", script, source, *_PROFILE_KEYS],
        capture_output=True, text=True, errors="surrogateescape", cwd=_REPOSITORY, check=False,
    )  # fmt: skip
    if result.returncode != 0:
        raise BadRequest(f"profile {profile}: {(result.stderr.strip().splitlines() or ['cannot be sourced'])[-1]}")
    values = result.stdout.split("\0")
    if len(values) != len(_PROFILE_KEYS) + 1:
        raise BadRequest(f"profile {profile}: ends the shell that reads it (exit?)")
    return dict(zip(_PROFILE_KEYS, values))


def find_experiment(name: str) -> pathlib.Path:
    """A path, or the name of a file in experiments/."""
    for candidate in (pathlib.Path(name), _REPOSITORY / "experiments" / f"{name}.yaml"):
        if candidate.is_file():
            return candidate.resolve()
    there = " ".join(sorted(path.stem for path in (_REPOSITORY / "experiments").glob("*.yaml")))
    raise BadRequest(f"no experiment '{name}'; there are: {there}")


def ask_binary(binary: str, profile: pathlib.Path | None, experiment: list[str]) -> Experiment:
    """What the experiment needs, by the binary itself: it reads the file as the job will."""
    path = _REPOSITORY / binary
    if not os.access(path, os.X_OK):
        raise BadRequest(f"no binary {path}; build it here first (bazel build //src:benchmark_qwen3), or set ATTENTION_BINARY")
    source = f". {shlex.quote(str(profile.resolve()))} >/dev/null && " if profile else ""
    command = f"{source}exec {shlex.join([str(path), *experiment])} --print-geometry"
    environment = os.environ | ({"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.getuid() == 0 else {})
    result = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=_REPOSITORY, env=environment, check=False
    )
    if result.returncode != 0:
        raise BadRequest((result.stderr.strip().splitlines() or [f"{path} --print-geometry failed"])[-1])
    return Experiment.parse(result.stdout)


def ask_slurm(partition: str) -> Machine | None:
    """The partition's smallest node; None where sinfo cannot be asked (a dry run without Slurm)."""
    command = ["sinfo", "--noheader", "--format=%c %X %Y", *([f"--partition={partition}"] if partition else [])]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    # "16+" where the nodes of a line differ: at least 16.
    return Machine.parse(result.stdout.replace("+", "")) if result.returncode == 0 else None


def plan(options: argparse.Namespace, extra: list[str], profile: dict[str, str]) -> tuple[pathlib.Path, list[Job]]:
    """The jobs and the directory that the joined results go to."""
    experiment_file = find_experiment(options.experiment)
    partition = options.partition or profile["SUBMIT_PARTITION"]
    arguments = ["--experiment", str(experiment_file)]
    if options.experiment_profile:
        arguments += ["--profile", options.experiment_profile]
    experiment = ask_binary(profile["ATTENTION_BINARY"] or "bazel-bin/src/benchmark_qwen3", options.profile, arguments)
    machine = ask_slurm(partition)
    counts = options.nodes or [default_nodes(experiment, machine, options.ranks_per_node)]
    if len(set(counts)) != len(counts):
        raise BadRequest("--nodes names a node count twice")
    shapes = [shape_for(experiment, machine, nodes, options.ranks_per_node, options.cpus_per_task) for nodes in counts]
    launches = options.launches or experiment.launches
    time = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    root = pathlib.Path(profile["SUBMIT_OUTPUT_ROOT"] or _REPOSITORY / "results")
    output = (options.output or root / experiment.name / f"{time}-slurm").absolute()
    common = [f"--chdir={_REPOSITORY}", *([f"--partition={partition}"] if partition else [])]
    try:
        common += shlex.split(profile["SUBMIT_EXTRA"]) + extra
    except ValueError as problem:
        raise BadRequest(f"SUBMIT_EXTRA: {problem}") from None
    limit = options.time or profile["SUBMIT_TIME"]
    run = [*common, *([f"--time={limit}"] if limit else []), *([f"--dependency=afterany:{options.after}"] if options.after else [])]
    environment = {"ATTENTION_ROOT": str(_REPOSITORY)}
    if options.launches:
        environment["ATTENTION_PLAN_LAUNCHES"] = str(launches)
    if options.experiment_profile:
        environment["ATTENTION_EXPERIMENT_PROFILE"] = options.experiment_profile
    if options.profile:
        environment["ATTENTION_PROFILE"] = str(options.profile.resolve())
    if options.array:
        jobs, parts = [_array_job(experiment, shapes, launches, environment, run, experiment_file, output)], [
            f"{output}/parts/task-{index}" for index in range(len(shapes) * launches)
        ]
    else:
        jobs = [
            Job(
                # Launch numbers run on from job to job: a cell of fewer ranks than nodes may be the same in several.
                environment
                | {"ATTENTION_LAUNCHES": str(launches), "ATTENTION_FIRST_LAUNCH": str(index * launches)}
                | {"ATTENTION_RANKS": str(shape.ranks)},
                [f"--job-name=attention-{experiment.name}", f"--output={output}/logs/%x-%j.log", *_size(shape), *run],
                "slurm/run_experiment.sbatch",
                [str(experiment_file), f"{output}/parts/nodes-{shape.nodes}"],
            )
            for index, shape in enumerate(shapes)
        ]
        parts = [job.arguments[1] for job in jobs]
    names = [f"--job-name=attention-{experiment.name}-analysis", f"--output={output}/logs/%x-%j.log"]
    waiting = ["--wait"] if options.wait else []
    analysis = Job(
        environment, names + common + waiting, "slurm/merge_and_analyse.sbatch", [str(output), *parts], tuple(range(len(jobs)))
    )
    return output, [*jobs, analysis]


def _size(shape: Shape) -> list[str]:
    return [
        f"--nodes={shape.nodes}",
        f"--ntasks={shape.ranks}",
        f"--ntasks-per-node={shape.ranks_per_node}",
        f"--cpus-per-task={shape.cores_per_rank}",
    ]


def _array_job(
    experiment: Experiment,
    shapes: list[Shape],
    launches: int,
    environment: dict[str, str],
    options: list[str],
    experiment_file: pathlib.Path,
    output: pathlib.Path,
) -> Job:
    """All node counts and launches as one array. Tasks of an array are of one size, so each gets what the largest needs
    and uses its own node count of it."""
    ranks = {shape.ranks for shape in shapes}
    if len(ranks) > 1:
        raise BadRequest("--array needs the same number of ranks for every node count: use --ranks-per-node auto")
    counts = [shape.nodes for shape in shapes for _ in range(launches)]
    tasks = [f"{nodes}:{launch}" for launch, nodes in enumerate(counts)]
    each = max(shape.ranks_per_node for shape in shapes)
    cores = min(shape.cores_per_rank for shape in shapes)
    size = [f"--nodes={max(shape.nodes for shape in shapes)}", f"--ntasks-per-node={each}", f"--cpus-per-task={cores}"]
    names = [f"--job-name=attention-{experiment.name}", f"--output={output}/logs/%x-%A_%a.log"]
    return Job(
        environment | {"ATTENTION_TASKS": "+".join(tasks), "ATTENTION_RANKS": str(ranks.pop())},
        [f"--array=0-{len(tasks) - 1}", *names, *size, *options],
        "slurm/run_experiment.sbatch",
        [str(experiment_file), f"{output}/parts"],
    )


def submit(output: pathlib.Path, jobs: list[Job], dry_run: bool) -> int:
    """Prints and, unless dry_run, runs the sbatch lines; the last one's status is that of its job if it has --wait."""
    ids: list[str] = []
    if not dry_run:
        (output / "logs").mkdir(parents=True, exist_ok=True)
    for number, job in enumerate(jobs, start=1):
        print(job.line(ids), flush=True)
        if dry_run:
            ids.append(f"JOB{number}")
            continue
        environment = dict(os.environ) | job.environment
        with subprocess.Popen(job.command(ids), stdout=subprocess.PIPE, text=True, cwd=_REPOSITORY, env=environment) as sbatch:
            assert sbatch.stdout is not None
            job_id = sbatch.stdout.readline().strip().split(";")[0]
            if job_id:
                ids.append(job_id)
                print(f"  job {job_id}", flush=True)
                if number == len(jobs):
                    print(f"results: {output} (verdict.txt and report.html when job {job_id} has ended)", flush=True)
            status = sbatch.wait()
        if status == 0 and not re.fullmatch(r"[0-9]+", job_id):
            print(f"slurm/submit: sbatch gave no number of a job but {job_id[:40]!r}; see squeue", file=sys.stderr)
            return 1
        if status != 0 and job_id:
            print(f"slurm/submit: job {job_id} ended with status {status}; see {output}/logs", file=sys.stderr)
            return 1
        if status != 0:
            print(f"slurm/submit: sbatch refused; submitted so far: {' '.join(ids) or 'nothing'}", file=sys.stderr)
            return 1
    if dry_run:
        print(f"results: {output}")
    return 0


def main(arguments: list[str]) -> int:
    """Runs the command line; returns the exit status."""
    extra: list[str] = []
    if "--" in arguments:
        split = arguments.index("--")
        arguments, extra = arguments[:split], arguments[split + 1 :]
    options = build_parser().parse_args(arguments)
    try:
        profile = read_profile(options.profile)
        output, jobs = plan(options, extra, profile)
        return submit(output, jobs, options.dry_run)
    except BadRequest as problem:
        print(f"slurm/submit: {problem}", file=sys.stderr)
        return 2
    except OSError as problem:
        print(f"slurm/submit: {problem}", file=sys.stderr)
        return 2
