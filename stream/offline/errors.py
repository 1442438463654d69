"""OfflineError
└── ReadError     a file that cannot be read from some place on; what came before still counts
"""

from __future__ import annotations


class OfflineError(Exception):
    """Recorded data cannot be used; the message says what was expected, what came, and the cure."""


class ReadError(OfflineError):
    """One file, or the rest of it. ``file`` is as the user named it, ``place`` such as ``line 12``."""

    def __init__(self, file: str, place: str, message: str) -> None:
        self.file = file
        self.place = place
        super().__init__(f"{file}{', ' if place else ''}{place}: {message}")
