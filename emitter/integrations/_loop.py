"""What all integrations share: a session of their own where there is none, and one reporter a session."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from typing import Any, Final

import emitter
from emitter import _api
from emitter._exits import Stop
from emitter._guard import guard, logger

_NOBODY: Final = (None, "")
_reporter: tuple[weakref.ref[Loop] | None, str] = _NOBODY


class Loop:
    """The trainer's loop, as one integration drives it. ``settings`` are arguments of ``emitter.init``."""

    def __init__(self, run: str | None, settings: Mapping[str, Any]) -> None:
        self._run, self._settings = run, dict(settings)
        self._asked = False
        self.reporting = False
        self.refused = False

    def begin(self, run: str | None = None) -> None:
        """Start a session unless there is one. Raises SettingError as ``emitter.init`` does."""
        if not self._asked and (_api._session is None or self._run is not None or self._settings):
            self._asked = True
            emitter.init(run=self._run or run, **self._settings)

    def claim(self) -> bool:
        """Become the one who reports steps; False, with one warning, where another integration does."""
        global _reporter
        session = _api._session
        if session is None:
            self.reporting = False
            return False
        self.refused = False
        other, emitter_id = _reporter[0] and _reporter[0](), _reporter[1]
        if other is not None and other is not self and emitter_id == session.identity.emitter:
            logger.warning("another integration reports the steps of this run already; this one keeps quiet")
            self.reporting, self.refused = False, True
            return False
        _reporter = (weakref.ref(self), session.identity.emitter)
        self.reporting = True
        return True

    def release(self) -> None:
        """Let another one report."""
        global _reporter
        if self.reporting:
            _reporter, self.reporting = _NOBODY, False

    def step(self, step: int, values: Mapping[str, Any], epoch: Any = None) -> bool:
        """One optimizer step; True where a command asks the loop to stop. Raises emitter.Restart."""
        if not self.reporting:
            return False
        try:
            with guard:
                emitter.step(step, values, epoch=epoch)
        except Stop:
            return True
        return False

    @property
    def elapsed_s(self) -> float:
        """Seconds on the session's clock; only differences mean something."""
        session = _api._session
        return 1e-9 * (time.monotonic_ns() if session is None else session.clock.monotonic_ns())
