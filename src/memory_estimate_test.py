"""What --dry-run says of memory, against the resident set of the process that then runs: within 10 % or 64 MiB.

    memory_estimate_test.py [few|all]

Every case is a one-off run with one round. `few` takes the first five.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from src.mpi.testing.mpi_job import MpiScratch, launcher, root_allowed

BINARY = Path("src/benchmark_qwen3").resolve()
SLACK_MIB = 64.0
SLACK_SHARE = 0.1
# Ranks, and the run. Each line of the grid is another part of memory that has been forgotten once.
GRID = (
    (1, "--seq-len 64"),
    (1, "--seq-len 64 --cache cold"),
    (1, "--scope block --phase decode --seq-len 2048"),
    (1, "--scope layer --seq-len 32"),
    (2, "--scope layer --seq-len 512 --model qwen3-8b"),
    (1, "--seq-len 4096"),
    (1, "--seq-len 4096 --attention-algo standard"),
    (2, "--seq-len 4096"),
    (2, "--seq-len 8192 --parallel-strategy sequence --contract token_sharded"),
    (2, "--seq-len 4096 --contract replicated --parallel-strategy sequence"),
    (1, "--scope model --seq-len 32 --dtype bf16"),
    (1, "--seq-len 16384 --model qwen3-8b"),
    (1, "--seq-len 16384 --model qwen3-8b --dtype bf16"),
    (2, "--seq-len 16384 --model qwen3-8b --contract token_sharded"),
    (2, "--seq-len 16384 --model qwen3-8b --parallel-strategy sequence --exchange allgather"),
    (4, "--seq-len 8192 --model qwen3-8b --parallel-strategy sequence"),
    (4, "--seq-len 4096 --parallel-strategy sequence --grid 2x2"),
    (1, "--seq-len 512 --batch 16"),
    (2, "--seq-len 2048 --batch 8 --contract token_sharded"),
    (1, "--phase decode --seq-len 65536 --model qwen3-8b"),
    (2, "--phase decode --seq-len 65536 --model qwen3-8b --parallel-strategy sequence"),
    (2, "--phase decode --seq-len 65536 --model qwen3-8b"),
    (1, "--seq-len 8192 --mask window:256"),
    (1, "--seq-len 1024 --threads 2"),
    (1, "--scope block --seq-len 1024 --model qwen3-8b"),
    (1, "--scope block --seq-len 4096"),
    (2, "--scope block --seq-len 4096 --parallel-strategy sequence"),
    (2, "--scope block --seq-len 2048"),
    (1, "--scope block --seq-len 512 --attention-algo standard --dtype bf16"),
    (1, "--scope layer --seq-len 1024"),
    (1, "--scope layer --seq-len 2048 --dtype bf16"),
    (2, "--scope layer --seq-len 2048 --parallel-strategy sequence"),
    (2, "--scope layer --phase decode --seq-len 1024"),
    (2, "--scope layer --phase decode --seq-len 1024 --parallel-strategy sequence"),
    (1, "--scope layer --seq-len 256 --batch 4"),
    (1, "--scope model --seq-len 256 --dtype bf16"),
    (1, "--scope model --seq-len 32"),
    (2, "--scope model --seq-len 64"),
    (2, "--scope model --seq-len 256 --dtype bf16 --parallel-strategy sequence"),
    (1, "--scope model --phase decode --seq-len 128 --dtype bf16"),
    (1, "--scope layer --phase decode --seq-len 65536 --dtype bf16 --activations bf16 --kv-cache bf16"),
    (2, "--scope layer --seq-len 4096 --dtype bf16 --kv-cache bf16 --parallel-strategy sequence"),
    (1, "--scope layer --phase decode --seq-len 131072 --kv-cache int8"),
    (1, "--scope block --seq-len 32768 --mask window:64 --kv-cache int8"),
)
# Started by mpirun for each rank: runs the command, and writes the peak of its resident set, in KiB, and its status.
PROBE = """
import os, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
with open(os.environ["PEAKS"], "a", encoding="ascii") as file:
    file.write(f"{peak} {done.returncode}\\n")
"""


def compare(ranks: int, arguments: str) -> tuple[float, float]:
    """MiB that were estimated, and the most that a rank had."""
    command = [str(BINARY), *arguments.split(), "--rounds", "1", "--warmup", "0"]
    if "--threads" not in arguments:
        command += ["--threads", "1"]
    launch = launcher(ranks)
    with MpiScratch("mem.") as scratch:
        peaks_file = scratch.directory / "peaks"
        variables = scratch.environment | root_allowed() | {"PEAKS": str(peaks_file)}
        planned = subprocess.run(
            [*launch, *command, "--dry-run"], env=variables, capture_output=True, text=True, check=True, cwd=scratch.directory
        ).stdout
        rows = [line.split() for line in planned.splitlines() if re.match(r" *[0-9a-f]{10} ", line)]
        subprocess.run(
            [*launch, sys.executable, "-c", PROBE, *command],
            env=variables,
            capture_output=True,
            check=False,
            cwd=scratch.directory,
        )
        peaks = [line.split() for line in peaks_file.read_text(encoding="ascii").splitlines()]
    if len(peaks) != ranks or any(status != "0" for _, status in peaks):
        raise AssertionError(f"{ranks} x {arguments}: the run failed: {peaks}")
    return float(rows[0][-2]), max(int(peak) for peak, _ in peaks) / 1024


def main(arguments: list[str]) -> int:
    """Exit status."""
    cases = GRID if arguments == ["all"] else GRID[:5]
    wrong = 0
    for ranks, case in cases:
        estimate, peak = compare(ranks, case)
        is_right = abs(estimate - peak) <= max(SLACK_MIB, SLACK_SHARE * peak)
        wrong += not is_right
        print(f"{'ok   ' if is_right else 'WRONG'} {estimate:6.0f} of {peak:6.0f} MiB  {ranks} x {case}", flush=True)
    print(f"{len(cases)} cases, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
