"""Slurm on the nodes of a cluster: munge, slurmctld on node0, one slurmd per node, all in the cluster's directory.

Nothing of the host's configuration is read or changed: munge has its own key and socket, Slurm its own configuration
file, state, spool and logs. The daemons are children of the cluster's process 1 and die with it.
"""

import os
import pathlib
import subprocess
import time

from errors import FAILED, ClusterError
from inside import node_address

PROGRAMS = {
    "munged": "munge",
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "sbatch": "slurm-client",
    "srun": "slurm-client",
}
_START_SECONDS = 30.0


def configuration(directory: pathlib.Path, spec: dict) -> str:
    """slurm.conf of the cluster. One partition `box` with all nodes; a core is a CPU."""
    slurm = directory / "slurm"
    lines = [
        "ClusterName=box",
        f"SlurmctldHost=node0({node_address(0)})",
        # Whoever started the cluster is root inside it.
        "SlurmUser=root",
        "SlurmdUser=root",
        "AuthType=auth/munge",
        # With the default of 120 s a requeued job waits two minutes for its credential to expire.
        f"AuthInfo=socket={slurm}/munge.socket,cred_expire=5",
        f"StateSaveLocation={slurm}/state",
        f"SlurmdSpoolDir={slurm}/spool/%n",
        f"TmpFS={slurm}/tmp/%n",
        f"SlurmctldPidFile={slurm}/slurmctld.pid",
        f"SlurmdPidFile={slurm}/slurmd.%n.pid",
        f"SlurmctldLogFile={slurm}/slurmctld.log",
        f"SlurmdLogFile={slurm}/slurmd.%n.log",
        # What needs systemd or cgroups is left out: the cluster has neither.
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "JobAcctGatherType=jobacct_gather/none",
        "SwitchType=switch/none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core",
        "SlurmdParameters=config_overrides",
        "MpiDefault=pmix",
        "PropagateResourceLimits=NONE",
        "JobCompType=jobcomp/filetxt",
        f"JobCompLoc={slurm}/completed.txt",
        "ReturnToService=2",
        "JobRequeue=1",
        "SlurmdTimeout=30",
        "InactiveLimit=0",
        "KillWait=5",
        "MinJobAge=300",
        "SchedulerParameters=sched_interval=2,sched_min_interval=0,batch_sched_delay=0",
    ]
    for index, cores in enumerate(spec["cores"]):
        cpus = spec["slurm_cpus"] or len(cores.split(","))
        lines.append(
            f"NodeName=node{index} NodeAddr={node_address(index)} CPUs={cpus} Sockets=1 CoresPerSocket={cpus} "
            "ThreadsPerCore=1 RealMemory=1000 State=UNKNOWN"
        )
    lines.append(f"PartitionName=box Nodes=node[0-{spec['nodes'] - 1}] Default=YES MaxTime=INFINITE State=UP")
    return "\n".join(lines) + "\n"


def environment(directory: pathlib.Path) -> dict[str, str]:
    """What a program in the cluster needs to find its Slurm."""
    return {"SLURM_CONF": str(directory / "slurm" / "slurm.conf")}


def start(directory: pathlib.Path, spec: dict, enter) -> None:
    """Starts the daemons and waits until every node is idle.

    enter(node, command) gives the command line that runs a command in a node.
    """
    slurm = directory / "slurm"
    for name in ("state", *(f"{kind}/node{i}" for kind in ("spool", "tmp") for i in range(spec["nodes"]))):
        (slurm / name).mkdir(parents=True)
    slurm.chmod(0o755)
    (slurm / "slurm.conf").write_text(configuration(directory, spec))
    key = slurm / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    files = [f"--{kind}-file={slurm}/munge.{kind.split('-')[0]}" for kind in ("key", "pid", "log", "seed")]
    _daemon(enter(0, ["munged", "--force", f"--socket={slurm}/munge.socket", *files]), slurm)
    _daemon(enter(0, ["slurmctld", "-c", "-i"]), slurm)
    for index in range(spec["nodes"]):
        _daemon(enter(index, ["slurmd", "-N", f"node{index}"]), slurm)
    _wait_until_idle(spec["nodes"], enter, slurm)


def _daemon(command: list[str], slurm: pathlib.Path) -> None:
    with open(slurm / "start.log", "a", encoding="utf-8") as log:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if result.returncode != 0:
        lines = (slurm / "start.log").read_text().strip().splitlines()[-1:]
        raise ClusterError(FAILED, f"Slurm did not start: {' '.join(lines)}")


def _wait_until_idle(nodes: int, enter, slurm: pathlib.Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    command = enter(0, ["timeout", "5", "sinfo", "--noheader", "--Node", "--format=%T"])
    while True:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.stdout.split() == ["idle"] * nodes:
            return
        if time.monotonic() > deadline:
            lines = [path.name + ": " + line for path in slurm.glob("*.log") for line in path.read_text().splitlines()[-1:]]
            raise ClusterError(FAILED, f"Slurm's nodes are not idle after {_START_SECONDS:.0f} s [{'; '.join(lines)}]")
        time.sleep(0.05)
