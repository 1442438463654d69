"""Dead letters: records nobody understands are kept with the reason; too many stop the worker.

A new version that cannot read what is there would otherwise throw everything away, quickly and quietly.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from emitter.vocabulary import topics
from stream.records import BadRecordError, Incoming, Outgoing

IN_A_ROW: Final = 100
WINDOW: Final = 1000
SHARE: Final = 0.5


class DeadLetterLimitError(RuntimeError):
    """The limit is reached; the message says where, the last error, and what to do."""


def dead_letter(record: Incoming, stage: str, error: str) -> Outgoing:
    """The record as it came, with where it was and what was wrong in the headers."""
    values = (record.topic, str(record.partition), str(record.offset), stage, error)
    headers = [(name, value.encode()) for name, value in zip(topics.DEADLETTER_HEADERS, values, strict=True)]
    return Outgoing(topics.TRAIN_DEADLETTERS, record.value, record.key, headers=headers)


class Limit:
    """Counts one agent's records: too many bad ones in a row, or too large a share, is the end.

    ``reasons``: how many were bad for which reason; the reader may clear it.
    """

    def __init__(self, in_a_row: int = IN_A_ROW, window: int = WINDOW, share: float = SHARE) -> None:
        self.in_a_row, self.window, self.share = in_a_row, window, share
        self.reasons: Counter[str] = Counter()
        self._row = self._seen = self._bad = 0

    def good(self) -> None:
        """A record that was understood."""
        self._row = 0
        self._count(0)

    def bad(self, record: Incoming, error: str, reason: str = BadRecordError.reason) -> None:
        """A record that was not. Raises DeadLetterLimitError instead of letting it go."""
        if self._row + 1 >= self.in_a_row:
            raise self._too_many(record, error, f"{self.in_a_row} records in a row")
        if self._seen >= self.window and (self._bad + 1) / (self._seen + 1) > self.share:
            raise self._too_many(
                record, error, f"more than {self.share:.0%} of the last {self._seen} records"
            )
        self._row += 1
        self.reasons[reason] += 1
        self._count(1)

    def _count(self, bad: int) -> None:
        self._seen += 1
        self._bad += bad
        # Halving both forgets the past slowly and needs no list of outcomes.
        if self._seen >= 2 * self.window:
            self._seen //= 2
            self._bad //= 2

    def _too_many(self, record: Incoming, error: str, what: str) -> DeadLetterLimitError:
        return DeadLetterLimitError(
            f"{record.topic}[{record.partition}] offset {record.offset}: {what} could not be read, the last "
            f"one because: {error}. Stopping here, this record is not consumed: if a new version of this "
            f"worker or of a sender does not fit, put the old one back; what was set aside before is in "
            f"{topics.TRAIN_DEADLETTERS}"
        )
