"""Modules and programs that Python and Starlark use.

Imports; the first word of subprocess' lists, `which`; other strings of lists and calls that are known programs.
"""

from __future__ import annotations

import ast
import sys
from typing import Iterable, Iterator

from tools.lint.shell_uses import shell_uses
from tools.lint.uses import Use

# Where Python starts programs: the first word of the list must be known.
STARTERS = {"run", "Popen", "call", "check_call", "check_output", "which", "execvp"}


def python_uses(text: str, own_modules: set[str]) -> Iterator[Use]:
    """Imports and programs. own_modules: names of the repository's own, which need no package."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        else:
            yield from _programs(node)
            continue
        for name in names:
            module = name.split(".")[0]
            if module not in own_modules and module not in sys.stdlib_module_names:
                yield Use(node.lineno, "module", module)


def _programs(node: ast.AST) -> Iterator[Use]:
    """Of one node of the tree."""
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in STARTERS and node.args:
            first = node.args[0]
            if isinstance(first, (ast.List, ast.Tuple)) and first.elts:
                first = first.elts[0]
            elif called != "which":
                first = ast.Constant(value=None)
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and "/" not in first.value:
                yield Use(node.lineno, "program", first.value)
        texts: Iterable[ast.expr | None] = node.args
    elif isinstance(node, (ast.List, ast.Tuple)):
        texts = node.elts
        words = [part.value if isinstance(part, ast.Constant) else None for part in node.elts]
        for shell, option, script in zip(words, words[1:], words[2:]):
            if shell in ("sh", "bash") and option == "-c" and isinstance(script, str):
                yield from shell_uses(script, node.lineno)
    elif isinstance(node, ast.Dict):
        texts = node.keys
    else:
        return
    for part in texts:
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield Use(part.lineno, "program", part.value, doubtful=True)


def starlark_uses(text: str) -> Iterator[Use]:
    """BUILD, WORKSPACE and .bzl: programs, and the header that proves a library."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.keyword) and node.arg == "header" and isinstance(node.value, ast.Constant):
            yield Use(node.value.lineno, "header", str(node.value.value))
        yield from _programs(node)
