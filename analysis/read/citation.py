"""CITATION.cff: what the software is called, which version it is, who wrote it and under which licence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from analysis.read.csv_table import UnusableInput, read_text

CITATION = Path(__file__).parents[2] / "CITATION.cff"


@dataclass(frozen=True)
class Author:
    name: str
    is_person: bool


@dataclass(frozen=True)
class Citation:
    title: str
    version: str
    released: str  # a date, YYYY-MM-DD
    licence: str  # an SPDX identifier
    abstract: str
    authors: tuple[Author, ...]
    keywords: tuple[str, ...]
    url: str | None  # where the software is to be had; no file says so before it has been published


def _author(entry: Any) -> Author:
    """A person has given and family names, anything else a name."""
    if not isinstance(entry, dict):
        raise ValueError(f"an author must have a name, not be '{entry}'")
    names = [str(entry[key]) for key in ("given-names", "name-particle", "family-names") if key in entry]
    if not names and "name" not in entry:
        raise ValueError("an author has no name")
    return Author(" ".join(names) or str(entry["name"]), bool(names))


def read_citation(path: Path = CITATION) -> Citation:
    """Raises UnusableInput with one line."""
    try:
        found = yaml.safe_load(read_text(path))
        if not isinstance(found, dict):
            raise ValueError("must be a mapping")
        missing = [key for key in ("title", "version", "date-released", "license", "authors") if not found.get(key)]
        if missing:
            raise ValueError(f"{', '.join(missing)} missing")
        if not isinstance(found["authors"], list):
            raise ValueError("authors must be a list")
        url = found.get("repository-code") or found.get("url")
        return Citation(
            title=str(found["title"]),
            version=str(found["version"]),
            released=str(found["date-released"]),
            licence=str(found["license"]),
            abstract=str(found.get("abstract", "")).strip(),
            authors=tuple(_author(entry) for entry in found["authors"]),
            keywords=tuple(str(word) for word in found.get("keywords") or ()),
            url=None if url is None else str(url),
        )
    except (ValueError, yaml.YAMLError) as problem:
        raise UnusableInput(f"{path}: {problem}") from None
