"""Durations as rules write them: ``30s``, ``5m``, ``1h30m``, ``250ms``."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
EXPECTED: Final = 'a duration such as "30s", "5m" or "1h30m"'


def parse(text: str) -> float | None:
    """Seconds, or None where the text is not a duration."""
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    return sum(float(part[1]) * _UNITS[part[2]] for part in parts)
