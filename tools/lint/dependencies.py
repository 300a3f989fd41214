"""Is every program, Python module and header that a file uses in a package that tools/packages.txt names for it?

A green run proves nothing on a machine that has the package by chance. What is read of each kind of file stands in shell_uses.py,
python_uses.py and cpp_uses.py; what is known, and by which package, in tools/lint/provides.txt (packages.py).
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
from typing import Iterator

TOP = pathlib.Path(__file__).resolve().parents[2]
# Run as a script, Python finds only this directory; the modules are named from the repository's top.
sys.path.insert(0, str(TOP))

from tools.lint.cpp_uses import cpp_uses
from tools.lint.packages import PACKAGES, PROVIDES, Provided, read_provided
from tools.lint.python_uses import python_uses, starlark_uses
from tools.lint.shell_uses import script_uses
from tools.lint.uses import Use


def shebang_uses(first_line: str) -> Iterator[Use]:
    """The interpreter."""
    if first_line.startswith("#!"):
        words = [word.rsplit("/", 1)[-1] for word in first_line[2:].split()]
        yield Use(1, "program", words[-1] if words[0] == "env" else words[0])


def file_uses(path: str, files: dict[str, str], own_modules: set[str]) -> list[Use]:
    """Of one of the files, by its name or its first line."""
    text = files[path]
    first_line = text.split("\n", 1)[0]
    name = pathlib.PurePath(path).name
    uses = list(shebang_uses(first_line))
    if re.match(r"#!.*(bash|/sh)\b", first_line):
        uses += script_uses(text, files)
    elif name.endswith(".py") or re.match(r"#!.*python", first_line):
        uses += [Use(1, "program", "python3"), *python_uses(text, own_modules)]
    elif name in ("BUILD", "WORKSPACE") or name.endswith(".bzl"):
        uses += starlark_uses(text)
    elif name.endswith((".cc", ".h")):
        uses += cpp_uses(text)
    return uses


def find_complaints(files: dict[str, str], provided: Provided) -> list[str]:
    """files: path -> text of all files of the repository."""
    own_modules = {pathlib.PurePath(path).stem for path in files if path.endswith(".py")}
    own_modules |= {pathlib.PurePath(path).parts[0] for path in files if path.endswith(".py") and "/" in path}
    complaints: list[str] = []
    for path in sorted(files):
        try:
            uses = set(file_uses(path, files, own_modules))
        except SyntaxError as error:
            complaints.append(f"{path}:{error.lineno}: cannot be parsed: {error.msg}")
            continue
        for use in sorted(uses):
            complaint = provided.complaint(path, use)
            if complaint is not None and complaint not in complaints:
                complaints.append(complaint)
    return complaints


def read_files() -> dict[str, str]:
    """Texts of the repository's files, data left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP, check=True, capture_output=True, text=True
    )
    files: dict[str, str] = {}
    for path in listed.stdout.split("\0"):
        if not path or path.startswith("results/") or not (TOP / path).is_file():
            continue
        try:
            files[path] = (TOP / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return files


def main() -> int:
    """Exit status."""
    files = read_files()
    complaints = find_complaints(files, read_provided(files[PACKAGES], files[PROVIDES]))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
