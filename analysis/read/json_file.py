"""JSON of a run or a report, whatever it holds: an object, or one line that says what is wrong."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, TypeVar

from analysis.read.csv_table import UnusableInput, read_text

# No file of a run has more than ten.
MOST_LEVELS = 100
_SURROGATE = re.compile("[\ud800-\udfff]")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _in_64_bits(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
        raise ValueError(f"{text[:20]} is too large a number")
    return int(text)


def _why_unusable(value: object, levels: int = MOST_LEVELS) -> str | None:
    """What the JSON library reads, but whoever prints or writes it again cannot."""
    if isinstance(value, str):
        return "half a surrogate pair (\\ud800 to \\udfff) is no text" if _SURROGATE.search(value) else None
    if not isinstance(value, (list, dict)):
        return None
    if not levels:
        return "nested too deep"
    parts = value if isinstance(value, list) else [*value, *value.values()]
    return next((why for part in parts if (why := _why_unusable(part, levels - 1)) is not None), None)


def read_json(path: Path) -> Any:
    """What a file holds; raises UnusableInput for what is no JSON or is nested without end."""
    try:
        found = json.loads(read_text(path), parse_constant=_refuse_constant, parse_float=_finite, parse_int=_in_64_bits)
    except json.JSONDecodeError as problem:
        raise UnusableInput(f"{path} line {problem.lineno}, column {problem.colno}: {problem.msg}") from None
    except RecursionError:
        raise UnusableInput(f"{path}: nested too deep") from None
    except ValueError as problem:  # a constant that is none, a number too large
        raise UnusableInput(f"{path}: {problem}") from None
    why = _why_unusable(found)
    if why is not None:
        raise UnusableInput(f"{path}: {why}")
    return found


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a file; raises UnusableInput for what is no JSON or is no object."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise UnusableInput(f"{path}: must be a JSON object")
    return found


Value = TypeVar("Value")


@dataclass(frozen=True)
class JsonObject:
    """An object that knows where it stands, with typed values: UnusableInput names the file and the key that is not as it must be."""

    file: Path
    place: str  # of the object in the file, such as claims[0].; empty for the whole
    values: Mapping[str, Any]

    def _typed(self, key: str, kind: type[Value], name: str) -> Value:
        value = self.values.get(key)
        if not isinstance(value, kind):
            raise UnusableInput(f"{self.file}: '{self.place}{key}' is missing or is not {name}")
        return value

    def text(self, key: str) -> str:
        return self._typed(key, str, "text")

    def object(self, key: str) -> JsonObject:
        return JsonObject(self.file, f"{self.place}{key}.", self._typed(key, dict, "an object"))

    def objects(self, key: str) -> list[JsonObject]:
        found = self._typed(key, list, "a list")
        for number, value in enumerate(found):
            if not isinstance(value, dict):
                raise UnusableInput(f"{self.file}: '{self.place}{key}[{number}]' is not an object")
        return [JsonObject(self.file, f"{self.place}{key}[{number}].", value) for number, value in enumerate(found)]
