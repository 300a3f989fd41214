"""Runs the two binaries in turn: which slice when, the start of a binary, and what it left in its CSV files."""

from __future__ import annotations

import csv
import os
import random
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Mapping, Sequence

from tools.revisions.judgement import CaseKey, Pair
from tools.revisions.problem import Problem
from tools.revisions.slices import Slice

# A start that lasts so long hangs: the longest slice takes some twenty seconds.
_LIMIT_SECONDS = 600
_PATIENCE_SECONDS = 10
# With fewer visits an interval says nothing.
MINIMUM_ROUNDS = 3


@dataclass(frozen=True)
class Outcome:
    """What one start gave: seconds by variant, or why there are none."""

    times: Mapping[str, float]
    failures: Mapping[str, str]


def mpirun_command() -> str:
    """mpirun, or what MPIRUN names."""
    name = os.environ.get("MPIRUN", "mpirun")
    found = shutil.which(name)
    if found is None:
        raise Problem(f"there is no {name} on PATH, which starts the binaries (Debian: openmpi-bin)")
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError:
        return []


def read_outcome(directory: Path, variants: Sequence[str], printed: str) -> Outcome:
    """From samples.csv and cases.csv, of which only variant, round, time_s, status and message are read. `printed`: what the
    binary said, the reason where the files hold none."""
    samples: dict[str, list[float]] = {}
    for row in _rows(directory / "samples.csv"):
        if int(row["round"]) >= 0 and row["status"] != "failed":
            samples.setdefault(row["variant"], []).append(float(row["time_s"]))
    # A case that could be measured may still have been wrong.
    failures = {
        row["variant"]: row["message"] or "failed"
        for row in _rows(directory / "cases.csv")
        if row["status"] == "failed" and row["variant"] in variants
    }
    words = [line for line in printed.splitlines() if line.startswith("benchmark_qwen3:")] or printed.splitlines()[-1:]
    for variant in variants:
        if variant not in samples and variant not in failures:
            failures[variant] = " ".join(words) or "no sample and no message"
    times = {variant: statistics.median(samples[variant]) for variant in variants if variant not in failures}
    return Outcome(times, failures)


class Starter:
    """Starts a binary on a slice."""

    def __init__(self, binaries: Mapping[str, Path], directory: Path) -> None:
        self._binaries = binaries
        self._directory = directory
        self._mpirun = mpirun_command()
        self._environment = dict(os.environ)
        # Open MPI refuses to run as root unless told; containers have nothing but root.
        if os.geteuid() == 0:
            self._environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

    def isas(self, side: str) -> list[str]:
        """The instruction sets that the binary can use here."""
        printed = self._run([str(self._binaries[side]), "--list"])
        for line in printed.splitlines():
            if line.startswith("ISAs of this machine:"):
                return line.split(":")[1].split()
        raise Problem(f"the {side} binary does not start: {printed or 'no output'}")

    def start(self, side: str, part: Slice, seed: int) -> Outcome:
        """One start of the side's binary."""
        file, output = self._directory / "slice.yaml", self._directory / "run"
        file.write_text(part.experiment(seed), encoding="utf-8")
        shutil.rmtree(output, ignore_errors=True)
        # The binary pins its own ranks and threads; mpirun must not.
        printed = self._run(
            [self._mpirun, "-np", str(part.ranks), "--bind-to", "none", str(self._binaries[side])]
            + ["--experiment", str(file), "--output", str(output)]
        )
        return read_outcome(output, part.variants, printed)

    def _run(self, command: Sequence[str]) -> str:
        """What it printed, or why it could not be run."""
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=self._environment,
            )
        except OSError as error:
            return error.strerror or str(error)
        try:
            return process.communicate(timeout=_LIMIT_SECONDS)[0]
        except subprocess.TimeoutExpired:
            return f"did not end in {_LIMIT_SECONDS} s"
        finally:
            # mpirun passes an order to stop on to its ranks; killed, it would leave them.
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=_PATIENCE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@dataclass
class Measured:
    """What all visits together gave."""

    pairs: dict[CaseKey, list[Pair]] = field(default_factory=dict)
    # Cases that the new binary cannot do, twice in a row, though the old one can; and those that the old one cannot.
    broken: dict[CaseKey, str] = field(default_factory=dict)
    left_out: dict[CaseKey, str] = field(default_factory=dict)
    rounds: int = 0  # complete ones


@dataclass(frozen=True)
class Bounds:
    """When to stop: after so many rounds, or so many seconds but never before MINIMUM_ROUNDS."""

    rounds: int | None
    seconds: float | None


Start = Callable[[str, Slice, int], Outcome]


def _try_twice(start: Start, side: str, part: Slice, seed: int, alive: Sequence[str]) -> Outcome:
    """A second start is asked for what the first could not do: a busy machine can make a sample look impossible."""
    first = start(side, part, seed)
    if not any(variant in first.failures for variant in alive):
        return first
    second = start(side, part, seed)
    failures = {variant: why for variant, why in second.failures.items() if variant in first.failures}
    return Outcome({**second.times, **first.times}, failures)


def visit(start: Start, part: Slice, seed: int, sides: Sequence[str], measured: Measured) -> None:
    """Both binaries on one slice, in the order of `sides`; the pairs go into `measured`."""
    keys = {variant: CaseKey(part.group, part.title, variant) for variant in part.variants}
    alive = [v for v, key in keys.items() if key not in measured.broken and key not in measured.left_out]
    if not alive:
        return
    outcomes = {side: _try_twice(start, side, part, seed, alive) for side in sides}
    for variant in alive:
        old, new = (outcomes[side] for side in ("old", "new"))
        if variant in old.failures:
            measured.left_out[keys[variant]] = old.failures[variant]
        elif variant in new.failures:
            measured.broken[keys[variant]] = new.failures[variant]
        else:
            measured.pairs.setdefault(keys[variant], []).append(Pair(old.times[variant], new.times[variant]))


def measure(
    start: Start,
    slices: Sequence[Slice],
    bounds: Bounds,
    show: Callable[[str, float], None],
    clock: Callable[[], float] = time.monotonic,
    chance: random.Random | None = None,
) -> Measured:
    """Visits all slices in rounds, each in an order of its own, the two binaries of a visit in random order.

    `show` is told what comes next and how many seconds are left.
    """
    chance = chance or random.Random()
    measured = Measured()
    begin = clock()
    per_round = sum(part.visits for part in slices)
    done = 0

    def seconds_left() -> float:
        per_visit = (clock() - begin) / done
        guesses = []
        if bounds.rounds is not None:
            guesses.append((bounds.rounds * per_round - done) * per_visit)
        if bounds.seconds is not None:
            at_least = (MINIMUM_ROUNDS * per_round - done) * per_visit
            guesses.append(max(at_least, bounds.seconds - (clock() - begin)))
        return max(0.0, min(guesses))

    while bounds.rounds is None or measured.rounds < bounds.rounds:
        plan = [part for part in slices for _ in range(part.visits)]
        chance.shuffle(plan)
        for part in plan:
            if bounds.seconds is not None and measured.rounds >= MINIMUM_ROUNDS and clock() - begin >= bounds.seconds:
                return measured
            show(f"round {measured.rounds + 1}, {part.group} {part.title}", seconds_left() if done else float("nan"))
            sides = ["old", "new"]
            chance.shuffle(sides)
            visit(start, part, done + 1, sides, measured)
            done += 1
        measured.rounds += 1
    return measured
