"""How many points a panel may ask for: a chart of a thousand ranks gets wider buckets, not more bytes.

Nobody knows how many lines a query has before it is asked. An answer that is too long is asked for again
with wider buckets, and that is remembered for as long as the answers stay long.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

MOST_VALUES: Final = 24_000
"""Values of one answer; about 10 bytes each, half of that compressed."""
FEWEST_POINTS: Final = 30
"""Of a line; fewer are no chart."""
_REMEMBERED: Final = 2000


class Thinner:
    """Points that each panel was last found to have room for."""

    def __init__(self) -> None:
        self._points: OrderedDict[Hashable, int] = OrderedDict()

    def points(self, panel: Hashable, wanted: int) -> int:
        """Points to ask for."""
        return min(wanted, self._points.get(panel, wanted))

    def judge(self, panel: Hashable, points: int, rows: int) -> bool:
        """Whether an answer of so many rows will do; if not, ``points`` gives fewer the next time."""
        if rows > MOST_VALUES and points > FEWEST_POINTS:
            fewer = int(points * MOST_VALUES * 0.9 / rows)
            self._points[panel] = max(min(fewer, points - 1), FEWEST_POINTS)
            while len(self._points) > _REMEMBERED:
                self._points.popitem(last=False)
            return False
        if rows < MOST_VALUES // 4:
            self._points.pop(panel, None)
        return True
