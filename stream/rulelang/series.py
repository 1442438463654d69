"""The series notation of promtool's tests.

``1x3`` is 1 four times; ``0+0.5x10`` starts at 0 and adds ten times; ``5-1x2``; ``_`` is a step without
the value, ``_x4`` four of them; ``NaN`` and ``Inf`` may stand for numbers. Source:
https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series
"""

from __future__ import annotations

import re
from typing import Final

MAX_SAMPLES: Final = 100_000

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]{1,3})?|\.[0-9]+|Inf|NaN)"
_ITEM = re.compile(rf"([-+]?{_NUMBER})(?:([-+]{_NUMBER}))?(?:x([0-9]{{1,6}}))?\Z")
_GAP = re.compile(r"_(?:x([0-9]{1,6}))?\Z")


class SeriesError(ValueError):
    """The text is not series notation; ``offset`` is where."""

    def __init__(self, offset: int, message: str) -> None:
        self.offset = offset
        super().__init__(message)


def parse(text: str) -> tuple[float | None, ...]:
    """The samples, None where one is missing. Raises SeriesError."""
    values: list[float | None] = []
    for found in re.finditer(r"\S+", text):
        values.extend(_expand(found[0], found.start(), MAX_SAMPLES - len(values)))
    return tuple(values)


def gap(item: str) -> int | None:
    """How many steps ``_`` or ``_x4`` leaves out; None where the text is something else."""
    found = _GAP.match(item)
    return None if found is None else int(found[1] or "1")


def _expand(item: str, offset: int, room: int) -> list[float | None]:
    gap, number = _GAP.match(item), _ITEM.match(item)
    if gap is None and (number is None or (number[2] and not number[3])):
        raise SeriesError(offset, f'expected an item such as "1", "1x100", "0+0.5x10" or "_x3", got "{item}"')
    times = int((gap[1] or "1") if gap else (number and number[3]) or "0")
    if times >= room:
        raise SeriesError(offset, f"expected at most {MAX_SAMPLES:,} samples in a series")
    if number is None:
        return [None] * times
    start, delta = float(number[1]), float(number[2] or 0)
    return [start + delta * index if number[2] else start for index in range(times + 1)]
