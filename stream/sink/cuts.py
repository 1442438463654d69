"""Where one batch ends and the next begins.

After a crash the records since the last commit are read again, and ClickHouse drops a repeated insert only
when it holds the same records. So the place of a cut follows from the records alone: from their sizes and
from Kafka's own timestamps. Only a batch after which nothing more comes is closed by our clock.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from stream.sink.records import Record

_OVERHEAD_BYTES = 100


@dataclass(frozen=True)
class Limits:
    """When a batch ends: at so many bytes of Kafka records, or with each ``span_s`` of their timestamps.

    The last batch is closed ``grace_s`` after its span is over and nothing came for ``grace_s``, and at
    the latest after ``longest_s``. ``waiting_bytes``: what may wait in memory before reading stops.
    """

    batch_bytes: int = 2 * 1024 * 1024
    span_s: float = 0.5
    grace_s: float = 0.2
    longest_s: float = 3.0
    waiting_bytes: int = 32 * 1024 * 1024


@dataclass
class Batch:
    """Consecutive records of one partition; ``span`` is the newest span of time any of them lies in."""

    topic: str
    partition: int
    limits: Limits
    opened: float
    records: list[Record] = field(default_factory=list)
    size_bytes: int = 0
    span: int = 0
    touched: float = 0.0

    def takes(self, record: Record) -> bool:
        """Whether the record still belongs to this batch."""
        fits = self.size_bytes + cost(record) <= self.limits.batch_bytes
        return not self.records or (fits and self._span_of(record) <= self.span)

    def add(self, record: Record, now: float) -> None:
        """Append a record; ``now`` is our monotonic clock."""
        self.records.append(record)
        self.size_bytes += cost(record)
        self.span = max(self.span, self._span_of(record))
        self.touched = now

    def due_in(self, now: float, wall_ns: int) -> float:
        """Seconds until our clocks (monotonic and Unix) close the batch; 0 or less: now."""
        over_in = (self.span + 1) * self.limits.span_s - wall_ns / 1e9 + self.limits.grace_s
        quiet_in = self.touched + self.limits.grace_s - now
        return min(max(over_in, quiet_in), self.opened + self.limits.longest_s - now)

    @property
    def token(self) -> str:
        """The same for the same records only: offsets alone would do so until a broker starts again at 0."""
        digest = hashlib.blake2b(f"{self.topic}:{self.partition}".encode(), digest_size=16)
        for record in self.records:
            digest.update(b"%d:%d:%d:" % (record.offset, record.time, len(record.value)))
            digest.update(record.value)
        return digest.hexdigest()

    def _span_of(self, record: Record) -> int:
        return int(record.time / 1e9 / self.limits.span_s)


def cost(record: Record) -> int:
    """Bytes of memory a waiting record is counted with."""
    return len(record.value) + _OVERHEAD_BYTES
