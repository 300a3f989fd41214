"""What ends a conversation: one line for the user, and the exit status."""

from __future__ import annotations

BAD_USAGE = 2  # or a bad file; nothing was run
FAILED = 1  # the model was run, and failed


class Problem(Exception):
    """Its message is one line."""

    def __init__(self, message: str, status: int = BAD_USAGE) -> None:
        super().__init__(" ".join(message.split()))
        self.status = status
