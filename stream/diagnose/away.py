"""Away: when a rank was in a phase that a rule of absence does not count, so that the others waited for it.

A rank that saves or evaluates alone makes no hang of those that wait at the next collective. What is asked
about a moment depends only on heartbeats up to that moment, in whatever order ranks are read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

HEARD_NS: Final = 120_000_000_000
"""A rank that has not been heard for longer is not away but gone: nobody waits for it."""
KEPT: Final = 32
"""The latest stretches of one rank."""


class Away:
    """The stretches of one rank, each from its first to (after) its last moment, in order."""

    __slots__ = ("spans",)

    def __init__(self) -> None:
        self.spans: deque[list[int]] = deque(maxlen=KEPT)

    def stay(self, now: int) -> None:
        """A heartbeat says that the rank is away."""
        if self.spans and now <= self.spans[-1][1]:
            self.spans[-1][1] = now + HEARD_NS
        else:
            self.spans.append([now, now + HEARD_NS])

    def back(self, now: int) -> None:
        """The rank goes on, or ended."""
        if self.spans and self.spans[-1][1] > now:
            self.spans[-1][1] = max(now, self.spans[-1][0])

    def end_in(self, after: int, until: int) -> int | None:
        """The end of the last stretch that lies, in part at least, after one moment and up to another."""
        return max((end for begin, end in self.spans if begin <= until and end > after), default=None)

    def save(self) -> list[Any]:
        """Plain data that ``load`` reads."""
        return [list(span) for span in self.spans]

    def load(self, saved: Sequence[Any]) -> None:
        """Become what ``save`` gave."""
        self.spans.extend(list(span) for span in saved)


def all_here(others: Iterable[Away], since: int, limit: int, now: int) -> int:
    """The first moment from ``since`` on after which nobody was away for ``limit``, by what is known now."""
    away = [other for other in others if other.spans]
    while away and since + limit <= now:
        end = max(
            (end for one in away if (end := one.end_in(since, since + limit)) is not None), default=None
        )
        if end is None:
            break
        since = end
    return since
