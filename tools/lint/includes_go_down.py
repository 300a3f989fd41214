"""Checks that includes between the rooms of src/ only go down: one direction of dependence.

The rooms stand below in the order of the house, lowest first; a file may include its own room and those before it,
except where a line says that two rooms do not know each other. A test may include all that its room's tests may: what
its own room, or a room below, holds for testing.
"""

import re
import sys
from pathlib import Path

ROOMS: list[str] = [
    "base",
    "base/testing",
    "simd",
    "mpi",
    "machine",
    "attention",
    "kernels/threads",
    "kernels/simd",
    "kernels/layout",
    "kernels",
    "kernels/testing",
    "parallel/strategy",
    "parallel/partition",
    "parallel/exchanges",
    "parallel/contracts",
    "parallel/choose",
    "parallel",
    "parallel/testing",
    "qwen3/testing",
    "qwen3/checkpoint",
    "qwen3/linear",
    "qwen3/decoder",
    "qwen3",
    "legacy",
    "experiment/text",
    "experiment/ask",
    "experiment/plan",
    "experiment/workload",
    "experiment/record",
    "experiment/record/testing",
    "experiment/measure",
    "experiment/measure/testing",
    "experiment/commands",
    "experiment/testing",
    "simulate",
    "simulate/testing",
    "fuzz",
]

# One rank's attention knows nothing of ranks.
STRANGERS: dict[str, set[str]] = {
    "simd": {"mpi"},
    "attention": {"mpi"},
    "kernels": {"mpi"},
    "legacy": set(),
    "qwen3/linear": {"parallel", "mpi"},
    "qwen3/checkpoint": {"parallel", "mpi", "kernels"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s+"src/([^"]+)/[^/"]+"')


def is_test(path: Path) -> bool:
    """Whether the file is built for tests alone."""
    return "_test" in path.name or path.parent.name == "testing"


def why_not(room: str, other: str, for_test: bool) -> str | None:
    """What is wrong with an include of `other` in `room`; None if nothing is."""
    if other == room:
        return None
    if other not in ROOMS:
        return f"{other} is a room this rule does not know"
    if not for_test and other.endswith("/testing"):
        return f"{room} is no test and may not include {other}"
    for upper, strangers in STRANGERS.items():
        if room.split("/")[0] == upper or room == upper:
            if other in strangers or other.split("/")[0] in strangers:
                return f"{room} may not know {other}"
    # A test sees its whole room: the helpers beside it, and the rooms inside it.
    inside = for_test and other.split("/")[0] == room.split("/")[0]
    if ROOMS.index(other) > ROOMS.index(room) and not inside:
        return f"{room} may not include {other}, which stands above it"
    return None


def violations(root: Path) -> list[str]:
    """A line for each include that goes up, and for each folder that is no room."""
    found: list[str] = []
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in {".cc", ".h"}:
            continue
        room = path.parent.relative_to(root / "src").as_posix()
        if room == ".":
            continue
        if room not in ROOMS:
            found.append(f"{path.relative_to(root)}: src/{room} is a room this rule does not know")
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            match = INCLUDE.match(line)
            wrong = why_not(room, match.group(1), is_test(path)) if match else None
            if wrong:
                found.append(f"{path.relative_to(root)}:{number}: {wrong}")
    return found


def main() -> int:
    """Prints what is wrong; exit status 1 if anything is."""
    lines = violations(Path(__file__).resolve().parents[2])
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
