#!/usr/bin/python3
"""Prints what paper/paper.pdf is to be made of: one checksum of its text, title page, sources and of the runs it draws.

    analysis/paper_source.py

paper/build puts it into the PDF, so that a test can tell a stale one without TeX. Exit status: 0, or 2 if a file is missing.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.show.text_table import print_quietly

# From the repository's top. The verdicts stand for the runs, as they hold every figure that is drawn; the drawings of docs/
# for those of the paper, which the same code draws.
FILES = (
    "paper/paper.md", "paper/metadata.yaml", "paper/header.tex", "paper/references.bib", "docs/answer.svg", "docs/strategies.svg",
    "results/ordering/reference/verdict.json", "results/kernels/reference/verdict.json",
)  # fmt: skip


def paper_source(top: Path) -> str:
    """In hexadecimal; raises OSError."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update(hashlib.sha256((top / name).read_bytes()).digest())
    return digest.hexdigest()


def main() -> int:
    try:
        source = paper_source(Path(__file__).absolute().parent.parent)
    except OSError as problem:
        print(f"paper_source: {problem.filename}: {problem.strerror}", file=sys.stderr)
        return 2
    print_quietly(source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
