"""Headers that C++ uses: includes in angle brackets, and of libraries."""

from __future__ import annotations

import re
from typing import Iterator

from tools.lint.uses import Use


def cpp_uses(text: str) -> Iterator[Use]:
    """Headers with a suffix; those without are the compiler's, which the file needs anyway."""
    yield Use(1, "program", "g++")
    for number, line in enumerate(text.splitlines(), start=1):
        match = re.match(r'\s*#\s*include\s+(?:<([^>]+)>|"((?:hwy|gtest|gmock)/[^"]+)")', line)
        name = (match[1] or match[2]) if match else ""
        if "." in name:
            yield Use(number, "header", name)
