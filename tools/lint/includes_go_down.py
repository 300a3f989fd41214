"""Checks that includes between the rooms of src/ only go down (design: one direction of dependence)."""

import re
import sys
from pathlib import Path

# A room may include itself and the rooms below it.
ROOMS_BELOW: dict[str, set[str]] = {
    "base": set(),
    "kernels": {"base"},
    "mpi": {"base"},
    "parallel": {"mpi", "kernels", "base"},
    "qwen3": {"parallel", "mpi", "kernels", "base"},
    "experiment": {"qwen3", "parallel", "mpi", "kernels", "base"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s+"src/([a-z0-9_]+)/')


def violations(root: Path) -> list[str]:
    found: list[str] = []
    for room, below in ROOMS_BELOW.items():
        for path in sorted((root / "src" / room).rglob("*")):
            if path.suffix not in {".cc", ".h"}:
                continue
            for number, line in enumerate(path.read_text().splitlines(), start=1):
                match = INCLUDE.match(line)
                if match and match.group(1) != room and match.group(1) not in below:
                    found.append(f"{path.relative_to(root)}:{number}: {room} may not include {match.group(1)}")
    unknown = sorted(p.name for p in (root / "src").iterdir() if p.is_dir() and p.name not in ROOMS_BELOW)
    found += [f"src/{name}: a room this rule does not know" for name in unknown]
    return found


def main() -> int:
    lines = violations(Path(__file__).resolve().parents[2])
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
