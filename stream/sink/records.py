"""What comes in: Kafka records with their coordinates, and who sent what is inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stream.events import Resource

NONE: Final = -1
"""A rank, step or sequence number that was not sent."""

_INT32: Final = 2**31
_INT64: Final = 2**63
_END_OF_TIME: Final = 2**32 * 1_000_000_000


class BadRecordError(ValueError):
    """A record that cannot be stored; the message says what was expected and what came."""


@dataclass(frozen=True)
class Record:
    """One Kafka record. ``time`` is its own timestamp in Unix nanoseconds."""

    topic: str
    partition: int
    offset: int
    time: int
    value: bytes

    @property
    def source(self) -> tuple[str, int, int]:
        """The columns src_topic, src_partition, src_offset."""
        return (self.topic, self.partition, self.offset)

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True)
class Who:
    """The columns that say who sent."""

    run: str
    attempt: int
    rank: int
    node: str
    role: str
    emitter: str

    @classmethod
    def of(cls, resource: Resource) -> Who:
        """What was not sent, or does not fit its column, is -1 or the empty string; an attempt is 0."""
        return cls(
            run=resource.run,
            attempt=within(resource.attempt, 0, 65_535, 0),
            rank=within(resource.rank, 0, _INT32 - 1, NONE),
            node=resource.node or "",
            role=resource.role or "",
            emitter=resource.emitter or "",
        )

    def at(self, time: int) -> tuple[str, int, int, str, str, int]:
        """The columns run, attempt, rank, node, role, time."""
        return (self.run, self.attempt, self.rank, self.node, self.role, time)


def within(value: int | None, low: int, high: int, otherwise: int) -> int:
    """The value where it lies between low and high (both included)."""
    return value if value is not None and low <= value <= high else otherwise


def int64(value: int | None) -> int:
    """The value where 64 bits hold it, else -1."""
    return within(value, -_INT64, _INT64 - 1, NONE)


def moment(*candidates: int) -> int:
    """The first time (ns) between 1970 and 2106, which is what retention can count with; else 0."""
    return next((time for time in candidates if 0 < time < _END_OF_TIME), 0)
