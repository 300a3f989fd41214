"""Sections into one file of HTML that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.html_report import (
    accuracy,
    chooser,
    communication,
    headline,
    peak,
    ratios,
    raw_samples,
    regime_maps,
    register,
    roofs,
    scaling,
    words_table,
)
from analysis.html_report.blocks import Section, Table, clip
from analysis.html_report.comparisons import compare, warnings
from analysis.html_report.inputs import Inputs
from analysis.html_report.library import PACKAGE
from analysis.html_report.palette import COLOURS, Palette

LARGEST_PAGE = 3_000_000  # bytes
_SAMPLES = 700_000  # letters of it that samples may take
_SHAPES = 6  # marks of series, in templates/charts.html
_TEMPLATES = Path(__file__).parent / "templates"


def make_sections(inputs: Inputs, page: Path, letters: int) -> list[Section]:
    """All sections in the order of the page; one without data says what makes it."""
    palette = Palette()
    comparisons, warned = compare(inputs.runs), warnings(inputs.runs)
    return [
        headline.section(inputs),
        chooser.section(inputs),
        register.section(inputs),
        words_table.section(inputs),
        regime_maps.section(comparisons, warned),
        ratios.section(comparisons, warned),
        peak.section(inputs, palette),
        roofs.section(inputs, palette),
        scaling.section(inputs, palette),
        communication.section(inputs, palette),
        accuracy.section(inputs),
        raw_samples.section(inputs, page, letters),
    ]


def json_for_page(data: Any) -> Markup:
    """For <script type="application/json">: nothing in it can end the script or begin a comment."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _policy(scripts: Sequence[str]) -> str:
    """The page's own scripts may run, and nothing else: no other script, no network."""
    digests = [base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii") for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'; form-action 'none'"


def _finalize(value: Any) -> Any:
    """A last guard against names of thousands of letters, wherever they come from."""
    return clip(value, 2000) if isinstance(value, str) and not isinstance(value, Markup) else value


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=_finalize,
    )  # fmt: skip
    environment.filters |= {"for_page": json_for_page, "times": lambda text: escape(text)}
    return environment


def _render(title: str, question: str, sections: Sequence[Section], library: str | None) -> str:
    own = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    scripts = [library, own] if library is not None else []
    return _environment().get_template("page.html").render(
        title=title,
        headline=question,
        sections=sections,
        style=Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),
        scripts=[Markup(script) for script in scripts],
        policy=_policy(scripts),
        package=PACKAGE,
        colours=COLOURS,
        shapes=_SHAPES,
    )


def _without_data(sections: Sequence[Section]) -> list[Section]:
    """Without the tables behind the drawings: what they hold is in the files."""
    told = "The numbers behind the drawings are in cases.csv and verdict.json; with them this page would be too large."
    found = []
    for section in sections:
        blocks = [block for block in section.blocks if not (isinstance(block, Table) and block.folded and not block.filtered)]
        missing = (*section.missing, told) if len(blocks) < len(section.blocks) else section.missing
        found.append(replace(section, blocks=blocks, missing=missing))
    return found


def render_page(inputs: Inputs, page: Path, library: str | None) -> str:
    """The page; with fewer samples, then without, then without tables of data, where it would be larger than LARGEST_PAGE."""
    names = [loaded.label for loaded in inputs.runs] or ["other libraries"]
    title = clip(", ".join(names))
    question = clip(inputs.runs[0].run.title, 400) if len(inputs.runs) == 1 else f"Report of {len(names)} runs"
    text = ""
    for letters, data in ((_SAMPLES, True), (_SAMPLES // 4, True), (0, True), (0, False)):
        sections = make_sections(inputs, page, letters)
        text = _render(title, question, sections if data else _without_data(sections), library)
        if len(text.encode("utf-8")) < LARGEST_PAGE:
            break
    return text
