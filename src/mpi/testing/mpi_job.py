"""Ranks started inside a test: what mpirun needs in a sandbox, whichever MPI it is of. C++ tests: tools/bazel/run_mpi_test.sh."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import tempfile
from pathlib import Path


def root_allowed() -> dict[str, str]:
    """Open MPI refuses to start ranks as root unless told; containers have nothing but root."""
    return {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.getuid() == 0 else {}


def launcher(ranks: int) -> list[str]:
    """What starts so many ranks, though there may be fewer cores: mpirun, or what MPIRUN names."""
    command = os.environ.get("MPIRUN", "mpirun")
    return [command, *_options(command), "-np", str(ranks)]


@functools.lru_cache(maxsize=None)
def _options(command: str) -> tuple[str, ...]:
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=False).stdout
    # MPICH's launcher (Hydra) binds nothing unless asked and knows no limit of ranks per core.
    return () if "HYDRA" in version else ("--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1")


class MpiScratch:
    """A directory for the files of a test, and the environment in which its ranks keep theirs to themselves."""

    def __init__(self, prefix: str) -> None:
        self._places = contextlib.ExitStack()
        # Open MPI puts UNIX sockets in TMPDIR, whose paths must stay short.
        self.directory = Path(self._place(prefix, "/tmp"))
        # It names shared memory after a process id, and Bazel's sandbox gives every test process ids of its own: two tests at
        # once can have the same.
        memory = self._place(prefix, "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(self.directory))
        places = {f"OMPI_MCA_{component}_backing_directory": memory for component in ("btl_vader", "osc_sm")}
        self.environment = os.environ | {"TMPDIR": str(self.directory)} | places

    def _place(self, prefix: str, parent: str) -> str:
        # Ranks that were killed may leave files while they are removed.
        return self._places.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True))

    def close(self) -> None:
        """Removes everything."""
        self._places.close()

    def __enter__(self) -> MpiScratch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
