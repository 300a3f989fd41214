"""How many nodes, ranks per node and cores per rank: from the experiment, the partition and what the user says."""

from __future__ import annotations

import dataclasses
import math


class BadRequest(Exception):
    """One line for the user; exit status 2."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What `benchmark_qwen3 --print-geometry` says of an experiment file."""

    name: str
    ranks: int  # the most that any cell uses
    launches: int
    threads: int | None  # the most per rank that any cell uses; None: not said

    @staticmethod
    def parse(text: str) -> "Experiment":
        """From lines "key value"."""
        values = dict(line.split(maxsplit=1) for line in text.splitlines() if len(line.split(maxsplit=1)) == 2)
        try:
            threads = values.get("threads")
            return Experiment(
                values["name"], int(values["ranks"]), int(values["launches"]), int(threads) if threads else None
            )
        except (KeyError, ValueError) as problem:
            raise BadRequest(f"--print-geometry of the binary does not say {problem}; is it of this version?") from None


@dataclasses.dataclass(frozen=True)
class Machine:
    """The smallest node of a partition in Slurm's eyes."""

    cores: int
    domains: int  # NUMA domains, as far as Slurm knows: its sockets

    @staticmethod
    def parse(text: str) -> "Machine | None":
        """From sinfo's lines "CPUs sockets cores-per-socket", one per kind of node; None if it knows no node."""
        # A line that is none (N/A, of a node that never answered) says nothing of its nodes.
        lines = [line.split() for line in text.splitlines()]
        kinds = [[int(word) for word in words] for words in lines if len(words) == 3 and all(map(str.isdigit, words))]
        kinds = [kind for kind in kinds if min(kind) > 0]
        if not kinds:
            return None
        return Machine(min(sockets * cores for _, sockets, cores in kinds), min(sockets for _, sockets, _ in kinds))


@dataclasses.dataclass(frozen=True)
class Shape:
    """The geometry of one job."""

    nodes: int
    ranks: int
    ranks_per_node: int
    cores_per_rank: int


def shape_for(
    experiment: Experiment, machine: Machine | None, nodes: int, per_node: int | None, cores: int | None
) -> Shape:
    """The job on `nodes` nodes; per_node and cores None mean auto.

    auto ranks per node: what spreads the experiment's ranks evenly. auto cores per rank: the threads that the experiment
    asks for, else the node's cores divided among its ranks.
    """
    ranks = experiment.ranks if per_node is None else nodes * per_node
    if ranks < experiment.ranks:
        raise BadRequest(
            f"{nodes} nodes x {per_node} ranks are {ranks}, but {experiment.name} has cells of {experiment.ranks} ranks;"
            f" give --ranks-per-node {math.ceil(experiment.ranks / nodes)} or more, or auto"
        )
    if ranks < nodes:
        raise BadRequest(f"{experiment.name} uses {ranks} ranks at most: {nodes} nodes would leave {nodes - ranks} idle")
    each = math.ceil(ranks / nodes)
    if cores is None:
        cores = experiment.threads or (max(1, machine.cores // each) if machine else 1)
    if machine and each * cores > machine.cores:
        raise BadRequest(
            f"{each} ranks x {cores} cores are more than the {machine.cores} of a node;"
            f" give more --nodes, or --cpus-per-task {max(1, machine.cores // each)}"
        )
    return Shape(nodes, ranks, each, cores)


def default_nodes(experiment: Experiment, machine: Machine | None, per_node: int | None) -> int:
    """As many nodes as give each rank a NUMA domain of its own (per_node None), or hold per_node ranks each."""
    return math.ceil(experiment.ranks / (per_node or (machine.domains if machine else 1)))
