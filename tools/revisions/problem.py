"""What ends a comparison before it has an answer."""

from __future__ import annotations


class Problem(Exception):
    """Bad usage, or something the comparison needs and cannot get; the message is one line for the user."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
