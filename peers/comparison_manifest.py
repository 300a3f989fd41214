"""Writes manifest.json beside a comparison: what was compared, built how, run where."""

import argparse
import csv
import datetime
import json
import os
import platform
import subprocess
from pathlib import Path

SCHEMA_VERSION = 1
TOP = Path(__file__).resolve().parents[1]


def output_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=TOP).stdout.strip()


def git_state() -> dict[str, object]:
    changed = output_of("git", "status", "--porcelain", "--", ".", ":(exclude)results")
    return {"revision": output_of("git", "rev-parse", "HEAD"), "dirty": bool(changed)}


def first_value(path: str, key: str) -> str:
    """Value of the first `key : value` line; empty if there is none."""
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def text_of(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return "not shown by this system"


def caches() -> dict[str, str]:
    sizes: dict[str, str] = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        name = "L" + (index / "level").read_text().strip() + " " + (index / "type").read_text().strip()
        sizes[name] = (index / "size").read_text().strip()
    return sizes


def libraries(directory: Path) -> dict[str, str]:
    with open(directory / "libraries.csv", newline="") as file:
        return {row["contestant"]: row["description"] for row in csv.DictReader(file)}


def make_manifest(directory: Path) -> dict[str, object]:
    flags = first_value("/proc/cpuinfo", "flags").split()
    return {
        "schema_version": SCHEMA_VERSION,
        "written": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "git": git_state(),
        "libraries": libraries(directory),
        "compiler": output_of("c++", "--version").splitlines()[0],
        "cpu": {
            "model": first_value("/proc/cpuinfo", "model name"),
            "family": first_value("/proc/cpuinfo", "cpu family"),
            "caches": caches(),
            "cores": os.cpu_count(),
            "avx512": sorted(flag for flag in flags if flag.startswith("avx512")),
            "governor": text_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        },
        "kernel": platform.release(),
        "transparent_huge_pages": text_of("/sys/kernel/mm/transparent_hugepage/enabled"),
        "threads": 1,
        "pinned": "one core, PyTorch's process on the same one",
        "load_average": os.getloadavg(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    (directory / "manifest.json").write_text(json.dumps(make_manifest(directory), indent=2) + "\n")


if __name__ == "__main__":
    main()
