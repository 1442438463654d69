"""What every template gives: a request, and the meaning of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from stream.notify.notice import Notice


@dataclass(frozen=True)
class Post:
    """The body of one request, and headers beside the usual ones."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Template(Protocol):
    """Writes the requests of one hook."""

    def write(self, notice: Notice, now_s: float) -> Post:
        """The request; ``now_s`` is Unix time, anew at each try."""

    def check(self, body: bytes) -> None:
        """Look into an answer that has a status of success. Raises RefusedError or LaterError."""


def short(text: str, limit: int) -> str:
    """The text, cut with an ellipsis where the far end would refuse it."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
