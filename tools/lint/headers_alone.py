"""Does every public header of src/ compile alone, with what it includes itself?

A source file that begins with its own header proves it in the build. The other headers are each made the only line of a
file and compiled as the build does (C++20, MPI, OpenMP, Highway, OpenBLAS as installed). Not `-inl.h`, which Highway
includes once per instruction set. With --all, or headers as arguments, nothing is left to the build.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
from typing import Sequence

TOP = pathlib.Path(__file__).resolve().parents[2]
# Prefixes as third_party/system_libraries.bzl takes them.
ROOTS = ("BENCHMARK_ROOT", "BOOST_ROOT", "GTEST_ROOT", "HIGHWAY_ROOT", "NLOHMANN_JSON_ROOT", "OPENBLAS_ROOT", "YAML_CPP_ROOT")
OPENBLAS = "/usr/include/x86_64-linux-gnu/openblas-openmp"


def public_headers() -> list[str]:
    """Of the files that git knows or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "src/*.h"]
    listed = subprocess.run(command, cwd=TOP, check=True, capture_output=True, text=True).stdout.split("\0")
    return [path for path in sorted(set(listed)) if path and not path.endswith("-inl.h") and (TOP / path).is_file()]


def is_left_to_the_build(header: str) -> bool:
    """Whether the first directive of the source of the same name includes it."""
    source = (TOP / header).with_suffix(".cc")
    if not source.is_file():
        return False
    directives = (line.strip() for line in source.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    return next(directives, "") == f'#include "{header}"'


def mpi_flags() -> list[str]:
    """Where mpi.h is: Open MPI's wrapper or MPICH's says it."""
    for question in ("--showme:compile", "-compile_info"):
        answer = subprocess.run(["mpicxx", question], check=False, capture_output=True, text=True)
        if answer.returncode == 0:
            return [flag for flag in shlex.split(answer.stdout) if flag.startswith("-I")]
    raise OSError("mpicxx answers neither --showme:compile nor -compile_info")


def compile_command() -> list[str]:
    """Without the file."""
    flags = ["-std=c++20", "-fsyntax-only", "-fopenmp", "-Wall", "-Wextra", f"-I{TOP}"]
    flags += ["-DOMPI_SKIP_MPICXX=1", "-DMPICH_SKIP_MPICXX=1", "-DHWY_BROKEN_EMU128=1", *mpi_flags()]
    flags += [f"-isystem{os.environ[root]}/include" for root in ROOTS if os.environ.get(root)]
    return [*shlex.split(os.environ.get("CXX", "g++")), *flags, f"-isystem{OPENBLAS}"]


def complaint(header: str, command: Sequence[str], directory: pathlib.Path) -> str | None:
    """The first errors, if it does not compile."""
    source = directory / (header.replace("/", "_") + ".cc")
    source.write_text(f'#include "{header}"\n', encoding="utf-8")
    done = subprocess.run([*command, str(source)], check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    errors = [line for line in done.stderr.splitlines() if "error" in line][:3]
    return "\n  ".join([f"{header}: does not compile alone", *(line.replace(f"{TOP}/", "") for line in errors)])


def main(arguments: Sequence[str]) -> int:
    """Exit status. Arguments: headers, relative to the repository's top, or --all."""
    headers = list(arguments) if arguments and arguments[0] != "--all" else public_headers()
    if not arguments:
        headers = [header for header in headers if not is_left_to_the_build(header)]
    try:
        command = compile_command()
        with tempfile.TemporaryDirectory(prefix="headers.") as scratch:
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                results = list(pool.map(lambda header: complaint(header, command, pathlib.Path(scratch)), headers))
    except OSError as error:
        print(f"headers_alone: {error}", file=sys.stderr)
        return 2
    complaints = [result for result in results if result is not None]
    for line in complaints:
        print(line, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
