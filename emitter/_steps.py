"""What ``step()`` does in the training thread: take the numbers, append, return.

Between two calls a training step has emptied the processor's caches, so what counts is how much memory a call
touches, not how many instructions it runs. Hence a closure: a cell costs a third of an attribute there
(bench/step_call.py). Whatever is not needed at every step happens in ``_attend``: a call gets there when its
number reaches ``until``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from emitter._queue import QUEUE_FULL, Queue
from emitter._values import Reading, snapshot
from emitter.vocabulary import events

_S: Final = 1e-9
_GRANT: Final = 64
"""Calls between two looks at the length of the queue; its limit may be passed by as many."""

Row = tuple[int, int, str, Any, Any, dict[str, Any]]
"""Monotonic ns, sequence number, event name, step, epoch, values."""

Take = Callable[[Any, Any, dict[str, Any]], None]


class _Cells(NamedTuple):
    """The hot function and the only ways to its variables."""

    take: Take
    state: Callable[[], tuple[int, Row | None]]
    allow: Callable[[int], None]
    restart: Callable[[int], None]


class _Beside(dict[str, Any]):
    """Writing to it has the next call look at it."""

    def __init__(self, allow: Callable[[int], None]) -> None:
        super().__init__()
        self._allow = allow

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._allow(0)


class Steps:
    """Counts, times and queues the calls of ``step()``. ``take(step, epoch, values)`` is the hot path."""

    def __init__(self, queue: Queue, monotonic_ns: Callable[[], int], boundary: Callable[[], None]) -> None:
        self._queue, self._monotonic_ns, self._boundary = queue, monotonic_ns, boundary
        self._cells = _cells(queue, monotonic_ns, self._read, self._number, self._attend)
        self.beside: dict[str, Any] = _Beside(self._cells.allow)
        """Goes out with the next step, under names that the trainer does not log itself."""
        self._data_ns = 0
        self._bad = False
        self._armed = False
        self.take: Take = self._cells.take

    @property
    def count(self) -> int:
        """Calls so far."""
        return self._cells.state()[0]

    @property
    def at(self) -> Any:
        """The step of the last call, as it was given; None before the first."""
        last = self._cells.state()[1]
        return None if last is None else last[3]

    @property
    def at_ns(self) -> int:
        """When the last call was (monotonic); 0 before the first."""
        last = self._cells.state()[1]
        return 0 if last is None else last[0]

    def arm(self) -> None:
        """From any thread: the next call has commands to look at."""
        self._armed = True
        self._cells.allow(0)

    def waited(self, nanoseconds: int) -> None:
        """Adds to the ``data_time`` of the next step."""
        self._data_ns += nanoseconds
        self._cells.allow(0)

    def _read(self, values: dict[str, Any]) -> Reading | None:
        """Read in place what is no plain number; what is still on its way, if anything."""
        self._add(values)
        reading = Reading(texts=False)
        for name, value in values.items():
            if type(value) is not float and type(value) is not int:
                values[name] = reading.take(value)
        reading.start()
        self._cells.allow(0)
        return reading if reading.pending else None

    def _number(self, step: Any, values: dict[str, Any], count: int) -> Any:
        """The step's number: its own, or that of the call."""
        if step is None:
            step = values.pop("step", None)
        return count if step is None else snapshot(step)

    def _attend(self, row: Row, reading: Reading | None) -> None:
        """Everything that most calls need not do."""
        values, queue = row[5], self._queue
        if reading is None and self.beside:  # a probe may have left a tensor there
            reading = self._read(values)
        self._add(values)
        bad = any(type(value) is float and value - value != 0.0 for value in values.values())
        room = queue.room()
        if room <= 0:
            queue.lose(QUEUE_FULL)
        elif reading is not None:
            queue.waiting.add(row, reading)
        else:
            queue.items.append(row)
        if bad is not self._bad:
            self._bad = bad
            queue.wake.set()
        # While values are bad every call comes here, so that the first good one is seen.
        self._cells.allow(0 if bad else self.count + min(room, _GRANT))
        # After allow(): arm() does it the other way round, so that no command is missed.
        if self._armed:
            self._armed = False
            try:
                self._boundary()
            finally:
                # What commands took is not time of a step.
                self._cells.restart(self._monotonic_ns())

    def _add(self, values: dict[str, Any]) -> None:
        if self._data_ns:
            values.setdefault("data_time", self._data_ns * _S)
            self._data_ns = 0
        while self.beside:
            name, value = self.beside.popitem()
            values.setdefault(name, value)


def _cells(
    queue: Queue,
    monotonic_ns: Callable[[], int],
    read: Callable[[dict[str, Any]], Reading | None],
    number: Callable[[Any, dict[str, Any], int], Any],
    attend: Callable[[Row, Reading | None], None],
) -> _Cells:
    append, next_seq, name = queue.items.append, queue.sequence.__next__, events.STEP
    count = until = 0
    last: Row | None = None

    def take(step: Any, epoch: Any, values: dict[str, Any]) -> None:
        nonlocal count, until, last
        now = monotonic_ns()
        reading = None
        for value in values.values():
            kind = type(value)
            if kind is float:
                if value - value != 0.0:  # NaN and infinities, without a call
                    until = 0
            elif kind is not int:
                reading = read(values)
                break
        if type(step) is not int:
            step = number(step, values, count)
        if epoch is not None and type(epoch) is not float:
            epoch = snapshot(epoch)
        if last is not None and "step_time" not in values:
            values["step_time"] = (now - last[0]) * 1e-9
        count += 1
        row = last = (now, next_seq(), name, step, epoch, values)
        if count < until:
            append(row)
        else:
            attend(row, reading)

    def allow(number: int) -> None:
        nonlocal until
        until = number

    def restart(now: int) -> None:
        nonlocal last
        if last is not None:
            last = (now, *last[1:])

    return _Cells(take, lambda: (count, last), allow, restart)
