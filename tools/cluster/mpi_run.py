"""mpirun across the nodes of a cluster."""

import os
import pathlib

_SOURCE = pathlib.Path(__file__).resolve().parent


def open_mpi_settings(link: str, several_per_node: bool, ranks: int, cores: int) -> dict[str, str]:
    """Environment that makes Open MPI use the nodes' network, for mpirun and srun alike.

    several_per_node: ranks of one node talk through its shared memory, as they do elsewhere.
    """
    settings = {
        "OMPI_MCA_pml": "ob1",
        "OMPI_MCA_btl": "tcp,vader,self" if several_per_node else "tcp,self",
        "OMPI_MCA_btl_tcp_if_include": "eth0",
        "OMPI_MCA_oob_tcp_if_include": "eth0",
        # Inside, we are root of the cluster in any case, and of nothing else.
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }
    if link != "unshaped":
        # Send only, no emulated put/get. Of an exchange on 1 Gbit 2 to 4 % more is hidden; unshaped it is slower.
        settings["OMPI_MCA_btl_tcp_flags"] = "1"
    if ranks > cores:
        settings["OMPI_MCA_mpi_yield_when_idle"] = "1"
    return settings


def mpirun_command(nodes: int, ranks_per_node: int, arguments: list[str], program: list[str]) -> list[str]:
    """The mpirun command line, to be run in node0. enter_node has limited each node to its own cores; pin_rank
    divides those among the node's ranks."""
    hosts = ",".join(f"node{i}:{ranks_per_node}" for i in range(nodes))
    return [
        *["mpirun", "--host", hosts, "-np", str(nodes * ranks_per_node), "--map-by", "slot", "--bind-to", "none"],
        *["--mca", "plm", "rsh", "--mca", "plm_rsh_agent", str(_SOURCE / "remote_shell")],
        *arguments,
        *[str(_SOURCE / "pin_rank"), *program],
    ]


def cores_of(spec: dict) -> int:
    """How many different cores a cluster's nodes have together."""
    return len({core for cores in spec["cores"] for core in cores.split(",")})


def available_cores() -> list[int]:
    """The cores this process may use."""
    return sorted(os.sched_getaffinity(0))
