"""Kafka records as the pure halves of the stages see them."""

from __future__ import annotations

from dataclasses import dataclass, field

Headers = list[tuple[str, bytes]]


class BadRecordError(ValueError):
    """A record that cannot be understood: it goes to ``train.deadletters`` with this message.

    ``reason``: one word for those who count.
    """

    reason = "malformed"


class OversizedError(BadRecordError):
    """What it leads to does not fit into a message."""

    reason = "too_large"


@dataclass(frozen=True)
class Incoming:
    """One record read from a topic. ``timestamp_ms`` is the record's, 0 where it has none."""

    topic: str
    partition: int
    offset: int
    value: bytes
    key: bytes | None = None
    headers: Headers = field(default_factory=list)
    timestamp_ms: int = 0

    def header(self, name: str) -> str | None:
        """The last header of this name as text, or None."""
        for key, value in reversed(self.headers):
            if key == name:
                return value.decode("utf-8", "replace")
        return None


@dataclass(frozen=True)
class Outgoing:
    """One record to write. The partition follows from the key unless it is given."""

    topic: str
    value: bytes
    key: bytes | None = None
    partition: int | None = None
    headers: Headers = field(default_factory=list)


class Ticks(list[Outgoing]):
    """Results of a clock tick or beacon: they do not show that what others sent can be read."""
