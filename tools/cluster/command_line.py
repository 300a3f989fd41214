"""The command line of tools/cluster/cluster."""

import argparse
import os
import re
import signal
import subprocess
import sys

import mpi_run
import slurm_box
from box import Box, all_names, core_lists, require_programs, sweep
from errors import NO_RIGHTS, USAGE, ClusterError
from processes import die_with_parent

_DESCRIPTION = """\
Several hosts on one machine: each node is a set of Linux namespaces with its own host name, network
interface, /dev/shm and cores; the nodes are joined by a switch over links of a chosen speed.
"""

_EXAMPLES = """\
examples:
  cluster run --nodes 2 --link 1gbit -- bazel-bin/src/benchmark_qwen3   a cluster for one mpirun
  cluster up --nodes 4 --slurm         a cluster that stays, with Slurm on it
  cluster exec -- sinfo                one command in node0 of it
  cluster run -- hostname              mpirun across it
  cluster down

exit status: that of the command run; 2 bad usage; 69 a program is missing; 70 the cluster did not come
up; 77 the kernel does not let this user make network namespaces. Needs iproute2, util-linux, python3;
for `run` openmpi-bin; for --slurm slurm-wlm and munge. Root, or a kernel that allows user namespaces.
"""


def _link(text: str) -> str:
    if text == "unshaped" or re.fullmatch(r"[1-9][0-9]*(mbit|gbit)", text):
        return text
    raise argparse.ArgumentTypeError(f"'{text}' is not a link: unshaped, or a rate such as 1gbit, 10gbit, 100mbit")


def _count(text: str) -> int:
    if re.fullmatch(r"[0-9]+", text) and 1 <= int(text) <= 1000:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 to 1000")


def _name(text: str) -> str:
    # Part of a socket path of at most 107 characters.
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,23}", text):
        return text
    raise argparse.ArgumentTypeError(f"'{text}' is not a name: up to 24 letters, digits, '-', '_'")


def build_parser() -> argparse.ArgumentParser:
    """The parser with its subcommands."""
    parser = argparse.ArgumentParser(
        prog="cluster",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    name = argparse.ArgumentParser(add_help=False)
    name.add_argument("--name", type=_name, default="default", help="which cluster (default: default)")
    shape = argparse.ArgumentParser(add_help=False)
    shape.add_argument("--nodes", type=_count, help="number of nodes (default 2)")
    shape.add_argument("--link", type=_link, help="unshaped (default), or a rate such as 1gbit, 10gbit")
    shape.add_argument("--slurm", action="store_true", help="run Slurm on it")
    shape.add_argument("--slurm-cpus", type=_count, metavar="N", help="CPUs per node in Slurm's eyes (default: its cores)")
    program = argparse.ArgumentParser(add_help=False)
    program.add_argument("program", nargs=argparse.REMAINDER, metavar="-- PROGRAM ARGS")

    commands.add_parser("up", parents=[name, shape], help="bring a cluster up; it stays until `down`")
    down = commands.add_parser("down", parents=[name], help="end a cluster; no error if there is none")
    down.add_argument("--all", action="store_true", help="end all clusters of this user")
    commands.add_parser("status", help="list the clusters of this user")
    help_run = "mpirun across a running cluster; with --nodes, across one made for this command"
    run = commands.add_parser("run", parents=[name, shape, program], help=help_run)
    run.add_argument("--ranks-per-node", type=_count, default=1)
    run.add_argument("--mpirun", action="append", default=[], metavar="ARG", help="another argument for mpirun")
    help_exec = "run one command in one node of a running cluster; with --nodes, of one made for it"
    execute = commands.add_parser("exec", parents=[name, shape, program], help=help_exec)
    execute.add_argument("--node", type=int, default=0, help="which node (default 0)")
    return parser


def _start(box: Box, options: argparse.Namespace, bound_to_caller: bool) -> None:
    nodes = options.nodes or 2
    spec = {"nodes": nodes, "link": options.link or "unshaped", "slurm": options.slurm}
    spec |= {"slurm_cpus": options.slurm_cpus, "cores": core_lists(nodes, mpi_run.available_cores())}
    if options.slurm:
        require_programs(slurm_box.PROGRAMS)
        if os.getuid() != 0:
            raise ClusterError(NO_RIGHTS, "--slurm needs root: slurmd changes users and groups to run a job")
    box.start(spec, bound_to_caller)
    if not options.slurm:
        return
    try:
        slurm_box.start(box.directory, spec, lambda node, command: box.enter(node, command, _environment(box, 1)))
    except ClusterError:
        box.stop()
        raise


def _environment(box: Box, ranks_per_node: int | None) -> dict[str, str]:
    """ranks_per_node None: whatever Slurm will be asked for."""
    spec = box.spec()
    cores = mpi_run.cores_of(spec)
    ranks = (ranks_per_node or 1) * spec["nodes"]
    settings = mpi_run.open_mpi_settings(spec["link"], ranks_per_node != 1, ranks, cores)
    return settings | (slurm_box.environment(box.directory) if spec["slurm"] else {})


def _up(options: argparse.Namespace) -> int:
    box = Box(options.name)
    if box.running():
        raise ClusterError(USAGE, f"cluster '{box.name}' is already up (cluster down --name {box.name})")
    _start(box, options, bound_to_caller=False)
    print(_describe(box))
    return 0


def _describe(box: Box) -> str:
    spec = box.spec()
    slurm = ", Slurm" if spec["slurm"] else ""
    return f"{box.name}: {spec['nodes']} nodes, link {spec['link']}{slurm}, {mpi_run.cores_of(spec)} cores in all"


def _status(_: argparse.Namespace) -> int:
    sweep()
    running = [Box(name) for name in all_names() if Box(name).running()]
    for box in running:
        print(_describe(box))
    if not running:
        print("no cluster is up")
    return 0


def _down(options: argparse.Namespace) -> int:
    for name in all_names() if options.all else [options.name]:
        if Box(name).stop():
            print(f"{name}: down")
    return 0


def _run_in(box: Box, node: int, command: list[str], environment: dict[str, str]) -> int:
    """Runs a command in a node; SIGTERM and SIGINT reach it, and it ends when this process is killed."""
    line = box.enter(node, command, environment)
    with subprocess.Popen(line, preexec_fn=die_with_parent, start_new_session=False) as process:

        def forward(signal_number: int, _: object) -> None:
            for pid in _entered(process.pid):
                try:
                    os.kill(pid, signal_number)
                except ProcessLookupError:
                    pass

        signal.signal(signal.SIGTERM, forward)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the command as well
        status = process.wait()
    return status if status >= 0 else 128 - status


def _entered(pid: int) -> list[int]:
    # nsenter forks to enter the pid namespace and does not pass signals on: the command is its child.
    path = f"/proc/{pid}/task/{pid}/children"
    with open(path, encoding="utf-8") as file:
        return [int(word) for word in file.read().split()] or [pid]


def _run(options: argparse.Namespace) -> int:
    program = options.program[1:] if options.program[:1] == ["--"] else options.program
    if not program:
        raise ClusterError(USAGE, f"nothing to run: cluster {options.command} [options] -- PROGRAM ARGS")
    temporary = options.nodes is not None
    if not temporary and (options.link is not None or options.slurm or options.slurm_cpus):
        raise ClusterError(USAGE, "--link and --slurm are chosen when a cluster is made: give --nodes too, or use `up`")
    box = Box(f"run-{os.getpid()}" if temporary else options.name)
    if options.command == "run":
        require_programs({"mpirun": "openmpi-bin"})
    if not temporary and not box.running():
        raise ClusterError(USAGE, f"cluster '{box.name}' is not up (cluster up --name {box.name}, or give --nodes)")
    try:
        if temporary:
            _start(box, options, bound_to_caller=True)
        return _run_program(box, options, program)
    finally:
        if temporary:
            box.stop()


def _run_program(box: Box, options: argparse.Namespace, program: list[str]) -> int:
    spec = box.spec()
    node = getattr(options, "node", 0)
    if not 0 <= node < spec["nodes"]:
        raise ClusterError(USAGE, f"there is no node {node}: cluster '{box.name}' has {spec['nodes']}")
    per_node = getattr(options, "ranks_per_node", None)
    environment = _environment(box, per_node)
    if options.command == "run":
        program = mpi_run.mpirun_command(spec["nodes"], per_node, options.mpirun, program)
    return _run_in(box, node, program, environment)


def main(arguments: list[str]) -> int:
    """Runs the command line; returns the exit status."""
    options = build_parser().parse_args(arguments)
    actions = {"up": _up, "down": _down, "status": _status, "run": _run, "exec": _run}
    # ip, tc and Slurm's daemons are there, and users other than root often do not have it.
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    # As an exception, so that a cluster that is half up is taken down.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        return actions[options.command](options)
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return error.status
