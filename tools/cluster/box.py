"""A cluster's life as seen from outside: start, find, enter, kill.

Three processes carry a cluster: the supervisor (a daemon of ours) starts `unshare`, which makes the namespaces and
forks process 1 (inside.py). Whoever dies, the rest follows: process 1 takes everything in the cluster with it,
`unshare --kill-child` takes process 1 along, the supervisor removes the directory; and a supervisor that was killed
itself leaves only a directory, which the next command sweeps away.
"""

import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import time

from errors import FAILED, NO_RIGHTS, UNAVAILABLE, USAGE, ClusterError
from processes import ProcessId, children, die_with_parent

_SOURCE = pathlib.Path(__file__).resolve().parent
_NAMESPACES = ["--fork", "--pid", "--mount-proc", "--kill-child", "--net", "--mount", "--uts", "--ipc"]
_PROGRAMS = {"unshare": "util-linux", "nsenter": "util-linux", "taskset": "util-linux", "hostname": "hostname"} | {"ip": "iproute2", "tc": "iproute2"}
_START_SECONDS = 60.0


def root_directory() -> pathlib.Path:
    """Where clusters keep their files: short, because Open MPI and Slurm put sockets below it (107 characters)."""
    return pathlib.Path(os.environ.get("CLUSTER_ROOT", f"/tmp/cluster-{os.getuid()}"))


def require_programs(packages: dict[str, str]) -> None:
    """Refuses if one of {program: Debian package} is missing."""
    for program, package in packages.items():
        if shutil.which(program) is None:
            raise ClusterError(UNAVAILABLE, f"'{program}' is missing (Debian package {package})")


def unshare_command() -> list[str]:
    """The unshare command that this user may run; refuses with NO_RIGHTS if there is none.

    Root can make namespaces directly; anyone else becomes root of a user namespace first, where the kernel lets them.
    What is tried is all that a cluster needs: the namespaces, a link between two of them and a limit on it.
    """
    trial = (
        "ip link add name port0 type veth peer name eth0 && ip link add name switch type bridge && "
        "tc qdisc add dev port0 root tbf rate 1gbit burst 128kb limit 1mb && "
        "mount -t tmpfs none /dev/shm && unshare --net --uts --ipc --mount true"
    )
    reason = "unshare failed"
    for user in ([], ["--user", "--map-root-user"]):
        command = ["unshare", *user, *_NAMESPACES]
        result = subprocess.run(command + ["sh", "-c", trial], capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return command
        reason = (result.stderr.strip().splitlines() or [reason])[-1]
    raise ClusterError(
        NO_RIGHTS, f"no right to make network namespaces here, neither directly nor in a user namespace ({reason})"
    )


def core_lists(nodes: int, cores: list[int]) -> list[str]:
    """The cores of each node, as taskset lists: equal disjoint slices, or one core each in turn if too few."""
    each = len(cores) // nodes
    if each == 0:
        return [str(cores[i % len(cores)]) for i in range(nodes)]
    return [",".join(str(core) for core in cores[i * each : (i + 1) * each]) for i in range(nodes)]


class Box:
    """A cluster by its name; whether it runs is asked of the kernel each time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.directory = root_directory() / name

    def running(self) -> bool:
        """Whether process 1 of the cluster lives."""
        first = ProcessId.load(self.directory / "first")
        return first is not None and first.alive()

    def spec(self) -> dict:
        """What the cluster was started with: nodes, link, cores, slurm."""
        return json.loads((self.directory / "spec.json").read_text())

    def age_seconds(self) -> float:
        """Since the directory was made or last changed; 0 if it is gone."""
        try:
            return time.time() - self.directory.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def start(self, spec: dict, bound_to_caller: bool) -> None:
        """Brings the cluster up and returns when every node answers.

        bound_to_caller: the cluster ends with this process, however that ends.
        """
        require_programs(_PROGRAMS)
        command = unshare_command()
        sweep()
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.directory.mkdir(mode=0o755)
        except FileExistsError as error:
            raise ClusterError(USAGE, f"cluster '{self.name}' is already up (cluster down --name {self.name})") from error
        (self.directory / "spec.json").write_text(json.dumps(spec) + "\n")
        command += [sys.executable or "python3", str(_SOURCE / "inside.py"), str(self.directory)]
        self._start_supervisor(command, bound_to_caller)
        deadline = time.monotonic() + _START_SECONDS
        while not (self.directory / "ready").exists():
            failed = self.directory / "failed"
            if failed.exists() or not self.directory.exists() or time.monotonic() > deadline:
                reason = failed.read_text().strip() if failed.exists() else "it did not start"
                log = self.directory / "log"
                lines = log.read_text().strip().splitlines()[-3:] if log.exists() else []
                self.stop()
                raise ClusterError(FAILED, f"cluster '{self.name}': {reason} [{'; '.join(lines)}]")
            time.sleep(0.01)

    def _start_supervisor(self, command: list[str], bound_to_caller: bool) -> None:
        owner_end, our_end = os.pipe()  # nothing is ever written: the supervisor sees the end of file
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(our_end)
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                if os.fork() == 0:
                    self._supervise(command, owner_end if bound_to_caller else None)
                status = 0
            finally:
                os._exit(status)  # the caller's cleanup handlers are not ours to run
        os.close(owner_end)
        os.waitpid(child, 0)
        if not bound_to_caller:
            os.close(our_end)
        # Otherwise our_end stays open (and is not inherited by what we run) until this process ends.

    def _supervise(self, command: list[str], owner_end: int | None) -> None:
        ProcessId.of(os.getpid()).save(self.directory / "supervisor")
        os.chdir("/")
        with open(self.directory / "log", "a", encoding="utf-8") as log, open(os.devnull, "rb") as null:
            for stream, target in ((0, null), (1, log), (2, log)):
                os.dup2(target.fileno(), stream)
            # SIGKILL, because unshare blocks SIGTERM while its child runs.
            unshare = subprocess.Popen(command, preexec_fn=lambda: die_with_parent(signal.SIGKILL))
            while unshare.poll() is None and not children(unshare.pid):
                time.sleep(0.001)
            first = next((ProcessId.of(pid) for pid in children(unshare.pid)), None)
            if first is not None:
                first.save(self.directory / "first")
            while unshare.poll() is None:
                watched = [] if owner_end is None else [owner_end]
                if select.select(watched, [], [], 0.2)[0]:
                    unshare.kill()
                    unshare.wait()
            if first is not None:
                first.kill()
        keep = (self.directory / "failed").exists()  # start() reads the reason, then removes the directory
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def stop(self) -> bool:
        """Kills everything in the cluster and removes its directory; True if there was something to stop.

        Safe to repeat, and in any state that a killed start or stop left behind.
        """
        existed = self.directory.exists()
        # Both are read first, for the supervisor removes the files while we wait.
        first, supervisor = (ProcessId.load(self.directory / role) for role in ("first", "supervisor"))
        if first is not None and not first.kill():
            raise ClusterError(FAILED, f"cluster '{self.name}': process {first.pid} does not die")
        if supervisor is not None:
            deadline = time.monotonic() + 5.0
            while supervisor.alive() and time.monotonic() < deadline:
                time.sleep(0.01)
            supervisor.kill()
        shutil.rmtree(self.directory, ignore_errors=True)
        return existed

    def enter(self, node: int, command: list[str], environment: dict[str, str]) -> list[str]:
        """The command line that runs `command` in a node from outside, in the same directory.

        The command gets SIGTERM when its caller dies. `environment` is added to the caller's.
        """
        first = ProcessId.load(self.directory / "first")
        if first is None:
            raise ClusterError(USAGE, f"cluster '{self.name}' is not up")
        settings = {"CLUSTER_BOX": str(self.directory)} | environment
        user = []
        if os.readlink(f"/proc/{first.pid}/ns/user") != os.readlink("/proc/self/ns/user"):
            user = ["--user", "--preserve-credentials"]
        return [
            *["nsenter", "--target", str(first.pid), *user, "--pid", "--mount", "--net", "--uts", "--ipc"],
            *["env", *(f"{key}={value}" for key, value in settings.items())],
            *["setpriv", "--pdeathsig", "TERM"],
            *["sh", "-c", 'cd "$0" && exec "$@"', os.getcwd()],
            *[str(_SOURCE / "enter_node"), f"node{node}", *command],
        ]


def all_names() -> list[str]:
    """Names of the clusters that have a directory, running or not."""
    root = root_directory()
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []


def sweep() -> None:
    """Removes what clusters whose processes were killed left on disk."""
    for name in all_names():
        box = Box(name)
        if box.running():
            continue
        started = (box.directory / "first").exists()
        supervisor = ProcessId.load(box.directory / "supervisor")
        coming_up = not started and (box.age_seconds() < _START_SECONDS if supervisor is None else supervisor.alive())
        if not coming_up:
            box.stop()
