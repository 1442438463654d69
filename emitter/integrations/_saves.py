"""A checkpoint that a trainer writes by itself: its spans, its size, and reading it back beside training."""

from __future__ import annotations

import atexit
import threading
import time
from pathlib import Path
from typing import Any, Final

import emitter
from emitter import _api, _quiet
from emitter._guard import guard, logger
from emitter.integrations import _files

_one_at_a_time: Final = threading.Lock()
_reading: set[threading.Thread] = set()


class Save:
    """One checkpoint from before it is written. ``path`` is where it will be found in the end."""

    def __init__(self, step: int, path: Path, kind: str) -> None:
        self.step, self.path, self.kind = step, path, kind
        self._span: Any = emitter.checkpoint(step, path, kind)
        self._span.__enter__()

    def written(self, *, verify: bool) -> int | None:
        """The files are there: their size, or None where they are not whole. ``verify`` reads them back."""
        try:
            size = _files.size_of(self.path)
            _files.check(self.path)
        except (_files.DamagedError, OSError) as error:
            self.failed(error)
            return None
        self._span.written(bytes=size)
        self._span.release()
        if verify:
            _start(self)
        else:
            self._span.__exit__(None, None, None)
        return size

    def failed(self, error: BaseException) -> None:
        """It was not written, or not well."""
        logger.warning("checkpoint of step %s is not whole: %s", self.step, error)
        self._span.__exit__(type(error), error, None)

    def read_back(self) -> None:
        """Read everything, and end the span. A checkpoint that was deleted meanwhile stays unverified."""
        try:
            checksum = _files.read_back(self.path)
        except FileNotFoundError:
            self._span.__exit__(None, None, None)
        except (_files.DamagedError, OSError) as error:
            self.failed(error)
        else:
            self._span.verified(checksum=checksum)
            self._span.__exit__(None, None, None)


def join(timeout_s: float) -> None:
    """Wait for what is being read back."""
    end = time.monotonic() + timeout_s
    for thread in list(_reading):
        thread.join(max(0.0, end - time.monotonic()))


def _start(save: Save) -> None:
    def work() -> None:
        _quiet.ours()
        try:
            with guard, _one_at_a_time:
                save.read_back()
        finally:
            _reading.discard(threading.current_thread())
            _quiet.done()

    # Called before the session's own shutdown: the last in is the first out.
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)
    thread = threading.Thread(target=work, name="trainwarden-verify", daemon=True)
    _reading.add(thread)
    thread.start()


def _at_exit() -> None:
    session = _api._session
    if session is not None:
        join(session.settings.shutdown_s)
