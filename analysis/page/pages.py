"""The pages that are made from templates: which, and how to make them."""

from __future__ import annotations

from pathlib import Path

from analysis.page import figures, kernels, machine, models, network, ordering, original, paper, register, reliability, scale, shared_memory
from analysis.page.records import Results
from analysis.page.template import BadTemplate, placeholders, render

# Page: template, both from the repository's top.
PAGES = {
    "README.md": "docs/templates/README.md.in",
    "docs/results.md": "docs/templates/results.md.in",
    "docs/reliability.md": "docs/templates/reliability.md.in",
    "docs/scale.md": "docs/templates/scale.md.in",
    "paper/paper.md": "docs/templates/paper.md.in",
}
COMMAND = "analysis/results_page.py"


def page_values(read: Results) -> dict[str, str]:
    """Every figure that a template may name; raises UnusableInput where a run cannot be read."""
    found: dict[str, str] = {}
    for chapter in (machine, ordering, shared_memory, kernels, network, models, register, reliability, scale, original, paper):
        found |= chapter.values(read)
    return found


def read_templates(top: Path) -> dict[str, str]:
    """By page."""
    return {page: (top / template).read_text(encoding="utf-8") for page, template in PAGES.items()}


def rendered(templates: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    """The text of every page; raises BadTemplate if the templates and the values do not fit."""
    used = {name for template in templates.values() for name in placeholders(template)}
    unused = sorted(set(values) - used)
    if unused:
        raise BadTemplate(f"no page uses {', '.join(unused)}")
    return {
        page: render(template, values, f"Made by {COMMAND} from {PAGES[page]} and results/; edit that, not this.")
        for page, template in templates.items()
    }


def made(top: Path, results: Path) -> dict[str, bytes]:
    """Every page and drawing, by its path from the top, as the templates and the runs say."""
    read = Results(results)
    pages = rendered(read_templates(top), page_values(read))
    return {page: text.encode("utf-8") for page, text in pages.items()} | figures.drawn(read)


def stale_pages(top: Path, results: Path) -> list[str]:
    """Pages and drawings that are not what the templates and the runs say, or not there."""
    wanted = made(top, results)
    return [page for page, content in wanted.items() if not (top / page).is_file() or (top / page).read_bytes() != content]
