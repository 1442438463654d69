"""A series as one line of blocks, with one point in brackets; readable without colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

LEVELS: Final = "▁▂▃▄▅▆▇█"
NOT_FINITE: Final = "!"
_DECADES: Final = 100.0
"""Series that span more than this are drawn by their logarithm."""


def sparkline(values: Sequence[float], mark: int) -> str:
    """One block a value, the one at ``mark`` in brackets; ! where a value is not finite."""
    finite = [value for value in values if math.isfinite(value)]
    log = bool(finite) and min(finite) > 0 and max(finite) / min(finite) > _DECADES
    scaled = [math.log(value) if log and math.isfinite(value) else value for value in values]
    low = min((value for value in scaled if math.isfinite(value)), default=0.0)
    high = max((value for value in scaled if math.isfinite(value)), default=0.0)
    blocks = [_block(value, low, high) for value in scaled]
    if 0 <= mark < len(blocks):
        blocks[mark] = f"[{blocks[mark]}]"
    return "".join(blocks)


def _block(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return NOT_FINITE
    span = high - low
    if not math.isfinite(span):
        share = value / 2 / (high / 2 - low / 2) - low / 2 / (high / 2 - low / 2)
    else:
        share = (value - low) / span if span > 0 else 0.0
    return LEVELS[min(len(LEVELS) - 1, max(0, int(share * len(LEVELS))))]
