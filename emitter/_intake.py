"""From what callers left in the queue to numbered records.

Numbers are given here and not in the calls: it costs the training thread nothing, and happens in one thread
at a time. A record that there was no room for takes one, too, so that a loss is a gap.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from emitter._records import Item
from emitter._waiting import Ticket
from emitter.vocabulary import events

if TYPE_CHECKING:
    from emitter._queue import Queue

_S: Final = 1e-9
_CALL: Final = 3
"""Fields of what a plain ``step()`` appends: monotonic ns, step, values. Others are rows without a number."""

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
            some = [items.popleft() for _ in range(min(len(items), most))]
            if {*map(type, some)} == {tuple} and {*map(len, some)} == {_CALL}:
                rows += self._calls(some)
            else:
                rows += [row for row in map(self._one, some) if row is not None]
        return rows

    def _calls(self, calls: list[tuple[int, Any, dict[str, Any]]]) -> list[Row]:
        """Plain calls of ``step()``."""
        rows, before, number, name = list[Row](), self._before, self._next, events.STEP
        for now, step, values in calls:
            epoch = None
            try:
                epoch = values.pop("epoch", None)
                if before is not None:
                    values.setdefault("step_time", (now - before) * _S)
            except Exception:  # noqa: BLE001 - a name's own code may raise anything
                pass
            rows.append((now, number, name, step, epoch, values))
            before, number = now, number + 1
        self._before, self._next = before, number
        return rows

    def _one(self, item: Any) -> Row | Item | None:
        """Whatever stands in the queue; None for what is no record, or not complete."""
        if type(item) is Ticket:
            if item.seq is None:
                item.row = self._row(item.row)
                item.seq = item.row[1]
            return item.row if self._queue.waiting.leaves(item) else None
        if type(item) is tuple or type(item) is Item:
            return self._row(item)
        if type(item) is Gap:
            self._next += self._queue.close_gap(item)
        if item.at_ns is not None:
            self._before = item.at_ns
        return None

    def _row(self, item: Any) -> Row | Item:
        if type(item) is tuple and len(item) == _CALL:
            return self._calls([item])[0]
        number = self._next
        self._next = number + 1
        if type(item) is Item:
            return item._replace(seq=number)
        now, _, name, step, epoch, values = item
        before, self._before = self._before, now
        if before is not None:
            with suppress(Exception):  # a name's own code may raise anything
                values.setdefault("step_time", (now - before) * _S)
        return (now, number, name, step, epoch, values)
