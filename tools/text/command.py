"""tools/chat: the command line, the turns, and how it ends."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Callable, Iterator, NoReturn, Sequence

from tools.text.checkpoint import Checkpoint, read_checkpoint
from tools.text.conversation import Conversation
from tools.text.generation import Engine, generate
from tools.text.problem import BAD_USAGE, Problem
from tools.text.tokenizer import TextStream, Tokenizer

_INTERRUPTED = 130
_MOST_TOKENS = 1 << 20  # of benchmark_qwen3 --generate
_DEFAULT_TOKENS = 512

_DESCRIPTION = """\
Text in, text out: a Qwen3 checkpoint answers, run by benchmark_qwen3 --generate. Without TEXT, standard input is the text; at
a terminal, and with --interactive, each line is a turn of one conversation, until the input ends (Ctrl-D).
"""
_EPILOG = """\
examples:
  tools/chat --model Qwen3-0.6B "Why is the sky blue?"
  tools/chat --model Qwen3-0.6B <question.txt
  tools/chat --model Qwen3-0.6B --raw "Once upon a time"
  tools/chat --model Qwen3-0.6B --ranks 2 "Why?" -- --parallel-strategy sequence --dtype bf16

DIR holds config.json, the weights and tokenizer.json. What follows -- goes to benchmark_qwen3 (its --help). Tokens are greedy:
the likeliest each time. The prompt is made by the checkpoint's own chat template (chat_template.jinja, or tokenizer_config.json),
with messages of system, user and assistant, no tools; where it has both forms, the one without thinking is asked for, since
greedy thinking tends to go round in circles. A checkpoint without a template gets Qwen3's plain form:
<|im_start|>user, a line end, the text, <|im_end|>, a line end, <|im_start|>assistant, a line end. The answer ends at eos_token_id
of generation_config.json and config.json, at <|im_end|>, or after --tokens. Special tokens are not shown, and the text can spell
them. Each turn reads the weights and the whole conversation anew.

Exit status: 0 answered, or whoever reads the output has closed it; 1 the model failed; 2 bad usage, a bad file or something that
is not installed; 130 interrupted (Ctrl-C, SIGTERM).
Places: CHAT_LIBRARY (default .cache/text, where tools/setup chat puts the tokenizer library), MPIRUN (default mpirun).
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Problem(f"{message}; see --help")


def _number(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:20]) <= most:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 to {most}")
        return int(text)

    return read


def _parse(arguments: Sequence[str], top: Path) -> tuple[argparse.Namespace, list[str]]:
    """Ours, and those for the binary."""
    own = list(arguments)
    options: list[str] = []
    if "--" in own:
        at = own.index("--")
        own, options = own[:at], own[at + 1 :]
    parser = _Parser(
        prog="chat",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("text", metavar="TEXT", nargs="?", help="what to say (default: standard input)")
    parser.add_argument("--model", metavar="DIR", type=Path, required=True, help="the checkpoint's directory")
    parser.add_argument("--system", metavar="TEXT", help="the system message")
    parser.add_argument("--thinking", action="store_true", help="the form with thinking, where the template has both")
    parser.add_argument("--raw", action="store_true", help="no chat template: the model goes on with the text")
    parser.add_argument("--interactive", action="store_true", help="turns, though the input is no terminal")
    parser.add_argument(
        "--tokens",
        metavar="N",
        type=_number(_MOST_TOKENS),
        default=_DEFAULT_TOKENS,
        help=f"at most so many an answer (default {_DEFAULT_TOKENS})",
    )
    parser.add_argument("--ranks", metavar="N", type=_number(4096), default=1, help="MPI ranks (default 1)")
    parser.add_argument(
        "--binary",
        metavar="FILE",
        type=Path,
        default=top / "bazel-bin" / "src" / "benchmark_qwen3",
        help="benchmark_qwen3 (default: this tree's, in bazel-bin)",
    )
    return parser.parse_args(own), options


def _refuse_conflicts(options: argparse.Namespace) -> None:
    if options.interactive and options.text is not None:
        raise Problem("--interactive and TEXT exclude each other; see --help")
    if options.raw:
        for name in ("system", "thinking", "interactive"):
            if getattr(options, name):
                raise Problem(f"--{name} means nothing with --raw; see --help")
    if not os.access(options.binary, os.X_OK) or options.binary.is_dir():
        raise Problem(f"{options.binary}: is not there; `bazel build //src:benchmark_qwen3` makes it, --binary names another")


def _text(data: bytes, where: str) -> str:
    """Strict UTF-8; a line end at the end is the shell's, not the text's."""
    try:
        text = data.decode()
    except UnicodeDecodeError as problem:
        raise Problem(f"{where}: is not UTF-8 at byte {problem.start}") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise Problem(f"{where}: the text is empty")
    return text


def _argument(text: str, where: str) -> str:
    return _text(os.fsencode(text), where)


class _Console:
    """Text to standard output, hints to a terminal."""

    def __init__(self) -> None:
        self._hints = sys.stderr.isatty()
        self._hint_shown = False
        self._line_begun = False

    def hint(self, text: str) -> None:
        """Shown until there is something else."""
        if self._hints:
            print(text, end="", file=sys.stderr, flush=True)
            self._hint_shown = True

    def clear_hint(self) -> None:
        if self._hint_shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self._hint_shown = False

    def write(self, text: str) -> None:
        """At once."""
        if not text:
            return
        self.clear_hint()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        self._line_begun = not text.endswith("\n")

    def end_line(self) -> None:
        """So that what follows does not stand behind half an answer."""
        self.clear_hint()
        if self._line_begun and self._hints:
            print(file=sys.stderr, flush=True)
        self._line_begun = False


def _say(text: str) -> None:
    print(f"chat: {text}", file=sys.stderr, flush=True)


class _Talk:
    """Prompts to answers, whatever made the prompt."""

    def __init__(self, options: argparse.Namespace, engine: Engine, checkpoint: Checkpoint, tokenizer: Tokenizer) -> None:
        self._most_tokens: int = options.tokens
        self._engine = engine
        self._checkpoint = checkpoint
        self._tokenizer = tokenizer
        self._console = _Console()

    def answer(self, prompt: Sequence[int], end_ids: Sequence[int]) -> str:
        """Printed as it comes, and returned."""
        count = self._room(prompt)
        stop_ids = [number for number in end_ids if number < self._checkpoint.vocabulary]
        stream, pieces, last = TextStream(self._tokenizer), [], -1
        self._console.hint("(reading the model and the prompt)")
        try:
            with contextlib.closing(generate(self._engine, prompt, count, stop_ids)) as ids:
                for last in ids:
                    pieces.append("" if last in stop_ids else stream.push(last))
                    self._console.write(pieces[-1])
        except BaseException:
            self._console.end_line()
            raise
        pieces.append(stream.end())
        self._console.write(pieces[-1])
        answer = "".join(pieces)
        if not answer.endswith("\n"):
            self._console.write("\n")
        self._console.clear_hint()
        if last not in stop_ids:
            which = "--tokens" if count == self._most_tokens else "max_position_embeddings"
            _say(f"note: the answer was cut off after {count} tokens ({which})")
        return answer

    def _room(self, prompt: Sequence[int]) -> int:
        """How many tokens may follow; refuses what the model cannot take."""
        if not prompt:
            raise Problem("the text has no tokens")
        vocabulary, positions = self._checkpoint.vocabulary, self._checkpoint.positions
        largest = max(prompt)
        if largest >= vocabulary:
            raise Problem(
                f"{self._checkpoint.directory}: tokenizer.json gives '{self._tokenizer.token(largest)}' the id {largest}, "
                f"but config.json has a vocabulary of {vocabulary} tokens: they are not of one model"
            )
        limit = _MOST_TOKENS if positions is None else positions
        if len(prompt) >= limit:
            raise Problem(
                f"the prompt has {len(prompt)} tokens, at most {limit - 1} are possible"
                + ("" if positions is None else f" (max_position_embeddings {positions} of {self._checkpoint.directory})")
            )
        return min(self._most_tokens, limit - len(prompt))


def _turns() -> Iterator[str]:
    """A user's lines; empty ones are left out."""
    terminal = sys.stdin.isatty()
    while True:
        if terminal:
            print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.buffer.readline()
        if not line:
            break
        if line.strip():
            yield _text(line, "standard input")
    if terminal:
        print(file=sys.stderr)


def _chat(arguments: Sequence[str], top: Path) -> int:
    options, engine_options = _parse(arguments, top)
    _refuse_conflicts(options)
    if sys.stdin is None or sys.stdout is None:
        raise Problem("standard input and output are needed; one of them is closed")
    interactive = options.interactive or (options.text is None and not options.raw and sys.stdin.isatty())
    text = None
    if options.text is not None:
        text = _argument(options.text, "TEXT")
    elif not interactive:
        text = _text(sys.stdin.buffer.read(), "standard input")
    system = None if options.system is None else _argument(options.system, "--system")
    checkpoint = read_checkpoint(options.model)
    library = Path(os.environ.get("CHAT_LIBRARY") or top / ".cache" / "text")
    engine = Engine(options.binary.absolute(), options.model, options.ranks, engine_options)
    with Tokenizer(library, options.model) as tokenizer:
        talk = _Talk(options, engine, checkpoint, tokenizer)
        if options.raw:
            assert text is not None
            talk.answer(tokenizer.encode(text), checkpoint.end_ids)
            return 0
        conversation = Conversation(checkpoint, tokenizer, system, options.thinking)
        for said in _turns() if text is None else [text]:
            conversation.answered(talk.answer(conversation.ask(said), conversation.end_ids))
    return 0


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _drop_output() -> None:
    # Python flushes standard output once more at exit and would complain again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str], top: Path) -> int:
    """Returns the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        return _chat(arguments, top)
    except Problem as problem:
        _say(str(problem))
        return problem.status
    except KeyboardInterrupt:
        _say("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return 0
    except OSError as problem:
        _drop_output()
        _say(f"{problem.filename or 'standard output'}: {problem.strerror}")
        return BAD_USAGE
