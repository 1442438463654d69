"""The series notation of promtool's tests.

``1x3`` is 1 four times; ``0+0.5x10`` starts at 0 and adds ten times; ``5-1x2``; ``_`` is a step without
the value, ``_x4`` four of them; ``NaN`` and ``Inf`` may stand for numbers. Source:
https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, overload

MAX_SAMPLES: Final = 100_000

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]{1,3})?|\.[0-9]+|Inf|NaN)"
_ITEM = re.compile(rf"([-+]?{_NUMBER})(?:([-+]{_NUMBER}))?(?:x([0-9]{{1,6}}))?\Z")
_GAP = re.compile(r"_(?:x([0-9]{1,6}))?\Z")
_TEXT = re.compile(r"(.*\S) x([0-9]{1,6})\Z", re.DOTALL)


class SeriesError(ValueError):
    """The text is not series notation; ``offset`` is where."""

    def __init__(self, offset: int, message: str) -> None:
        self.offset = offset
        super().__init__(message)


class Stretch(NamedTuple):
    """``times`` values: a number that grows by ``step`` each time, a text, or None for no value."""

    value: float | str | None
    step: float
    times: int


class Series(Sequence["float | str | None"]):
    """Values as they are written: as long as the series is, no more is kept than its notation."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self.stretches = tuple(stretches)
        self._ends: list[int] = []
        for stretch in stretches:
            self._ends.append((self._ends[-1] if self._ends else 0) + stretch.times)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> float | str | None: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[float | str | None, ...]: ...
    def __getitem__(self, index: int | slice) -> float | str | tuple[float | str | None, ...] | None:
        if isinstance(index, slice):
            return tuple(self)[index]
        if not 0 <= index < len(self):
            raise IndexError(index)
        place = bisect_right(self._ends, index)
        stretch = self.stretches[place]
        return _at(stretch, index - self._ends[place] + stretch.times)

    def __iter__(self) -> Iterator[float | str | None]:
        for stretch in self.stretches:
            for index in range(stretch.times):
                yield _at(stretch, index)


def _at(stretch: Stretch, index: int) -> float | str | None:
    value = stretch.value
    return value + stretch.step * index if stretch.step and isinstance(value, float) else value


def parse(text: str) -> Series:
    """The series, None where a value is missing. Raises SeriesError."""
    stretches: list[Stretch] = []
    room = MAX_SAMPLES
    for found in re.finditer(r"\S+", text):
        stretch = _stretch(found[0], found.start())
        room -= stretch.times
        if room < 0:
            raise SeriesError(found.start(), f"expected at most {MAX_SAMPLES:,} samples in a series")
        stretches.append(stretch)
    return Series(stretches)


def texts(items: Sequence[str]) -> Series:
    """A series of texts: ``train``, ``train x9`` for ten of them, ``_x4`` for none. Raises SeriesError."""
    stretches = []
    for item in items:
        gap, many = _GAP.match(item), _TEXT.match(item)
        if gap is not None:
            stretches.append(Stretch(None, 0.0, int(gap[1] or "1")))
        else:
            stretches.append(Stretch(many[1], 0.0, int(many[2]) + 1) if many else Stretch(item, 0.0, 1))
    if sum(stretch.times for stretch in stretches) > MAX_SAMPLES:
        raise SeriesError(0, f"expected at most {MAX_SAMPLES:,} samples in a series")
    return Series(stretches)


def _stretch(item: str, offset: int) -> Stretch:
    gap, number = _GAP.match(item), _ITEM.match(item)
    if gap is not None:
        return Stretch(None, 0.0, int(gap[1] or "1"))
    if number is None or (number[2] and not number[3]):
        raise SeriesError(offset, f'expected an item such as "1", "1x100", "0+0.5x10" or "_x3", got "{item}"')
    return Stretch(float(number[1]), float(number[2] or 0), int(number[3] or "0") + 1)
