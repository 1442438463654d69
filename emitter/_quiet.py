"""Keeps libraries that work for us from being noticed in the trainer.

A dead endpoint makes exporters and Kafka clients log again and again. We say it once ourselves, so what
they log *from our threads* is dropped; the trainer's own use of the same libraries is not touched. They
also draw from the global ``random``, which would make a seeded training run differ from one without us.
"""

from __future__ import annotations

import logging
import random
import sys
import threading

_ours: set[int] = set()


class _OwnThreads(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """False for records made by one of our threads."""
        return record.thread not in _ours


_filter = _OwnThreads()
_chance = random.Random()


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
    """Tame what is loaded under these names."""
    for name in [*logging.root.manager.loggerDict, *prefixes]:
        # Filters are not inherited, so each logger gets it.
        if name.startswith(prefixes):
            logging.getLogger(name).addFilter(_filter)
    for name, module in list(sys.modules.items()):
        if name.startswith(prefixes) and getattr(module, "random", None) is random:
            module.random = _chance  # type: ignore[attr-defined]
