"""Imports that background threads make: a fork waits for them.

A module that another thread is importing stays locked for ever in a forked child, and half made.
"""

from __future__ import annotations

import threading

loading = threading.Lock()
"""Held around every import in a thread of ours, and by whoever forks."""


def before_fork() -> None:
    """Wait for imports under way, and let none begin."""
    loading.acquire()


def after_fork() -> None:
    """In parent and child."""
    loading.release()
