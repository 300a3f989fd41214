"""What was said, and the prompt that it makes: the checkpoint's own chat template, or Qwen3's plain form."""

from __future__ import annotations

from typing import Any

from tools.text.checkpoint import Checkpoint
from tools.text.problem import Problem
from tools.text.tokenizer import Tokenizer

_START, _END = "<|im_start|>", "<|im_end|>"
# The variable of Qwen3's template that asks for the non-thinking form.
_THINKING = "enable_thinking"


class Conversation:
    """Messages of system, user and assistant. thinking: only where the template has both forms."""

    def __init__(self, checkpoint: Checkpoint, tokenizer: Tokenizer, system: str | None, thinking: bool) -> None:
        self._checkpoint = checkpoint
        self._tokenizer = tokenizer
        self._thinking = thinking
        self._messages: list[dict[str, str]] = [] if system is None else [{"role": "system", "content": system}]
        template = checkpoint.template
        if thinking and (template is None or _THINKING not in template):
            raise Problem(f"--thinking: the chat template of {checkpoint.directory} has no such form")
        if template is None and None in (tokenizer.id_of(_START), tokenizer.id_of(_END)):
            raise Problem(
                f"{checkpoint.directory}: has no chat template, and tokenizer.json has no {_START} and {_END}; "
                "--raw goes on with the text as it is"
            )

    @property
    def end_ids(self) -> list[int]:
        """The checkpoint's, and the end of a turn, which base models do not name in their configuration."""
        turn = self._tokenizer.id_of(_END)
        ids = [*self._checkpoint.end_ids, *([] if turn is None else [turn])]
        return list(dict.fromkeys(ids))

    def ask(self, text: str) -> list[int]:
        """The prompt's ids with this as the user's latest message."""
        self._messages.append({"role": "user", "content": text})
        return self._tokenizer.encode(self._prompt())

    def answered(self, text: str) -> None:
        """Keeps the model's answer for the prompts to come."""
        self._messages.append({"role": "assistant", "content": text})

    def _prompt(self) -> str:
        template = self._checkpoint.template
        if template is None:
            turns = [f"{_START}{message['role']}\n{message['content']}{_END}\n" for message in self._messages]
            return "".join(turns) + f"{_START}assistant\n"
        variables: dict[str, Any] = {"messages": self._messages, "add_generation_prompt": True}
        if _THINKING in template:
            variables[_THINKING] = self._thinking
        return self._tokenizer.render(template, variables)
