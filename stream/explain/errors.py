"""ExplainError
└── NoRunError    no run of this id or name in history
"""

from __future__ import annotations

from collections.abc import Iterable

from stream.rulelang.errors import guess


class ExplainError(Exception):
    """Nothing can be explained; the message says why and what to do."""


class NoRunError(ExplainError):
    """History holds no such run; the message guesses."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        near = guess(name, known)
        super().__init__(
            f'expected a recorded file, or the id or name of a run in history, got "{name}"{near}'
        )
