"""Is every program, Python module and header that a file uses in a package that tools/packages.txt names for it?

A green run proves nothing on a machine that has the package by chance. Read are: shell scripts (words in command
position must be known; any other word that is a known program counts as its use), Python and Starlark (imports; the
first word of subprocess' lists, `which`; other strings of lists and calls that are known programs), and C++ (includes
in angle brackets, and of libraries). What is known, and by which package, stands in tools/lint/provides.txt.
"""

from __future__ import annotations

import ast
import fnmatch
import pathlib
import re
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Iterable, Iterator

TOP = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = "tools/packages.txt"
PROVIDES = "tools/lint/provides.txt"
KINDS = ("program", "module", "header")
# Where Python starts programs: the first word of the list must be known.
STARTERS = {"run", "Popen", "call", "check_call", "check_output", "which", "execvp"}


@dataclass(frozen=True, order=True)
class Use:
    """What a line needs. A doubtful one counts only if it is known: the word may mean something else."""

    line: int
    kind: str
    name: str
    doubtful: bool = False


@dataclass
class Provided:
    """provides.txt and packages.txt."""

    package_of: dict[tuple[str, str], str] = field(default_factory=dict)  # (kind, name) -> package
    companions: dict[str, list[str]] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    needs_of: dict[str, set[str]] = field(default_factory=dict)  # package -> needs it is listed under
    files: list[tuple[str, set[str]]] = field(default_factory=list)
    loaders: list[tuple[str, set[str]]] = field(default_factory=list)  # files that a program loads which brings these modules

    def find(self, kind: str, name: str) -> str | None:
        """The package; of headers, by pattern."""
        if kind != "header":
            return self.package_of.get((kind, name))
        for (known, pattern), package in self.package_of.items():
            if known == kind and fnmatch.fnmatchcase(name, pattern):
                return package
        return None

    def needs(self, path: str) -> set[str]:
        """Needs whose packages the file may rely on."""
        return next((needs for pattern, needs in self.files if fnmatch.fnmatchcase(path, pattern)), set())

    def programs(self) -> set[str]:
        return {name for kind, name in self.package_of if kind == "program"}

    def complaint(self, path: str, use: Use) -> str | None:
        """Why the use is not covered."""
        if use.kind == "module" and any(fnmatch.fnmatchcase(path, files) and use.name in names for files, names in self.loaders):
            return None
        package = self.find(use.kind, use.name)
        where = f"{path}:{use.line}: {use.kind} {use.name}"
        if package is None:
            return None if use.doubtful else f"{where}: no package in {PROVIDES} provides it"
        for wanted in [package, *self.companions.get(package, [])]:
            needs = self.needs(path)
            if wanted not in self.present and not needs & self.needs_of.get(wanted, set()):
                return f"{where}: {PACKAGES} does not name {wanted} under {' or '.join(sorted(needs))}"
        return None


def read_provided(packages: str, provides: str) -> Provided:
    """From the texts of the two files."""
    provided = Provided()
    for line in packages.splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            provided.needs_of.setdefault(words[0], set()).update(words[1].split(","))
    for number, line in enumerate(provides.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "present":
            provided.present.update(words[1:])
        elif words[0] == "files":
            provided.files.append((words[1], set(words[2:])))
        elif words[0] == "loaded":
            provided.loaders.append((words[1], set(words[2:])))
        elif words[1] == "with":
            provided.companions.setdefault(words[0], []).extend(words[2:])
        elif words[1] in KINDS:
            provided.package_of.update({(words[1], name): words[0] for name in words[2:]})
        else:
            raise ValueError(f"{PROVIDES}:{number}: unknown kind '{words[1]}', allowed are {', '.join(KINDS)}, with")
    return provided


# --- shell -----------------------------------------------------------------------------------------------------

_RESERVED = {"if", "then", "elif", "else", "fi", "while", "until", "do", "done", "!", "time", "{", "}", "esac", "coproc"}
# Builtins of bash, and those of them that start the command which follows.
_BUILTINS = set(
    ". : [ alias bg bind break builtin caller cd compgen complete compopt continue declare dirs disown echo enable eval exit "
    "export false fc fg getopts hash help history jobs kill let local logout mapfile popd printf pushd pwd read readarray "
    "readonly return set shift shopt source suspend test times trap true type typeset ulimit umask unalias unset wait".split()
)
_STARTING_BUILTINS = {"command", "exec"}
# Programs that start the command which follows their options.
_STARTING_PROGRAMS = {"env", "nice", "nohup", "timeout", "xargs", "setsid", "sudo"}
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\[[^\]]*\])?\+?=")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


class ShellReader:
    """Finds the commands of a shell script. No full grammar: enough to know where a command begins."""

    def __init__(self, text: str, first_line: int = 1) -> None:
        self.text = text
        self.at = 0
        self.first_line = first_line
        self.uses: list[Use] = []
        self.functions: set[str] = set()
        self.heredocs: list[str] = []

    def line(self) -> int:
        return self.first_line + self.text.count("\n", 0, self.at)

    def starts(self, *what: str) -> bool:
        return self.text.startswith(what, self.at)

    def skip_past(self, what: str) -> None:
        found = self.text.find(what, self.at)
        self.at = len(self.text) if found < 0 else found + len(what)

    def read(self) -> list[Use]:
        """All uses, without those of functions of the script."""
        while self.at < len(self.text):
            self.commands()
            self.at += 1  # a lone closing parenthesis
        return [use for use in self.uses if use.name not in self.functions]

    def commands(self) -> None:
        """Up to the parenthesis that closes what was opened before, or the end."""
        expecting = True  # a command
        words = 0  # of this simple command
        head = ""
        while self.at < len(self.text):
            if self.starts("\\\n"):
                self.at += 2
            elif self.text[self.at] in " \t":
                self.at += 1
            elif self.starts("#"):
                self.at = (self.text + "\n").index("\n", self.at)
            elif self.starts("\n"):
                self.at += 1
                self.skip_heredocs()
                expecting, words = True, 0
            elif self.starts("<<<"):
                self.at += 3
            elif self.starts("<<"):
                self.note_heredoc()
            elif self.starts("<(", ">("):
                self.at += 2
                self.commands()
                self.at += 1
            elif (redirection := re.compile(r"\d*(&>>?|>>|>\||[<>]&?|<>)").match(self.text, self.at)) is not None:
                self.at = redirection.end()
                self.blanks()
                if not self.starts("<(", ">("):
                    self.word()
            elif self.starts(";;"):
                self.at += 2
                self.pattern()
                expecting, words = True, 0
            elif self.text[self.at] in ";|&":
                self.at += 1
                expecting, words = True, 0
            elif expecting and self.starts("[["):
                self.condition()
                expecting = False
            elif self.starts("(("):
                self.skip_past("))")
                expecting = False
            elif self.starts("("):
                self.at += 1
                self.commands()
                self.at += 1
                expecting = False
            elif self.starts(")"):
                return
            else:
                line = self.line()
                word = self.word()
                words += 1
                if expecting and self.starts("()"):
                    self.functions.add(word)
                    self.at += 2
                elif expecting and word == "case":
                    self.skip_case_head()
                    words = 0
                elif expecting and word in ("for", "select"):
                    self.blanks()
                    self.word() if not self.starts("((") else self.skip_past("))")
                    expecting = False
                elif expecting and word == "function":
                    self.blanks()
                    self.functions.add(self.word())
                elif expecting and word in _RESERVED:
                    words = 0
                elif expecting and _ASSIGNMENT.match(word):
                    self.uses.append(Use(line, "program", word.split("=", 1)[1], doubtful=True))
                else:
                    expecting, head = self.simple(word, line, expecting, head)
                if word == "esac":
                    expecting = False

    def simple(self, word: str, line: int, expecting: bool, head: str) -> tuple[bool, str]:
        """A word of a simple command. Whether the next one may begin a command, and the command so far."""
        if not expecting:
            self.uses.append(Use(line, "program", word, doubtful=True))
            return False, head
        if word in _STARTING_BUILTINS:
            return True, word
        if word.startswith("-") or (head in _STARTING_PROGRAMS and not re.match(r"[A-Za-z]", word)):
            return True, head  # an option of what starts the command
        if head and head in _STARTING_PROGRAMS | _STARTING_BUILTINS:
            doubtful = head in _STARTING_PROGRAMS  # the word may be an option's value
        else:
            doubtful = False
        if _PLAIN.fullmatch(word) and word not in _BUILTINS:
            self.uses.append(Use(line, "program", word, doubtful))
        elif (path := re.fullmatch(r"/(?:usr/)?s?bin/([\w.+-]+)", word)) is not None:
            self.uses.append(Use(line, "program", path[1], doubtful))
        starting = word in _STARTING_PROGRAMS
        return starting, word if starting else ""

    def blanks(self) -> None:
        while self.at < len(self.text) and (self.text[self.at] in " \t" or self.starts("\\\n")):
            self.at += 2 if self.starts("\\\n") else 1

    def pattern(self) -> None:
        """After `in` or `;;`: past the pattern of the next branch; stays before esac."""
        while self.at < len(self.text):
            if self.starts("#"):
                self.at = (self.text + "\n").index("\n", self.at)
            elif self.text[self.at] in " \t\n":
                self.at += 1
            else:
                break
        if self.starts("esac"):
            return
        while self.at < len(self.text) and not self.starts(")"):
            if self.text[self.at] in " \t|(\n":
                self.at += 1
            else:
                self.word()
        self.at += 1

    def skip_case_head(self) -> None:
        self.blanks()
        self.word()
        self.skip_past("in")
        self.pattern()

    def condition(self) -> None:
        """[[ ... ]], whose words are none."""
        while self.at < len(self.text) and not self.starts("]]"):
            if self.text[self.at] in "\"'$":
                self.word()
            else:
                self.at += 1
        self.at += 2

    def note_heredoc(self) -> None:
        match = re.compile(r"<<-?\s*(['\"]?)(\w+)\1").match(self.text, self.at)
        if match is None:
            self.at += 2
            return
        self.heredocs.append(match[2])
        self.at = match.end()

    def skip_heredocs(self) -> None:
        for end in self.heredocs:
            match = re.compile(rf"^\t*{end}$", re.MULTILINE).search(self.text, self.at)
            self.at = len(self.text) if match is None else match.end()
        self.heredocs = []

    def word(self) -> str:
        """The next word, with quotes taken away; commands within it are read."""
        parts: list[str] = []
        begin = self.at
        while self.at < len(self.text):
            letter = self.text[self.at]
            if letter == "\\":
                parts.append(self.text[self.at + 1 : self.at + 2])
                self.at += 2
            elif letter == "'":
                end = self.text.find("'", self.at + 1)
                parts.append(self.text[self.at + 1 : end])
                self.at = len(self.text) if end < 0 else end + 1
            elif letter == '"':
                parts.append(self.double_quoted())
            elif letter == "$":
                parts.append(self.expansion())
            elif letter == "(" and parts and _ASSIGNMENT.fullmatch("".join(parts)):
                self.array()
                return "".join(parts)
            elif letter in " \t\n;|&()<>":
                break
            else:
                parts.append(letter)
                self.at += 1
        if self.at == begin:
            self.at += 1  # never stand still
        return "".join(parts)

    def array(self) -> None:
        """Past (...) of an assignment; its words may be a command for later."""
        self.at += 1
        while self.at < len(self.text) and not self.starts(")"):
            if self.text[self.at] in " \t\n":
                self.at += 1
            elif self.starts("#"):
                self.at = (self.text + "\n").index("\n", self.at)
            else:
                line = self.line()
                self.uses.append(Use(line, "program", self.word(), doubtful=True))
        self.at += 1

    def double_quoted(self) -> str:
        parts: list[str] = []
        self.at += 1
        while self.at < len(self.text) and not self.starts('"'):
            if self.starts("\\"):
                parts.append(self.text[self.at + 1 : self.at + 2])
                self.at += 2
            elif self.starts("$"):
                parts.append(self.expansion())
            else:
                parts.append(self.text[self.at])
                self.at += 1
        self.at += 1
        return "".join(parts)

    def expansion(self) -> str:
        """Past $...; what it holds of commands is read. A default such as ${MPIRUN:-mpirun} is the word."""
        if self.starts("$(("):
            self.skip_past("))")
        elif self.starts("$("):
            self.at += 2
            self.commands()
            self.at += 1
        elif self.starts("${"):
            return self.parameter()
        else:
            match = re.compile(r"\$(\w+|[@*#?$!-])?").match(self.text, self.at)
            self.at = match.end() if match else self.at + 1
        return "$"

    def parameter(self) -> str:
        line = self.line()
        inner: list[str] = []
        self.at += 2
        while self.at < len(self.text) and not self.starts("}"):
            if self.starts("$") and not self.starts("$}"):
                inner.append(self.expansion())
            elif self.starts('"'):
                inner.append(self.double_quoted())
            elif self.starts("\\"):
                self.at += 2
            else:
                inner.append(self.text[self.at])
                self.at += 1
        self.at += 1
        default = re.fullmatch(r"\w+:?-(.*)", "".join(inner), re.DOTALL)
        if default is not None:
            name = default[1].rsplit("/", 1)[-1] if default[1].startswith(("/usr/bin/", "/bin/")) else default[1]
            self.uses.append(Use(line, "program", name, doubtful=True))
        return "$"


def shell_uses(text: str, first_line: int = 1) -> list[Use]:
    """Of a script."""
    return ShellReader(text, first_line).read()


# --- Python, Starlark, C++ ---------------------------------------------------------------------------------------


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


def cpp_uses(text: str) -> Iterator[Use]:
    """Headers with a suffix; those without are the compiler's, which the file needs anyway."""
    yield Use(1, "program", "g++")
    for number, line in enumerate(text.splitlines(), start=1):
        match = re.match(r'\s*#\s*include\s+(?:<([^>]+)>|"((?:hwy|gtest|gmock)/[^"]+)")', line)
        name = (match[1] or match[2]) if match else ""
        if "." in name:
            yield Use(number, "header", name)


def shebang_uses(first_line: str) -> Iterator[Use]:
    """The interpreter."""
    if first_line.startswith("#!"):
        words = [word.rsplit("/", 1)[-1] for word in first_line[2:].split()]
        yield Use(1, "program", words[-1] if words[0] == "env" else words[0])


def file_uses(path: str, text: str, own_modules: set[str]) -> list[Use]:
    """Of one file, by its name or its first line."""
    first_line = text.split("\n", 1)[0]
    name = pathlib.PurePath(path).name
    uses = list(shebang_uses(first_line))
    if re.match(r"#!.*(bash|/sh)\b", first_line):
        uses += shell_uses(text)
    elif name.endswith(".py") or re.match(r"#!.*python", first_line):
        uses += [Use(1, "program", "python3"), *python_uses(text, own_modules)]
    elif name in ("BUILD", "WORKSPACE") or name.endswith(".bzl"):
        uses += starlark_uses(text)
    elif name.endswith((".cc", ".h")):
        uses += cpp_uses(text)
    return uses


def find_complaints(files: dict[str, str], provided: Provided) -> list[str]:
    """files: path -> text of all files of the repository."""
    own_modules = {pathlib.PurePath(path).stem for path in files if path.endswith(".py")}
    own_modules |= {pathlib.PurePath(path).parts[0] for path in files if path.endswith(".py") and "/" in path}
    complaints: list[str] = []
    for path, text in sorted(files.items()):
        try:
            uses = set(file_uses(path, text, own_modules))
        except SyntaxError as error:
            complaints.append(f"{path}:{error.lineno}: cannot be parsed: {error.msg}")
            continue
        for use in sorted(uses):
            complaint = provided.complaint(path, use)
            if complaint is not None and complaint not in complaints:
                complaints.append(complaint)
    return complaints


def read_files() -> dict[str, str]:
    """Texts of the repository's files, data left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP, check=True, capture_output=True, text=True
    )
    files: dict[str, str] = {}
    for path in listed.stdout.split("\0"):
        if not path or path.startswith("results/") or not (TOP / path).is_file():
            continue
        try:
            files[path] = (TOP / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return files


def main() -> int:
    """Exit status."""
    files = read_files()
    complaints = find_complaints(files, read_provided(files[PACKAGES], files[PROVIDES]))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
