"""Records whose values are still on their way from a device; nothing else waits for them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from emitter._tensors import MISSING, NOT_YET, Pending
from emitter._values import Reading

PATIENCE_S: Final = 1.0
"""After this long, measured from the call, a record goes without the values that have not come."""

POLL_S: Final = 0.05


class Waiting:
    """``add`` from any thread, ``settle`` from the sender's."""

    def __init__(
        self,
        ready: Callable[[tuple[Any, ...]], None],
        unread: Callable[[int], None],
        urgent: Callable[[], None],
    ) -> None:
        self._ready, self._unread, self._urgent = ready, unread, urgent
        self._rows: deque[tuple[tuple[Any, ...], Reading]] = deque()
        self.used = False

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: tuple[Any, ...], reading: Reading) -> None:
        """Keep the record until its values have come."""
        self.used = True
        self._rows.append((row, reading))

    def settle(self, now_ns: int) -> None:
        """Hand over the records that are complete, and those that have waited long enough."""
        if not self._rows:
            return
        kept = []
        for _ in range(len(self._rows)):
            row, reading = self._rows.popleft()
            late = now_ns - row[0] > PATIENCE_S * 1e9
            if late or all(arrival.poll() for arrival in reading.arrivals):
                self._release(row)
            else:
                kept.append((row, reading))
        self._rows.extendleft(reversed(kept))

    def finish(self, now_ns: Callable[[], int]) -> None:
        """Wait for what is left, for as long as patience allows."""
        end = time.monotonic() + PATIENCE_S
        while self._rows and time.monotonic() < end:
            self.settle(now_ns())
            time.sleep(0.002)
        self.settle(now_ns() + int(PATIENCE_S * 1e9))

    def _release(self, row: tuple[Any, ...]) -> None:
        missing, bad = _fill(row[5])
        if missing:
            self._unread(missing)
        self._ready(row)
        if bad:
            self._urgent()


def _fill(values: dict[str, Any]) -> tuple[int, bool]:
    """Put the numbers in place. How many are missing, and whether one is NaN or infinite."""
    missing, bad = 0, False
    for name, value in list(values.items()):
        if isinstance(value, Pending):
            number = value.value
            if number is MISSING or number is NOT_YET:
                missing += 1
                value.came(MISSING)
                del values[name]
            else:
                values[name] = number
                bad = bad or number - number != 0
        elif type(value) is dict:
            inner_missing, inner_bad = _fill(value)
            missing, bad = missing + inner_missing, bad or inner_bad
    return missing, bad
