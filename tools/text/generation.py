"""Token ids from benchmark_qwen3 --generate, as they come."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generator, Iterator, Sequence

from tools.text.problem import FAILED, Problem

_CHUNK = 1 << 16
_PATIENCE_SECONDS = 5


@dataclass(frozen=True)
class Engine:
    """How the binary is started. options: further ones of benchmark_qwen3."""

    binary: Path
    model: Path
    ranks: int
    options: Sequence[str]

    def command(self, prompt_file: Path, count: int, stop_ids: Sequence[int]) -> list[str]:
        """For at most `count` tokens after the prompt, the last of them the first of stop_ids."""
        command = [str(self.binary), "--weights", str(self.model), "--generate", str(count)]
        command += ["--prompt-file", str(prompt_file)]
        if stop_ids:
            command += ["--stop-ids", ",".join(map(str, stop_ids))]
        # The binary pins its own ranks and threads; mpirun must not.
        start = [] if self.ranks == 1 else [mpirun_command(), "-np", str(self.ranks), "--bind-to", "none"]
        return [*start, *command, *self.options]


def mpirun_command() -> str:
    """mpirun, or what MPIRUN names."""
    name = os.environ.get("MPIRUN", "mpirun")
    if shutil.which(name) is None:
        raise Problem(f"there is no {name} on PATH, which starts the ranks (Debian: openmpi-bin)")
    # Not what was found: called by a whole path, Open MPI's looks for its parts beside it, and below / for /bin/mpirun.
    return name


def generate(engine: Engine, prompt: Sequence[int], count: int, stop_ids: Sequence[int]) -> Generator[int, None, None]:
    """The ids, each as soon as the binary has printed what follows it. Closing the iterator ends the binary."""
    with tempfile.TemporaryDirectory(prefix="chat.") as scratch:
        prompt_file = Path(scratch) / "prompt_ids.txt"
        prompt_file.write_text("\n".join(map(str, prompt)) + "\n", encoding="ascii")
        with open(Path(scratch) / "said", "w+b") as said:
            yield from _run(engine.command(prompt_file, count, stop_ids), said)


def _run(command: Sequence[str], said: IO[bytes]) -> Iterator[int]:
    environment = dict(os.environ)
    # Open MPI refuses to run as root unless told; containers have nothing but root.
    if os.geteuid() == 0:
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    # In a session of its own, so that the launcher and its ranks are ended together, by us.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=said,
        env=environment,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield from _ids(process.stdout)
        status = process.wait()
    finally:
        _end(process)
    if status != 0:
        said.seek(0)
        raise _failure(status, said.read().decode(errors="replace"))


def _ids(output: IO[bytes]) -> Iterator[int]:
    """Of the line "generated 1,2,3", without waiting for its end; see src/experiment/commands/generation.h."""
    before, text = True, b""
    while chunk := os.read(output.fileno(), _CHUNK):
        text += chunk
        if before:
            found = text.find(b"\ngenerated ")
            if found < 0:
                continue
            before, text = False, text[found + len(b"\ngenerated ") :]
        line, end, _ = text.partition(b"\n")
        numbers = line.split(b",")
        # The last is whole only at the end of the line.
        text = b"" if end else numbers.pop()
        yield from map(int, numbers)
        if end:
            break
    while os.read(output.fileno(), _CHUNK):
        pass  # the rates


def _failure(status: int, said: str) -> Problem:
    """In the binary's own words, which a launcher may have surrounded with its own."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    own = [line for line in lines if line.startswith("benchmark_qwen3: ")]
    how = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
    message = (own or lines or [f"benchmark_qwen3 {how} and said nothing"])[-1]
    return Problem(message, 2 if status == 2 else FAILED)


def _end(process: subprocess.Popen[bytes]) -> None:
    """The whole group, if its leader is there; at once if somebody cannot wait."""
    if process.poll() is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(process.pid, number)
            try:
                process.wait(_PATIENCE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
            except KeyboardInterrupt:
                os.killpg(process.pid, signal.SIGKILL)
                raise
    if process.stdout is not None:
        process.stdout.close()
