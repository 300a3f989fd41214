"""JSON of a run or a report, whatever it holds: an object, or one line that says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from analysis.read.csv_table import UnusableInput, read_text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def read_json(path: Path) -> Any:
    """What a file holds; raises UnusableInput for what is no JSON or is nested without end."""
    try:
        return json.loads(read_text(path), parse_constant=_refuse_constant)
    except json.JSONDecodeError as problem:
        raise UnusableInput(f"{path} line {problem.lineno}, column {problem.colno}: {problem.msg}") from None
    except RecursionError:
        raise UnusableInput(f"{path}: nested too deep") from None
    except ValueError as problem:  # a constant that is none, a number of thousands of digits
        raise UnusableInput(f"{path}: {problem}") from None


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a file; raises UnusableInput for what is no JSON or is no object."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise UnusableInput(f"{path}: must be a JSON object")
    return found
