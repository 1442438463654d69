"""Where messages stood that were turned away, so that reading them again is not answered again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

LIMIT: Final = 4096


class TurnedAway:
    """Bounded: the oldest places go first."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._places: OrderedDict[Hashable, None] = OrderedDict()
        self._limit = limit

    def first(self, position: Hashable) -> bool:
        """Whether nothing at this place was turned away before; None is always new."""
        if position is None:
            return True
        if position in self._places:
            return False
        self._places[position] = None
        while len(self._places) > self._limit:
            self._places.popitem(last=False)
        return True
