"""Processes told apart by pid and start time, so that a reused pid is never mistaken for ours."""

import ctypes
import dataclasses
import os
import pathlib
import signal
import time

_PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True)
class ProcessId:
    """A process of this pid namespace; `start` is its start time in clock ticks since boot."""

    pid: int
    start: int

    @staticmethod
    def of(pid: int) -> "ProcessId | None":
        """The process that has this pid now, None if there is none or only its zombie."""
        try:
            # The second field is "(name)", and a name may contain anything.
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        if fields[0] in "ZX":
            return None
        return ProcessId(pid, int(fields[19]))

    @staticmethod
    def load(path: pathlib.Path) -> "ProcessId | None":
        """Reads what save() wrote; None if the file is not there or not whole."""
        try:
            pid, start = path.read_text().split()
            return ProcessId(int(pid), int(start))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None

    def save(self, path: pathlib.Path) -> None:
        """Writes "pid start"; readers never see half of it."""
        partial = path.with_suffix(".partial")
        partial.write_text(f"{self.pid} {self.start}\n")
        partial.rename(path)

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return ProcessId.of(self.pid) == self

    def kill(self, timeout_seconds: float = 20.0) -> bool:
        """Sends SIGKILL and waits until the process is gone; False if it is still there."""
        deadline = time.monotonic() + timeout_seconds
        while self.alive():
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def children(pid: int) -> list[int]:
    """Pids of the direct children of a single-threaded process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(word) for word in text.split()]


def die_with_parent(sig: int = signal.SIGTERM) -> None:
    """For preexec_fn: the kernel sends `sig` to this process when its parent dies, even by kill -9."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, sig, 0, 0, 0)
