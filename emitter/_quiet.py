"""Keeps the log noise of libraries that work for us out of the trainer's output.

A dead endpoint makes exporters and Kafka clients log again and again. We say it once ourselves, so what
they log *from our threads* is dropped; the trainer's own use of the same libraries is not touched.
"""

from __future__ import annotations

import logging
import threading

_ours: set[int] = set()


class _OwnThreads(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """False for records made by one of our threads."""
        return record.thread not in _ours


_filter = _OwnThreads()


def ours() -> None:
    """Mark the current thread as one of ours."""
    _ours.add(threading.get_ident())


def is_ours(thread: int | None) -> bool:
    """Whether this thread id was marked."""
    return thread in _ours


def done() -> None:
    """The current thread ends; its id may be used again by the trainer."""
    _ours.discard(threading.get_ident())


def quiet(*prefixes: str) -> None:
    """Filter the loggers under these names. Filters are not inherited, so each one gets it."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(prefixes)]
    for name in [*names, *prefixes]:
        logging.getLogger(name).addFilter(_filter)
