"""This project's side of the race: its own benchmark, a process and a run directory for each column and launch."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from peers.model_race.columns import Column
from peers.model_race.workers import RaceError

# The K/V cache and what linear layers round, for each type of weights.
_CHOICES = {"fp32": ("fp32", "fp32"), "bf16": ("bf16", "bf16")}


def experiment(column: Column, weights: Path, threads: int) -> str:
    """Its YAML. A time is from token ids to logits, after an untimed run and the comparison with float64."""
    kv_cache, activations = _CHOICES[column.dtype]
    return f"""\
name: model_race
weights: "{weights}"
scope: model
phase: {column.phase}
grid:
  variant: [sequence+online_softmax]
  dtype: [{column.dtype}]
  activations: [{activations}]
  kv_cache: [{kv_cache}]
  seq_len: [{column.tokens}]
  causal: [true]
  ranks: [1]
  threads: [{threads}]
  isa: [auto]
measure: {{warmup: 1, rounds: auto, pilot_rounds: 0, min_rounds: 2, max_rounds: 15, seconds_per_cell: 2, max_seconds_per_cell: 3000, parts: false, limits: launch, cache: warm, data: gaussian, seed: 1}}
accuracy: {{reference_rows: 1}}
"""


@dataclass(frozen=True)
class Times:
    """Of a column in a launch, on either side."""

    seconds: list[float]
    peak_rss_bytes: int  # of the process, mapped files and all


class OurSide:
    """Runs in `directory`; nothing there is needed once it has answered."""

    def __init__(self, benchmark: Sequence[str], directory: Path, threads: int) -> None:
        self._benchmark, self._directory, self._threads = list(benchmark), directory, threads
        directory.mkdir(parents=True, exist_ok=True)

    def measure(self, column: Column, weights: Path) -> Times:
        run, file = self._directory / "run", self._directory / f"{column.name}.yaml"
        shutil.rmtree(run, ignore_errors=True)
        file.write_text(experiment(column, weights, self._threads), encoding="utf-8")
        with subprocess.Popen([*self._benchmark, "--experiment", str(file), "--output", str(run)]) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RaceError(f"the benchmark failed (status {process.returncode}), {column.name}")
        return Times([float(row["time_s"]) for row in _rows(run / "samples.csv")], 1024 * usage.ru_maxrss)

    def losses(self, weights: Path, dtype: str, ids: Sequence[int]) -> list[float]:
        """Nats of each token but the first."""
        file = self._directory / "ids.txt"
        file.write_text(" ".join(map(str, ids)) + "\n", encoding="ascii")
        output = self._model(weights, dtype, "--perplexity", str(file), "--each-token", "--seq-len", str(len(ids)))
        return [float(nats) for nats in re.findall(r"(?m)^token \d+ \d+ (\S+)$", output)]

    def greedy(self, weights: Path, dtype: str, ids: Sequence[int], count: int) -> list[int]:
        output = self._model(weights, dtype, "--generate", str(count), "--prompt-ids", ",".join(map(str, ids)))
        found = re.search(r"(?m)^generated ([\d,]+)", output)
        return [int(value) for value in found[1].split(",")] if found else []

    def _model(self, weights: Path, dtype: str, *arguments: str) -> str:
        kv_cache, activations = _CHOICES[dtype]
        choices = ["--weights", str(weights), "--dtype", dtype, "--kv-cache", kv_cache, "--activations", activations]
        command = [*self._benchmark, *choices, "--threads", str(self._threads), "--parallel-strategy", "sequence", *arguments]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise RaceError(f"the benchmark failed (status {done.returncode}): {arguments[0]}, {dtype}")
        return done.stdout


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
