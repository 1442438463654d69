"""What ``step()`` does beyond appending: whatever most calls need not do.

The hot path is ``_hot.py``. A call comes here when its number reaches what ``allow`` said, or when one of its
values is no plain number: a NaN, a tensor, a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from emitter import _hot
from emitter._guard import guard
from emitter._intake import Since
from emitter._queue import INTERNAL, Queue
from emitter._values import Reading, merge, snapshot
from emitter.vocabulary import events

if TYPE_CHECKING:
    from emitter._hot import Call, Hot

_S: Final = 1e-9
_GRANT: Final = 64
"""Calls between two looks at the length of the queue; its limit may be passed by as many."""

_NOTICED_NS: Final = 100_000
"""Commands that took less leave the time of the next step as it is."""


class _Beside(dict[str, Any]):
    """Writing to it has the next call look at it."""

    def __init__(self, allow: Callable[[int], None]) -> None:
        super().__init__()
        self._allow = allow

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._allow(0)


class Steps:
    """Counts and queues the calls of ``step()``. With ``hot`` given, from ``open`` to ``close``."""

    def __init__(
        self,
        queue: Queue,
        monotonic_ns: Callable[[], int],
        boundary: Callable[[], None],
        hot: Hot | None = None,
    ) -> None:
        self._queue, self._monotonic_ns, self._boundary = queue, monotonic_ns, boundary
        self._hot = hot or _hot.make()
        self._state: Callable[[], tuple[int, Any, int]] = lambda: (0, None, 0)
        self.beside: dict[str, Any] = _Beside(self._hot.allow)
        """Goes out with the next step, under names that the trainer does not log itself."""
        self._data_ns = 0
        self._bad = False
        self._armed = False
        self.step = self._hot.step
        if hot is None:
            self.open()

    def open(self) -> None:
        """Calls of the hot function are ours from now on."""
        self._hot.open(self._monotonic_ns, self._queue.items.append, self._attend)
        self._state = self._hot.state

    def close(self) -> None:
        """They are not any more; the counts stay what they were."""
        self._hot.close()
        final = self._state()
        self._state = lambda: final

    @property
    def count(self) -> int:
        """Calls so far."""
        return self._state()[0]

    @property
    def at(self) -> Any:
        """The step of the last call, as it was given; None before the first."""
        return self._state()[1]

    @property
    def at_ns(self) -> int:
        """When the last call was (monotonic); 0 before the first."""
        return self._state()[2]

    def arm(self) -> int:
        """From any thread: the next calls have commands to look at.

        The answer is the first count at which it is sure that one of them looks. The count is read after all
        that makes calls look: one that had compared the count with ``until`` before may go by unseen.
        """
        self._armed = True
        self._hot.allow(0)
        return self.count + 2

    def waited(self, nanoseconds: int) -> None:
        """Adds to the ``data_time`` of the next step."""
        self._data_ns += nanoseconds
        self._hot.allow(0)

    def _attend(self, call: Call, metrics: Mapping[Any, Any] | None) -> None:
        try:
            self._take(call, metrics)
        except Exception:  # a bug of ours, or a name whose own code raises
            self._queue.lose(INTERNAL)
            with guard:
                raise
        # After allow() in _take: arm() does it the other way round, so that no command is missed.
        if self._armed:
            self._armed = False
            began = self._monotonic_ns()
            try:
                self._boundary()
            finally:
                self._resume(began)

    def _resume(self, began: int) -> None:
        """What commands took is not time of a step."""
        now = self._monotonic_ns()
        if now - began >= _NOTICED_NS:
            self._hot.restart(now)
            self._queue.items.append(Since(now))

    def _take(self, call: Call, metrics: Mapping[Any, Any] | None) -> None:
        now, step, values = call
        epoch = values.pop("epoch", None)
        if metrics is not None:
            values = merge(metrics, values, self._queue.lose_value)
        if step is None:
            step = values.pop("step", None)
        step = self.count if step is None else snapshot(step)
        if epoch is not None:
            epoch = snapshot(epoch)
        self._hot.went(now, step)
        self._add(values)
        self._put((now, 0, events.STEP, step, epoch, values), _read(values))

    def _put(self, row: tuple[Any, ...], reading: Reading | None) -> None:
        bad = any(type(value) is float and value - value != 0.0 for value in row[5].values())
        queue, room = self._queue, self._queue.room()
        # While values are bad every call comes here, so that the first good one is seen.
        self._hot.allow(0 if bad else self.count + min(room - 1, _GRANT))
        if room <= 0:
            queue.full(row[0])
        elif reading is not None:
            queue.waiting.add(row, reading)
        else:
            queue.items.append(row)
        if bad is not self._bad:
            self._bad = bad
            queue.wake.set()

    def _add(self, values: dict[str, Any]) -> None:
        if self._data_ns:
            values.setdefault("data_time", self._data_ns * _S)
            self._data_ns = 0
        while self.beside:
            name, value = self.beside.popitem()
            values.setdefault(name, value)


def _read(values: dict[str, Any]) -> Reading | None:
    """Read in place what is no plain number; what is still on its way, if anything."""
    odd = [name for name, value in values.items() if type(value) is not float and type(value) is not int]
    if not odd:
        return None
    reading = Reading(texts=False)
    for name in odd:
        values[name] = reading.take(values[name])
    reading.start()
    return reading if reading.pending else None
