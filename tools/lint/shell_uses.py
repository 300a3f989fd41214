"""Programs that a shell script uses: words in command position, and any other word that is a known program."""

from __future__ import annotations

import re
from typing import Mapping

from tools.lint.uses import Use

_RESERVED = {"if", "then", "elif", "else", "fi", "while", "until", "do", "done", "!", "time", "{", "}", "esac", "coproc"}
# Builtins of bash, and those of them that start the command which follows.
_BUILTINS = set(
    ". : [ alias bg bind break builtin caller cd compgen complete compopt continue declare dirs disown echo enable eval exit "
    "export false fc fg getopts hash help history jobs kill let local logout mapfile popd printf pushd pwd read readarray "
    "readonly return set shift shopt source suspend test times trap true type typeset ulimit umask unalias unset wait".split()
)
_STARTING_BUILTINS = {"command", "exec"}
_SOURCING_BUILTINS = {".", "source"}
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
        self.sourced: list[str] = []  # files, as the script names them; $ stands for what it expands
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
            if head in _SOURCING_BUILTINS:
                self.sourced.append(word)
                return False, ""
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
        if word in _SOURCING_BUILTINS:
            return False, word
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


def script_uses(text: str, files: Mapping[str, str]) -> list[Use]:
    """Of a script among the files of the repository: the functions of those that it sources are its own."""
    reader = ShellReader(text)
    uses = reader.read()
    functions: set[str] = set()
    for name in reader.sourced:
        library = ShellReader(files.get(name.removeprefix("$/"), ""))
        library.read()
        functions |= library.functions
    return [use for use in uses if use.name not in functions]
