"""The drawings that pages show, made from the runs like their words."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Callable, Mapping

from analysis.estimate.scale_map import MARGIN
from analysis.page.ordering import WHOLE
from analysis.page.records import LINKS, Results
from analysis.page.scale import prefill_maps
from analysis.read.csv_table import UnusableInput
from analysis.show.figure_style import style
from analysis.show.regime_figure import draw_regimes
from analysis.show.scale_figure import scale_winners
from analysis.show.winner_figure import draw_winners, winner_map


def _answer(results: Results, path: Path) -> bool:
    """The claimed order by regime: README's first screen."""
    record = results.record("ordering")
    return draw_regimes(record.claim(WHOLE), record.judged.margin, path)


def _network(results: Results, path: Path) -> bool:
    """What is fastest on which link."""
    records = results.links("network")
    margin = min(record.judged.margin for record in records.values())
    draw_winners(winner_map({LINKS[link]: record.run for link, record in records.items()}, margin), margin, path)
    return True


def _scale(results: Results, path: Path) -> bool:
    """What is fastest on how many ranks of a simulated machine."""
    shown = scale_winners(prefill_maps(results))
    if not shown.rows:
        return False
    draw_winners(shown, MARGIN, path)
    return True


# File, from the repository's top: who draws it, and the record it is drawn from.
FIGURES: Mapping[str, tuple[Callable[[Results, Path], bool], str]] = {
    "docs/answer.svg": (_answer, "ordering"),
    "docs/network.svg": (_network, "network"),
    "docs/scale.svg": (_scale, "scale"),
}


def drawn(results: Results) -> dict[str, bytes]:
    """Every figure; raises UnusableInput where a run has nothing to draw."""
    found = {}
    with tempfile.TemporaryDirectory() as directory, style():
        for name, (draw, record) in FIGURES.items():
            path = Path(directory) / Path(name).name
            if not draw(results, path):
                raise UnusableInput(f"results/{record}/reference: no regimes to draw")
            found[name] = path.read_bytes()
    return found
