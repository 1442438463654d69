"""A phase that is entered and left by different calls of a trainer."""

from __future__ import annotations

from contextlib import AbstractContextManager

import emitter


class Phase:
    """Entering twice or leaving twice does no harm."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: AbstractContextManager[None] | None = None

    @property
    def inside(self) -> bool:
        """Whether it was entered and not left."""
        return self._open is not None

    def enter(self) -> None:
        """The trainer is about to be busy with this."""
        if self._open is None:
            self._open = emitter.phase(self._name)
            self._open.__enter__()

    def leave(self) -> None:
        """It is over."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.__exit__(None, None, None)
