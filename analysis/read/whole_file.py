"""Files that are read and written whole, or not at all: UnusableInput in one line, whatever stands at the path.

Only regular files are read: whoever opened a pipe or a device under the name of a file of a run would wait for ever.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Sequence

from analysis.read.unusable_input import UnusableInput


def read_whole(path: Path) -> bytes:
    """The bytes of a regular file; raises OSError."""
    # O_NONBLOCK: else a pipe without a writer would already be waited for here.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read()


def is_there(path: Path) -> bool:
    """Whether something is at the path; raises UnusableInput where that cannot be known (a name too long, a closed directory)."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as problem:
        raise UnusableInput(f"{path}: cannot be looked at: {getattr(problem, 'strerror', None) or problem}") from None
    return True


def by_name(run_dirs: Sequence[Path | str]) -> dict[str, Path]:
    """Run directories by the last part of their paths, which columns and panels are named after; raises UnusableInput for two alike."""
    found: dict[str, Path] = {}
    for path in map(Path, run_dirs):
        name = path.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if name in found:
            raise UnusableInput(f"{found[name]} and {path}: both are named '{name}', as what is shown of them would be")
        found[name] = path
    return found


def above_all(run_dirs: Sequence[Path]) -> Path:
    """The run's directory, or the nearest one that holds all of them; raises UnusableInput without a working directory."""
    try:
        return Path(os.path.commonpath([directory.absolute() for directory in run_dirs]))
    except OSError as problem:
        raise UnusableInput(f"{run_dirs[0]}: the working directory cannot be used: {problem.strerror}") from None


def make_directory(path: Path) -> None:
    """With those above it, if it is not there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as problem:
        raise _unwritable(path, problem) from None


def remove(path: Path) -> None:
    """If it is there."""
    try:
        path.unlink(missing_ok=True)
    except OSError as problem:
        raise UnusableInput(f"{path}: cannot be removed: {problem.strerror}") from None


def _refuse_no_file(path: Path) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file")


def write_whole(path: Path, content: str | bytes) -> None:
    """In place of the file that was there, on disk when this returns; what was there stays if this cannot be written.

    A pipe or a device is no file: it would be gone, and who waits for it would wait for ever.
    """
    if not path.name:
        raise UnusableInput(f"{path}: cannot be written: names no file")
    partial = path.with_name(path.name + ".new")
    try:
        _refuse_no_file(path)
        # What a write that was killed has left; a name of a pipe or a link must not be written through either.
        partial.unlink(missing_ok=True)
        with open(partial, "xb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except (OSError, ValueError) as problem:
        try:
            partial.unlink(missing_ok=True)
        except OSError:
            pass  # it is the first problem that is to be told
        raise _unwritable(path, problem) from None


def _unwritable(path: Path, problem: Exception) -> UnusableInput:
    return UnusableInput(f"{path}: cannot be written: {getattr(problem, 'strerror', None) or problem}")
