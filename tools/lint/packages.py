"""The tables: which package provides what (tools/lint/provides.txt), and who may rely on it (tools/packages.txt)."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field

from tools.lint.uses import Use

PACKAGES = "tools/packages.txt"
PROVIDES = "tools/lint/provides.txt"
KINDS = ("program", "module", "header")


@dataclass
class Provided:
    """provides.txt and packages.txt."""

    package_of: dict[tuple[str, str], str] = field(default_factory=dict)  # (kind, name) -> package
    companions: dict[str, list[str]] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    needs_of: dict[str, set[str]] = field(default_factory=dict)  # package -> needs it is listed under
    files: list[tuple[str, set[str]]] = field(default_factory=list)
    loaders: list[tuple[str, set[str]]] = field(default_factory=list)  # files that a program loads which brings these modules

    def find(self, kind: str, name: str) -> str | None:
        """The package; of headers, by pattern."""
        if kind != "header":
            return self.package_of.get((kind, name))
        for (known, pattern), package in self.package_of.items():
            if known == kind and fnmatch.fnmatchcase(name, pattern):
                return package
        return None

    def needs(self, path: str) -> set[str]:
        """Needs whose packages the file may rely on."""
        return next((needs for pattern, needs in self.files if fnmatch.fnmatchcase(path, pattern)), set())

    def programs(self) -> set[str]:
        return {name for kind, name in self.package_of if kind == "program"}

    def complaint(self, path: str, use: Use) -> str | None:
        """Why the use is not covered."""
        if use.kind == "module" and any(fnmatch.fnmatchcase(path, files) and use.name in names for files, names in self.loaders):
            return None
        package = self.find(use.kind, use.name)
        where = f"{path}:{use.line}: {use.kind} {use.name}"
        if package is None:
            return None if use.doubtful else f"{where}: no package in {PROVIDES} provides it"
        for wanted in [package, *self.companions.get(package, [])]:
            needs = self.needs(path)
            if wanted not in self.present and not needs & self.needs_of.get(wanted, set()):
                return f"{where}: {PACKAGES} does not name {wanted} under {' or '.join(sorted(needs))}"
        return None


def read_provided(packages: str, provides: str) -> Provided:
    """From the texts of the two files."""
    provided = Provided()
    for line in packages.splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            provided.needs_of.setdefault(words[0], set()).update(words[1].split(","))
    for number, line in enumerate(provides.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "present":
            provided.present.update(words[1:])
        elif words[0] == "files":
            provided.files.append((words[1], set(words[2:])))
        elif words[0] == "loaded":
            provided.loaders.append((words[1], set(words[2:])))
        elif words[1] == "with":
            provided.companions.setdefault(words[0], []).extend(words[2:])
        elif words[1] in KINDS:
            provided.package_of.update({(words[1], name): words[0] for name in words[2:]})
        else:
            raise ValueError(f"{PROVIDES}:{number}: unknown kind '{words[1]}', allowed are {', '.join(KINDS)}, with")
    return provided
