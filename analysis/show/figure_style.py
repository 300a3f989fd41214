"""What all figures share: colours, a mark per word, and files that are the same for the same data."""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Collection, Iterator

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from analysis.judge.words import DECIDED, Word
from analysis.read.whole_file import write_whole

# Okabe and Ito's palette: told apart by colour-blind readers and in print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = {
    Word.FASTER: "^",
    Word.INSIDE: "^",
    Word.SLOWER: "v",
    Word.OUTSIDE: "v",
    Word.EQUAL: "s",
    Word.NOT_RESOLVED: "o",
    Word.ESTIMATE_ONLY: "D",
    Word.NO_VOTE: "x",
}


def word_handles(words: Collection[Word]) -> list[Any]:
    """For a legend: the mark of each word, filled if it decides."""
    return [
        pyplot.Line2D([], [], color="0.3", marker=mark, linestyle="none", label=str(word),
                      markerfacecolor="0.3" if word in DECIDED else "white")
        for word, mark in MARKERS.items() if word in words
    ]  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """Names come from the experiment file and are shown as they are: a dollar is no formula. Text of an SVG stays text."""
    settings = {"svg.hashsalt": "attention", "svg.fonttype": "none", "text.parse_math": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # A letter that the font lacks becomes a box, which says enough.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def save(figure: Any, path: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:], metadata=_fixed_metadata(path))
    pyplot.close(figure)
    write_whole(path, content.getvalue())


def _fixed_metadata(path: Path) -> dict[str, None]:
    """No date inside: the same data give the same file."""
    return {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(path.suffix[1:], {})
