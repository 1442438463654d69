"""The one error of this package."""

from __future__ import annotations


class OtlpError(ValueError):
    """The bytes are not an OTLP export request; the message says what was expected and what came."""
