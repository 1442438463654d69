"""How many notices a hook may have in a stretch of time, and what was held back."""

from __future__ import annotations

from collections import Counter, deque

from emitter.vocabulary import cloudevents
from stream.notify.notice import SUMMARY, Notice


class Budget:
    """At most ``count`` in any ``seconds``. Times are monotonic seconds."""

    def __init__(self, count: int, seconds: float) -> None:
        self._seconds = seconds
        self._taken: deque[float] = deque(maxlen=count)

    def take(self, now: float) -> bool:
        """Whether one more may go now; counts it if so."""
        if len(self._taken) == self._taken.maxlen and now - self._taken[0] < self._seconds:
            return False
        self._taken.append(now)
        return True


class HeldBack:
    """What a hook did not get, counted by what it was about."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._total = 0

    def __len__(self) -> int:
        return sum(self._counts.values())

    @property
    def total(self) -> int:
        """Since the start."""
        return self._total

    def add(self, notice: Notice) -> None:
        """One more was held back."""
        self._counts[notice.event, notice.rule or "-"] += 1
        self._total += 1

    def drain(self) -> int:
        """How many there were since the last time."""
        count = len(self)
        self._counts.clear()
        return count

    def summary(self, hook: str, now_ns: int) -> Notice:
        """A notice that tells of them. Drains."""
        parts = [f"{count} {event} ({rule})" for (event, rule), count in self._counts.most_common(10)]
        more = len(self._counts) - len(parts)
        listed = ", ".join(parts) + (f" and {more} other kinds" if more > 0 else "")
        time = cloudevents.rfc3339(now_ns)
        return Notice(
            id=f"{hook}/{SUMMARY}/{time}",
            event=SUMMARY,
            time=time,
            summary=f"{len(self)} more were not sent one by one: {listed}",
            held_back=self.drain(),
        )
