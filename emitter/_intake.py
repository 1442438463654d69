"""From what callers left in the queue to numbered records.

Numbers are given here and not in the calls: it costs the training thread nothing, and happens in one thread
at a time. A record that there was no room for takes one, too, so that a loss is a gap.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from emitter._records import Item
from emitter._waiting import Ticket
from emitter.vocabulary import events

if TYPE_CHECKING:
    from emitter._queue import Queue

_S: Final = 1e-9
_CALL: Final = 3
"""Fields of what a plain ``step()`` appends: monotonic ns, step, values. Others have those of a row."""

Row = tuple[int, int, str, Any, Any, dict[str, Any]]
"""Monotonic ns, sequence number, event name, step, epoch, values."""


class Since:
    """The time of the next step counts from here."""

    __slots__ = ("at_ns",)

    def __init__(self, at_ns: int) -> None:
        self.at_ns = at_ns


class Gap:
    """Stands for records that there was no room for; ``at_ns`` is the time of the last step among them."""

    __slots__ = ("at_ns", "count", "taken")

    def __init__(self) -> None:
        self.count, self.taken = 0, False
        self.at_ns: int | None = None


class Intake:
    """Takes from the queue, in order; from one thread at a time."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._next = 0
        self._before: int | None = None
        """When the step before was called."""

    def take(self, most: int) -> list[Row | Item]:
        """The next records, at most this many; none when the queue is empty."""
        items, rows = self._queue.items, list[Row | Item]()
        while items and not rows:
            self._take(items, min(len(items), most), rows)
        return rows

    def _take(self, items: deque[Any], count: int, rows: list[Row | Item]) -> None:
        append = rows.append
        for _ in range(count):
            item = items.popleft()
            if type(item) is tuple:
                append(self._step(item))
            elif type(item) is Item:
                append(self._numbered(item))
            elif type(item) is Ticket:
                if item.seq is None:
                    row = item.row
                    item.row = self._step(row) if type(row) is tuple else self._numbered(Item(*row))
                    item.seq = item.row[1]
                if self._queue.waiting.leaves(item):
                    append(item.row)
            else:
                self._mark(item)

    def _step(self, item: tuple[Any, ...]) -> Row:
        epoch = None
        if len(item) == _CALL:
            now, step, values = item
        else:
            now, _, _, step, epoch, values = item
        before, self._before = self._before, now
        number = self._next
        self._next = number + 1
        try:
            if len(item) == _CALL:
                epoch = values.pop("epoch", None)
            if before is not None:
                values.setdefault("step_time", (now - before) * _S)
        except Exception:  # noqa: BLE001 - a name's own code may raise anything
            pass
        return (now, number, events.STEP, step, epoch, values)

    def _numbered(self, item: Item) -> Item:
        number = self._next
        self._next = number + 1
        return item._replace(seq=number)

    def _mark(self, mark: Since | Gap) -> None:
        if type(mark) is Gap:
            self._next += self._queue.close_gap(mark)
        if mark.at_ns is not None:
            self._before = mark.at_ns
