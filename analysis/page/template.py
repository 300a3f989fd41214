"""Pages whose figures are all generated: a template holds words and {{placeholders}}, never a measurement.

A template is Markdown. Its head, up to the first line that is just `---`, is left out of the page: it says to the editor what
the file is. `typed_numbers` finds figures that were typed into a template by hand. The rule is made to be hard to get
around: whatever has a digit in it, in prose, is one, except the names and versions below; so is a number written as a word
in front of a unit. Code (names of files, commands, formulas) and keys of citations may hold digits, but no measurement with its unit.
"""

from __future__ import annotations

import re
import textwrap
from typing import Mapping

_PLACEHOLDER = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")
_FENCE = re.compile(r"^\s*```")
_CODE = re.compile(r"`[^`]*`|\$[^$]*\$")  # formulas of the paper are code, too
_BARE_NUMBER = re.compile(r"\$[\d.,\s%\\]+\$")  # a figure is no formula
_CITATION = re.compile(r"@[a-z]+\d{4}\b")
_LINK_TARGET = re.compile(r"\]\([^)]*\)")
_LIST_MARKER = re.compile(r"^\s*\d+\. ")
_BULLET = re.compile(r"^(- )", re.MULTILINE)
WIDTH = 120

# Digits that are part of a name or a version; each stands for itself, not inside a longer number.
NAMES = (
    r"Qwen3(?:-0\.6B|-8B)?",
    r"SSE4", r"AVX2", r"AVX-512",  # instruction sets
    r"float32", r"float64", r"fp32", r"bf16", r"bfloat16",  # types
    r"C\+\+20", r"Debian 12", r"GCC 12", r"clang 14", r"Bazel 4\.2",  # what it is built with
    r"Apache-2\.0",
)  # fmt: skip
_UNIT = r"(?:%|per cent|percent|ms|µs|us|ns|seconds?|minutes?|GB/s|GFLOPS?|GFLOP/s|tokens/s|times|fold|of the (?:peak|roofline|bandwidth|time)|launch(?:es)?|rounds?|cells?)"
_NUMBER_WORD = (
    r"(?:half|third|quarter|twice|double|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|"
    r"forty|fifty|sixty|seventy|eighty|ninety|hundred)"
)
_WORDS_WITH_UNIT = re.compile(rf"\b{_NUMBER_WORD}[ -]+{_UNIT}(?=\W|$)", re.IGNORECASE)
_ALLOWED = re.compile(rf"(?<![\w.+-])(?:{'|'.join(NAMES)})(?![\w%]|\.\d|\s*{_UNIT}(?:\W|$))")
_CODE_WITH_UNIT = re.compile(rf"(?:`[^`]*\d`|\$[^$]*\d\$)\s*{_UNIT}(?=\W|$)", re.IGNORECASE)
_DIGITS_WITH_UNIT = re.compile(rf"\d\s*{_UNIT}(?=\W|$)", re.IGNORECASE)


class BadTemplate(Exception):
    """A placeholder without a value, or a value that no template uses."""


def _split_head(template: str) -> tuple[str, str]:
    head, line, body = template.partition("\n---\n")
    if not line:
        raise BadTemplate("a template begins with a head for its editor, which a line of three dashes ends")
    return head, body


def placeholders(template: str) -> set[str]:
    """Names of the values that the page needs."""
    return set(_PLACEHOLDER.findall(_split_head(template)[1]))


def render(template: str, values: Mapping[str, str], note: str) -> str:
    """The page. `note` says where it comes from, in a comment at its top. A block that comes to nothing is left out."""
    _, body = _split_head(template)
    missing = sorted(placeholders(template) - set(values))
    if missing:
        raise BadTemplate(f"no value for {', '.join(missing)}")
    blocks = [_fill(block, values) for block in body.strip().split("\n\n")]
    return f"<!-- {note} -->\n" + "\n\n".join(filter(None, blocks)) + "\n"


def _fill(block: str, values: Mapping[str, str]) -> str:
    """One block between blank lines, its lines broken anew where a value went into running text."""
    text = _PLACEHOLDER.sub(lambda found: values[found.group(1)], block)
    if text == block or _PLACEHOLDER.fullmatch(block.strip()) or text.startswith(("|", "#", " ", "`" * 3)):
        return text
    first, *items = _BULLET.split(text) if text.startswith("- ") else (text,)
    paragraphs = [("", first)] if first else []
    paragraphs += list(zip(items[::2], items[1::2]))
    return "\n".join(
        textwrap.fill(
            " ".join(words.split()), WIDTH, initial_indent=bullet, subsequent_indent=" " * len(bullet),
            break_long_words=False, break_on_hyphens=False,
        )
        for bullet, words in paragraphs
    )  # fmt: skip


def typed_numbers(template: str) -> list[str]:
    """'line N: what', for every figure that somebody typed; empty for a template as it should be."""
    head, body = _split_head(template)
    first = head.count("\n") + 3
    found: list[str] = []
    in_code = False
    for number, line in enumerate(body.split("\n"), start=first):
        if _FENCE.match(line):
            in_code = not in_code
            continue
        text = _PLACEHOLDER.sub(" ", _LIST_MARKER.sub("", line))
        if in_code or line.startswith("    "):
            found += [f"line {number}: {hit}" for hit in _DIGITS_WITH_UNIT.findall(text)]
            continue
        for code in _CODE.findall(text):
            found += [f"line {number}: {hit}" for hit in _DIGITS_WITH_UNIT.findall(code)]
        found += [f"line {number}: {hit}" for pattern in (_CODE_WITH_UNIT, _BARE_NUMBER) for hit in pattern.findall(text)]
        prose = _ALLOWED.sub(" ", _LINK_TARGET.sub("]", _CITATION.sub(" ", _CODE.sub(" ", text))))
        for word in prose.split():
            bare = word.strip("|*_()[].,;:!?\"'")
            if any(character.isdigit() for character in bare):
                found.append(f"line {number}: {bare}")
        found += [f"line {number}: {hit}" for hit in _WORDS_WITH_UNIT.findall(prose)]
    return found
