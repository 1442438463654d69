"""The one guard between our own bugs and the training loop."""

from __future__ import annotations

import logging
import os
import time
from types import TracebackType
from typing import Final

logger: Final = logging.getLogger("emitter")

ENV_STRICT: Final = "TRAINWARDEN_STRICT"
"""``1`` lets our own exceptions through: for tests."""


class Guard:
    """Context manager that swallows and logs, at most one traceback per ``every_s``."""

    def __init__(self, every_s: float = 60.0) -> None:
        self._every_s = every_s
        self._next = 0.0
        self._hidden = 0

    def __enter__(self) -> None:
        """Nothing to prepare: the guard is shared by all threads and keeps no per-entry state."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """True for an Exception, unless strict. Exits (SystemExit, KeyboardInterrupt) always pass."""
        if error is None or not isinstance(error, Exception) or os.environ.get(ENV_STRICT) == "1":
            return False
        now = time.monotonic()
        if now < self._next:
            self._hidden += 1
            return True
        hidden, self._hidden, self._next = self._hidden, 0, now + self._every_s
        logger.error(
            "internal error in the emitter; training goes on, some telemetry is missing "
            "(%d more like it were not logged)", hidden, exc_info=(type(error), error, trace),
        )  # fmt: skip
        return True


guard: Final = Guard()
