"""What a manifest says of how a run came about: its launches, and the machine each ran on. Every field is checked.

read_run.py reads what a run measured; this is the other half, for those who describe the run.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Mapping

from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_manifest

REVISION = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Machine:
    """Named facts in the order in which they are shown; equal for launches on the same machine."""

    name: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Launch:
    """One mpirun."""

    number: int
    ranks: int
    started: datetime
    ended: datetime | None  # None: it was killed
    exit_status: int | None  # None likewise
    revision: str
    dirty: bool  # the source had changes that no revision has
    mpi: str | None
    machine: Machine


@dataclass(frozen=True)
class RunRecord:
    experiment: str
    title: str
    config: str  # the experiment file's text
    config_sha256: str
    compiler: str
    flags: str
    order_seed: int | None
    launches: tuple[Launch, ...]


class _Fields:
    """The fields of one object of the manifest; complaints name the object."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.where = where
        self.values = values

    def wrong(self, key: str, problem: str) -> UnusableInput:
        return UnusableInput(f"{self.where}: '{key}' {problem}")

    def optional(self, key: str, *kinds: type) -> Any:
        """None where it is absent or null."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self.wrong(key, f"is not a {kinds[0].__name__}")
        return value

    def required(self, key: str, *kinds: type) -> Any:
        value = self.optional(key, *kinds)
        if value is None:
            raise self.wrong(key, "is missing")
        return value

    def whole(self, key: str) -> int:
        value: int = self.required(key, int)
        if value < 0:
            raise self.wrong(key, f"is negative: {value}")
        return value

    def time(self, key: str) -> datetime | None:
        text = self.optional(key, str)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
            # The manifest writes UTC.
            return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
        except (ValueError, OverflowError):
            raise self.wrong(key, f"is not a time: '{text}'") from None

    def objects(self, key: str) -> list[_Fields]:
        """A list of objects; empty where it is absent."""
        entries = self.optional(key, list) or []
        if not all(isinstance(entry, dict) for entry in entries):
            raise self.wrong(key, "is not a list of objects")
        return [_Fields(f"{self.where}: {key}", entry) for entry in entries]


def _cache(cache: _Fields) -> str:
    return f"L{cache.required('level', int)} {cache.required('type', str)} {cache.required('bytes', int)} bytes"


def _machine(launch: _Fields) -> Machine:
    cpu = launch.optional("cpu", str)
    hosts = launch.objects("hosts")
    memory = launch.optional("physical_memory_bytes", int)
    sets = launch.optional("isa", list) or []
    facts = [
        ("CPU", cpu),
        ("hosts", ", ".join(host.required("host", str) for host in hosts)),
        ("CPUs of each host", "; ".join(str(host.optional("cpus", str) or "unknown") for host in hosts)),
        ("memory", None if memory is None else f"{memory} bytes"),
        ("caches", ", ".join(_cache(cache) for cache in launch.objects("caches"))),
        ("instruction sets", ", ".join(str(name) for name in sets)),
    ]
    return Machine(cpu or "unknown CPU", tuple((name, text) for name, text in facts if text))


def _launch(fields: _Fields, revision: str, dirty: bool) -> Launch:
    started = fields.time("started")
    if started is None:
        raise fields.wrong("started", "is missing")
    return Launch(
        number=fields.whole("launch"),
        ranks=fields.whole("ranks"),
        started=started,
        ended=fields.time("ended"),
        exit_status=fields.optional("exit_status", int),
        revision=revision,
        dirty=dirty,
        mpi=fields.optional("mpi", str),
        machine=_machine(fields),
    )


def _by_part(manifest: _Fields, key: str, kind: type) -> dict[str, Any]:
    """Of a run joined by merge.py whose parts differ in `key`: its value by part."""
    parts = manifest.optional("merged_from", list) or []
    values = manifest.optional(f"mixed_{key}", list)
    if values is None:
        return {}
    if len(values) != len(parts) or not all(isinstance(value, kind) for value in values):
        raise manifest.wrong(f"mixed_{key}", f"has not a {kind.__name__} for each part")
    return {str(part): value for part, value in zip(parts, values)}


def read_run_record(directory: Path) -> RunRecord:
    """Raises UnusableInput with one line that says what is wrong with the manifest."""
    path = directory / "manifest.json"
    manifest = _Fields(str(path), read_manifest(directory))
    launches = manifest.objects("launches")
    if not launches:
        raise manifest.wrong("launches", "is missing or empty")
    revision = manifest.required("git_revision", str)
    dirty = bool(manifest.optional("git_dirty", bool))
    revisions = _by_part(manifest, "git_revision", str)
    dirties = _by_part(manifest, "git_dirty", bool)
    read = []
    for position, launch in enumerate(launches):
        launch.where = f"{path}: launches[{position}]"
        part = str(launch.values.get("merged_from"))
        read.append(_launch(launch, revisions.get(part, revision), dirties.get(part, dirty)))
    config = manifest.required("config", str)
    digest = hashlib.sha256(config.encode()).hexdigest()
    if manifest.required("config_sha256", str) != digest:
        raise manifest.wrong("config_sha256", "is not the hash of 'config': the experiment file in it was changed")
    return RunRecord(
        experiment=manifest.required("experiment", str),
        title=manifest.required("title", str),
        config=config,
        config_sha256=digest,
        compiler=manifest.required("compiler", str),
        flags=manifest.required("flags", str),
        order_seed=manifest.optional("order_seed", int),
        launches=tuple(read),
    )
