"""Sums over a moving stretch of values that are exact: whole numbers, so that nothing drifts.

Every result is a function of the values in the stretch alone, correctly rounded: it does not matter when
it was asked, nor what passed through before. Work waits until somebody asks, and is then in proportion to
what changed since. A stretch is given by the numbers of its first value and of the one behind its last;
``values`` starts with the value of number ``base``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from operator import mul
from typing import Final

_USUAL: Final = 80
"""Values are held in units of 2**-80, fine enough for what people log; a finer value refines them."""
_FACTOR: Final = 2.0**_USUAL
_ROOM: Final = 24
_FINEST: Final = 900


class _Exact:
    """The values of a stretch as whole multiples of one unit."""

    __slots__ = ("_factor", "_review", "_scale", "_wholes", "begin", "end", "total")

    def __init__(self) -> None:
        self.restart(0)

    def restart(self, begin: int) -> None:
        """Forget everything: an empty stretch."""
        self.begin = self.end = begin
        self.total = 0
        self._wholes: deque[int] = deque()
        self._review = math.inf
        self._set_scale(_USUAL)

    def _set_scale(self, scale: int) -> None:
        self._scale = scale
        self._factor = 2.0**scale if scale <= _FINEST else math.nan

    def _prepare(self, begin: int) -> None:
        # Once every value has gone that was there when the unit was refined, the usual one may do again.
        if begin > self.end or begin >= self._review:
            self.restart(begin)
        elif self._scale != _USUAL and self._review == math.inf:
            self._review = self.end

    def _whole(self, value: float) -> int:
        """The value in the unit of now, which becomes finer where it must."""
        scaled = value * self._factor
        if _fits(scaled):
            return int(scaled)
        top, bottom = value.as_integer_ratio()
        bits = bottom.bit_length() - 1
        if bits > self._scale:
            self._refine(bits + _ROOM - self._scale)
        return top << (self._scale - bits)

    def _refine(self, bits: int) -> None:
        self._set_scale(self._scale + bits)
        self._wholes = deque(whole << bits for whole in self._wholes)
        self.total <<= bits


class Sums(_Exact):
    """Sum and, once asked for, sum of squares."""

    __slots__ = ("squared", "squares")

    def __init__(self) -> None:
        self.squared = False
        super().__init__()

    def restart(self, begin: int) -> None:
        """Forget everything: an empty stretch."""
        super().restart(begin)
        self.squares = 0

    def sync(self, values: Sequence[float], base: int, begin: int, end: int) -> None:
        """Make the sums those of ``[begin, end)``, which reaches to the last of ``values``."""
        if begin == self.begin + 1 and end == self.end + 1 and self._scale == _USUAL and self._wholes:
            # What happens at every sample once a window is full.
            scaled = values[-1] * _FACTOR
            if -1e300 < scaled < 1e300 and scaled.is_integer():
                self._slide(int(scaled))
                return
        self._prepare(begin)
        gone = [self._wholes.popleft() for _ in range(begin - self.begin)]
        self._count(gone, -1)
        self.begin = begin
        come = values[self.end - base :]
        units = [value * self._factor for value in come]
        if all(map(_fits, units)):
            self._take(list(map(int, units)))
        else:
            for value in come:
                self._take([self._whole(value)])
        self.end = end

    def _take(self, new: list[int]) -> None:
        self._wholes.extend(new)
        self._count(new, 1)

    def _count(self, wholes: list[int], sign: int) -> None:
        self.total += sign * sum(wholes)
        if self.squared:
            self.squares += sign * sum(map(mul, wholes, wholes))

    def _slide(self, new: int) -> None:
        self._wholes.append(new)
        old = self._wholes.popleft()
        self.total += new - old
        if self.squared:
            self.squares += new * new - old * old
        self.begin += 1
        self.end += 1

    def _refine(self, bits: int) -> None:
        super()._refine(bits)
        self.squares <<= 2 * bits

    def sum(self) -> float:
        """The sum."""
        return _ratio(self.total, 1 << self._scale)

    def mean(self) -> float:
        """The mean, NaN of none."""
        size = self.end - self.begin
        return _ratio(self.total, size << self._scale) if size else math.nan

    def std(self) -> float:
        """The population standard deviation, NaN of none."""
        size = self.end - self.begin
        if not size:
            return math.nan
        return _root(size * self.squares - self.total * self.total, 2 * self._scale, size)


class Trend(_Exact):
    """The line through the values by least squares; ``places`` are their whole-numbered abscissas."""

    __slots__ = ("_moment", "_place_squares", "_place_total", "_places")

    def restart(self, begin: int) -> None:
        """Forget everything: an empty stretch."""
        super().restart(begin)
        self._moment = self._place_total = self._place_squares = 0
        self._places: deque[int] = deque()

    def sync(
        self, values: Sequence[float], places: Sequence[int] | None, base: int, begin: int, end: int
    ) -> None:  # fmt: skip
        """Make the line that of ``[begin, end)``; without ``places`` the numbers of the values are used."""
        self._prepare(begin)
        for _ in range(begin - self.begin):
            self._count(-self._wholes.popleft(), self._places.popleft(), -1)
        self.begin = begin
        for number in range(self.end, end):
            whole = self._whole(values[number - base])
            place = number if places is None else places[number - base]
            self._wholes.append(whole)
            self._places.append(place)
            self._count(whole, place, 1)
        self.end = end

    def _count(self, whole: int, place: int, sign: int) -> None:
        self.total += whole
        self._moment += whole * place
        self._place_total += sign * place
        self._place_squares += sign * place * place

    def _refine(self, bits: int) -> None:
        super()._refine(bits)
        self._moment <<= bits

    def slope(self, per: int = 1) -> float:
        """Change of the value per so many units of place; NaN where all places are the same."""
        size = self.end - self.begin
        spread = size * self._place_squares - self._place_total * self._place_total
        if not spread:
            return math.nan
        return _ratio(per * (size * self._moment - self._place_total * self.total), spread << self._scale)


def _fits(scaled: float) -> bool:
    return -1e300 < scaled < 1e300 and scaled.is_integer()


def _ratio(top: int, bottom: int) -> float:
    """The nearest float; an infinity beyond range."""
    try:
        return top / bottom
    except OverflowError:
        return math.inf if top > 0 else -math.inf


def _root(spread: int, scale: int, size: int) -> float:
    """sqrt(spread / 2**scale) / size to the last bit or two."""
    variance = _ratio(spread, (size * size) << scale)
    if not spread or 1e-300 < variance < 1e300:
        return math.sqrt(variance)
    shift = max(0, 128 - spread.bit_length())
    shift += (shift + scale) & 1
    return _ratio(math.isqrt(spread << shift), size << ((scale + shift) // 2))
