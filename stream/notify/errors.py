"""NotifyError
├── ConfigError    the file of web hooks is wrong; the message holds every mistake
└── UndeliveredError   a notice could not be delivered
     ├── RefusedError   the far end does not take it; sending it again would not help
     └── LaterError     the far end did not answer, or asked us to come again
"""

from __future__ import annotations


class NotifyError(Exception):
    """Something about notifications; the message says what and the cure."""


class ConfigError(NotifyError, ValueError):
    """The file of web hooks is wrong."""


class UndeliveredError(NotifyError):
    """A notice could not be delivered."""


class RefusedError(UndeliveredError):
    """The far end does not take it; sending it again would not help."""


class LaterError(UndeliveredError):
    """Not now. ``after_s``: seconds that the far end asked us to wait, None where it did not say."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s
