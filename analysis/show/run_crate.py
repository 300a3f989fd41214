"""A run directory described as an RO-Crate 1.1, profile Process Run Crate: who ran what, when, on what, and what came of it.

JSON-LD, flattened: a list of entities that name each other by @id. Ids are made here, of numbers, of hashes and of file
names with all but plain letters escaped, never of words that a manifest holds; those are values only. The same directory
gives the same text, whenever and wherever it is made: no clock and no path is in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Sequence
from urllib.parse import quote

from analysis.read.citation import Author, Citation
from analysis.read.csv_table import UnusableInput
from analysis.read.run_record import REVISION, Launch, Machine, RunRecord

FILE_NAME = "ro-crate-metadata.json"
CRATE = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
# The second has `sha256`, which the first does not know.
CONTEXT = [f"{CRATE}/context", "https://w3id.org/ro/terms/workflow-run/context"]
MANIFEST = "manifest.json"
MEASURED = ("samples.csv", "cases.csv")
JUDGED = ("verdict.txt", "verdict.json")

DESCRIPTIONS = {
    MANIFEST: "What was run, where and with what: experiment file, revision, machine, launches",
    "samples.csv": "One row per variant, round and launch: every measured time",
    "cases.csv": "One row per case and launch: factors, medians, bytes moved, errors against float64",
    "verdict.txt": "What the claims of the experiment file come to, as text",
    "verdict.json": "The same with everything behind it",
    "open_cells.txt": "Cells that the last look has not decided",
}
FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
}
# Of benchmark_qwen3; 0 is no failure. results/README.md and slurm/README.md have the same words.
FAILURES = {
    1: "all was measured, but some case failed its accuracy check or could not be run: status and message in cases.csv",
    2: "refused: nothing was measured",
    3: "stopped early; what was complete by then counts",
}

Entity = dict[str, Any]


@dataclass(frozen=True)
class StoredFile:
    """A file of the run directory."""

    path: str  # relative, with /
    size: int
    sha256: str

    @property
    def id(self) -> str:
        return quote(os.fsencode(self.path), safe="/")

    @property
    def plain_name(self) -> str:
        """Without .xz, under which every reader opens it as well."""
        return self.path.removesuffix(".xz")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def stored_files(directory: Path) -> list[StoredFile]:
    """All regular files below the directory but hidden ones, links and the crate's own; raises UnusableInput."""
    found: list[StoredFile] = []

    def fail(problem: OSError) -> None:
        raise problem

    try:
        for parent, folders, names in os.walk(directory, onerror=fail):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(parent, name)
                relative = path.relative_to(directory).as_posix()
                if name.startswith(".") or relative == FILE_NAME or path.is_symlink() or not path.is_file():
                    continue
                found.append(StoredFile(relative, path.stat().st_size, _sha256(path)))
    except OSError as problem:
        raise UnusableInput(f"{problem.filename or directory}: cannot be read: {problem.strerror}") from None
    there = {file.plain_name for file in found}
    for wanted in MEASURED:
        if wanted not in there:
            raise UnusableInput(f"{directory / wanted}: no such file (is this the directory of a run?)")
    return found


def _plain(text: str) -> str:
    """Text that any reader of JSON takes: without halves of characters, as hostile names of files have them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _reference(*ids: str) -> Any:
    """One reference, or a list of them."""
    references = [{"@id": identifier} for identifier in ids]
    return references[0] if len(references) == 1 else references


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


class _Graph:
    """Entities in the order in which they were first named."""

    def __init__(self) -> None:
        self.entities: dict[str, Entity] = {}

    def add(self, identifier: str, kind: str, /, **properties: Any) -> str:
        """Its id; what is None or empty is left out. An id that is there already stays as it is."""
        if identifier not in self.entities:
            kept = {name: value for name, value in properties.items() if value not in (None, "", [])}
            self.entities[identifier] = {"@id": identifier, "@type": kind} | {
                name: _plain(value) if isinstance(value, str) else value for name, value in kept.items()
            }
        return identifier

    def add_value(self, identifier: str, name: str, value: str | int) -> str:
        return self.add(identifier, "PropertyValue", name=name, value=value)


def _author_id(graph: _Graph, number: int, author: Author) -> str:
    return graph.add(f"#author-{number}", "Person" if author.is_person else "Organization", name=author.name)


def _short_hash(text: str) -> str:
    """Eight letters and digits for an id, of whatever a manifest says."""
    return hashlib.sha256(_plain(text).encode("utf-8")).hexdigest()[:8]


def _mpi(graph: _Graph, mpi: str) -> str:
    version = re.search(r"\d+(\.\d+)+\w*", mpi)
    return graph.add(
        f"#mpi-{_short_hash(mpi)}",
        "SoftwareApplication",
        name=mpi,
        description="The MPI library that the ranks used",
        softwareVersion=version[0] if version else mpi,
    )


def _software(graph: _Graph, record: RunRecord, launch: Launch, citation: Citation) -> str:
    """The benchmark as it was built. A revision without changes has an intrinsic identifier, Software Heritage's."""
    clean = REVISION.fullmatch(launch.revision) is not None and not launch.dirty
    key = _short_hash(f"{launch.revision} {launch.dirty}")
    libraries = {other.mpi for other in record.launches if (other.revision, other.dirty) == (launch.revision, launch.dirty)}
    return graph.add(
        f"swh:1:rev:{launch.revision}" if clean else f"#benchmark_qwen3-{key}",
        "SoftwareApplication",
        name="benchmark_qwen3",
        description=f"The benchmark of: {citation.title}. Built by {record.compiler}, {record.flags}",
        softwareVersion=launch.revision + (" with uncommitted changes" if launch.dirty else ""),
        url=citation.url,
        license=_reference(_licence_id(citation)),
        author=_reference(*(f"#author-{number}" for number in range(len(citation.authors)))),
        softwareRequirements=_reference(*(_mpi(graph, mpi) for mpi in sorted(library for library in libraries if library))),
    )


def _licence_id(citation: Citation) -> str:
    return f"https://spdx.org/licenses/{quote(citation.licence)}"


def _machine(graph: _Graph, number: int, machine: Machine) -> str:
    """A place where actions happen, which is the one of schema.org's that an action and properties can have."""
    facts = [graph.add_value(f"#machine-{number}-{at}", name, text) for at, (name, text) in enumerate(machine.facts)]
    return graph.add(
        f"#machine-{number}",
        "Place",
        name=f"Machine with {machine.name}",
        additionalProperty=_reference(*facts) if facts else None,
    )


def _failure(launch: Launch) -> str | None:
    """What is wrong with how it ended; None if nothing is."""
    if launch.exit_status == 0 and launch.ended is not None:
        return None
    if launch.exit_status is None or launch.ended is None:
        return "killed, or unable to write how it ended; what was complete by then counts"
    return f"exit status {launch.exit_status}: {FAILURES.get(launch.exit_status, 'a rank crashed or was killed')}"


def _actions(graph: _Graph, record: RunRecord, citation: Citation, results: Sequence[str], agent: str | None) -> list[str]:
    """One for each launch; their ids."""
    experiment = graph.add(
        "#experiment",
        "CreativeWork",
        name=f"Experiment file of {record.experiment}",
        description=record.title,
        encodingFormat="application/yaml",
        sha256=record.config_sha256,
        text=record.config,
    )
    seed = None if record.order_seed is None else graph.add_value("#order-seed", "order seed", record.order_seed)
    machines: dict[Machine, str] = {}
    taken: dict[int, int] = {}
    actions: list[str] = []
    for launch in record.launches:
        if launch.machine not in machines:
            machines[launch.machine] = _machine(graph, len(machines), launch.machine)
        ranks = graph.add_value(f"#ranks-{launch.ranks}", "ranks", launch.ranks)
        # Parts that were joined may each have a launch of the same number.
        taken[launch.number] = taken.get(launch.number, 0) + 1
        again = f"-{taken[launch.number]}" if taken[launch.number] > 1 else ""
        failure = _failure(launch)
        actions.append(
            graph.add(
                f"#launch-{launch.number}{again}",
                "CreateAction",
                name=f"Launch {launch.number} of {record.experiment}",
                description=f"benchmark_qwen3 under mpirun on {launch.ranks} ranks; its plan is the experiment file",
                startTime=_time(launch.started),
                endTime=None if launch.ended is None else _time(launch.ended),
                actionStatus=f"http://schema.org/{'Completed' if failure is None else 'Failed'}ActionStatus",
                error=failure,
                instrument=_reference(_software(graph, record, launch, citation)),
                agent=_reference(agent) if agent else None,
                location=_reference(machines[launch.machine]),
                object=_reference(experiment, ranks, *([seed] if seed else [])),
                result=_reference(*results),
            )
        )
    return actions


def _file(graph: _Graph, file: StoredFile, sources: Sequence[str]) -> None:
    """`sources`: what a verdict was made of. It is no launch's result: the analysis makes it, at any time afterwards."""
    graph.add(
        file.id,
        "File",
        name=file.path,
        description=DESCRIPTIONS.get(file.plain_name),
        encodingFormat=FORMATS.get(Path(file.path).suffix),
        contentSize=str(file.size),
        sha256=file.sha256,
        isBasedOn=_reference(*sources) if file.path in JUDGED else None,
    )


def run_crate(record: RunRecord, files: Sequence[StoredFile], citation: Citation, agent_name: str | None = None) -> str:
    """The text of ro-crate-metadata.json. `agent_name`: who ran it, which no manifest says."""
    graph = _Graph()
    authors = [_author_id(graph, number, author) for number, author in enumerate(citation.authors)]
    agent = graph.add("#agent", "Person", name=agent_name) if agent_name else None
    licence = graph.add(_licence_id(citation), "CreativeWork", name=citation.licence, identifier=citation.licence)
    profile = graph.add(PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")
    results = [file.id for file in files if file.plain_name in MEASURED]
    actions = _actions(graph, record, citation, results, agent)
    sources = [file.id for file in files if file.plain_name in (MANIFEST, *MEASURED)]
    for file in files:
        _file(graph, file, sources)
    moments = [launch.ended or launch.started for launch in record.launches]
    descriptor = {
        "@id": FILE_NAME,
        "@type": "CreativeWork",
        "conformsTo": {"@id": CRATE},
        "about": {"@id": "./"},
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": _plain(f"Run of the experiment {record.experiment}"),
        "description": _plain(f"{record.title} Measured for: {citation.title}"),
        "datePublished": _time(max(moments)),
        "license": {"@id": licence},
        "author": _reference(*authors),
        "conformsTo": {"@id": profile},
        "mentions": _reference(*actions),
        "hasPart": [{"@id": file.id} for file in files],
    }
    return json.dumps({"@context": CONTEXT, "@graph": [descriptor, root, *graph.entities.values()]}, indent=2) + "\n"
