"""The two binaries: a revision checked out beside the tree, and Bazel run on both with output directories of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from tools.revisions.problem import Problem

_TARGET = "//src:benchmark_qwen3"
Say = Callable[[str], None]


def _git(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # A hook that calls this script sets variables that would lead git to the hook's tree.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", "-C", str(tree), *arguments], capture_output=True, text=True, env=environment, check=False
        )
    except FileNotFoundError:
        raise Problem("there is no git on PATH") from None


def _git_or_problem(tree: Path, *arguments: str) -> str:
    done = _git(tree, *arguments)
    if done.returncode != 0:
        raise Problem(f"git {arguments[0]} failed: {done.stderr or done.stdout}")
    return done.stdout.strip()


def require_git_tree(top: Path) -> None:
    """Raises a Problem unless `top` is the top of a git working tree."""
    found = _git(top, "rev-parse", "--show-toplevel")
    if found.returncode != 0 or Path(found.stdout.strip()).resolve() != top.resolve():
        raise Problem(f"{top} is not a git working tree; earlier revisions are had from git")


def resolve_revision(top: Path, revision: str) -> str:
    """The full commit id."""
    found = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}")
    if found.returncode != 0:
        raise Problem(f"unknown revision '{revision}'")
    return found.stdout.strip()


@dataclass
class Side:
    """One of the two revisions compared."""

    name: str  # "old" or "new": names its directories
    title: str  # for people
    commit: str | None  # None: the working tree as it stands


class Builder:
    """Builds both sides under a directory; everything it makes lies there.

    Worktrees and output directories are kept in a directory that was given, and cleaned up otherwise.
    """

    def __init__(self, top: Path, directory: Path | None, say: Say) -> None:
        self._top = top
        self._say = say
        self._temporary = directory is None
        self._worktrees: list[Path] = []
        if directory is None:
            self.directory = Path(tempfile.mkdtemp(prefix="compare_revisions."))
            return
        self.directory = directory.resolve()
        if self.directory == top.resolve() or top.resolve() in self.directory.parents:
            raise Problem(f"--directory {directory} must lie outside of the tree")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Problem(f"--directory {directory} cannot be made: {error.strerror}") from None

    def build(self, side: Side) -> Path:
        """The built binary, a copy that no later build changes."""
        tree = self._top if side.commit is None else self._check_out(side)
        self._say(f"building {side.title}")
        links = self.directory / f"{side.name}_links"
        links.mkdir(exist_ok=True)
        startup = ["bazel", f"--output_base={self.directory / (side.name + '_output')}"]
        options = ["--color=no", "--curses=no", f"--symlink_prefix={links}/", *self._disk_cache()]
        log = self.directory / f"{side.name}_build.log"
        with open(log, "w", encoding="utf-8") as file:
            try:
                built = subprocess.run(
                    [*startup, "build", *options, _TARGET], cwd=tree, stdout=file, stderr=subprocess.STDOUT, check=False
                )
            except FileNotFoundError:
                raise Problem("there is no bazel on PATH") from None
            finally:
                # An idle server is memory and threads beside the measurement; a busy one was interrupted.
                if shutil.which("bazel") is not None:
                    subprocess.run([*startup, "shutdown"], cwd=tree, stdout=file, stderr=subprocess.STDOUT, check=False)
        produced = links / "bin/src/benchmark_qwen3"
        if built.returncode != 0 or not produced.exists():
            raise Problem(f"the build of {side.title} failed: {self._reason(log)}")
        binary = self.directory / f"benchmark_qwen3_{side.name}"
        binary.unlink(missing_ok=True)
        shutil.copy(produced, binary)
        return binary

    def clean_up(self) -> None:
        """Removes what was made in a temporary directory."""
        if not self._temporary:
            return
        for worktree in self._worktrees:
            _git(self._top, "worktree", "remove", "--force", str(worktree))
        # Bazel's output directories are not writable.
        for place, directories, _ in os.walk(self.directory):
            for name in directories:
                path = Path(place, name)
                if not path.is_symlink():
                    path.chmod(0o755)
        shutil.rmtree(self.directory, ignore_errors=True)
        _git(self._top, "worktree", "prune")

    def _check_out(self, side: Side) -> Path:
        assert side.commit is not None
        tree = self.directory / f"{side.name}_tree"
        if tree.exists():
            self._require_own_worktree(tree)
            _git_or_problem(tree, "checkout", "--quiet", "--detach", side.commit)
        else:
            # A directory deleted by hand leaves an entry that would be in the way.
            _git(self._top, "worktree", "prune")
            self._worktrees.append(tree)
            _git_or_problem(self._top, "worktree", "add", "--quiet", "--detach", str(tree), side.commit)
        # The same flags for both, or the flags would be compared.
        user_options = self._top / "user.bazelrc"
        if user_options.exists():
            shutil.copy(user_options, tree / "user.bazelrc")
        else:
            (tree / "user.bazelrc").unlink(missing_ok=True)
        return tree

    def _require_own_worktree(self, tree: Path) -> None:
        def repository(of: Path) -> Path | None:
            found = _git(of, "rev-parse", "--path-format=absolute", "--git-common-dir")
            return Path(found.stdout.strip()).resolve() if found.returncode == 0 else None

        if repository(tree) != repository(self._top) or not (tree / ".git").exists():
            raise Problem(f"{tree} is there, but is no worktree of this repository; remove it or take another --directory")
        if _git_or_problem(tree, "status", "--porcelain", "--untracked-files=no"):
            raise Problem(f"{tree} has changes of its own; remove it or take another --directory")

    def _disk_cache(self) -> list[str]:
        """The cache that user.bazelrc names, as an absolute path: relative ones would be two."""
        try:
            text = (self._top / "user.bazelrc").read_text(encoding="utf-8")
        except OSError:
            return []
        found = re.findall(r"^\s*(?:build|common)\s.*?--disk_cache[= ]\s*(\S+)", text, flags=re.MULTILINE)
        if not found:
            return []
        path = Path(found[-1].replace("%workspace%", str(self._top))).expanduser()
        return [f"--disk_cache={self._top / path}"]

    def _reason(self, log: Path) -> str:
        """The first line that says what is wrong, and where the others are."""
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        telling = [line for line in lines if re.search(r"\berror\b", line, flags=re.IGNORECASE)]
        if self._temporary:
            descriptor, kept = tempfile.mkstemp(prefix="compare_revisions_build.", suffix=".log")
            os.close(descriptor)
            shutil.copy(log, kept)
            log = Path(kept)
        return f"{(telling or lines[-1:] or ['no output'])[0]} (log: {log})"
