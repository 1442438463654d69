"""Numbers as files write them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Final

from emitter.vocabulary.cloudevents import parse_rfc3339
from stream.events import Value

MAX_TEXT: Final = 500
_SECOND_NS: Final = 1_000_000_000
# Unix times come in seconds, milliseconds, microseconds and nanoseconds; their sizes do not overlap.
_SCALES: Final = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000))


def value_of(raw: Any) -> Value:
    """A number where the text spells one (NaN and infinities included), else the text; None for nothing."""
    if isinstance(raw, str):
        try:
            return float(raw)
        except ValueError:
            return raw[:MAX_TEXT] or None
    return raw if isinstance(raw, (int, float)) else None


def whole_of(raw: Any) -> int | None:
    """A whole number, or None."""
    if type(raw) is float:
        return int(raw) if raw - raw == 0 else None
    value = value_of(raw)
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def time_of(raw: Any) -> int | None:
    """Unix nanoseconds from a Unix time or from RFC 3339 (without an offset: UTC); None where neither."""
    if isinstance(raw, datetime):
        moment = raw if raw.tzinfo else raw.replace(tzinfo=timezone.utc)
        return int(moment.timestamp() * 1e6) * 1000
    value = value_of(raw)
    if isinstance(value, str):
        try:
            return parse_rfc3339(value)
        except ValueError:
            pass
        try:
            return parse_rfc3339(f"{value}Z")
        except ValueError:
            return None
    if value is None or isinstance(value, bool) or not 0 <= value < 1e20:
        return None
    scale = next((factor for least, factor in _SCALES if value >= least), _SECOND_NS)
    return int(value) * scale + (int((value % 1) * scale) if isinstance(value, float) else 0)
