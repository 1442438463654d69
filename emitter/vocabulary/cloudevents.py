"""CloudEvents 1.0, Kafka protocol binding, structured mode: the envelope of everything we publish as JSON.

Source: https://github.com/cloudevents/spec, ``cloudevents/bindings/kafka-protocol-binding.md``.
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timedelta, timezone
from typing import Any, Final

CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
HEADERS: Final = [("content-type", CONTENT_TYPE.encode())]
SOURCE: Final = "trainwarden"

DIAGNOSIS: Final = "io.trainwarden.diagnosis.v1"
COMMAND: Final = "io.trainwarden.command.v1"
ACK: Final = "io.trainwarden.ack.v1"
INTENT: Final = "io.trainwarden.intent.v1"
CONTROL: Final = "io.trainwarden.control.v1"
INCIDENT: Final = "io.trainwarden.incident.v1"

_FRACTION = re.compile(r"\.([0-9]+)")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class CloudEventError(ValueError):
    """The bytes are not one of our CloudEvents; the message says what was expected and what came."""


def rfc3339(time_ns: int) -> str:
    """Unix nanoseconds as RFC 3339 in UTC with microseconds: ``2026-01-01T00:00:00.000000Z``."""
    moment = _EPOCH + timedelta(microseconds=time_ns // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_rfc3339(text: str) -> int:
    """RFC 3339 with any offset as Unix nanoseconds (microsecond resolution). Raises ValueError."""
    # Python 3.10 reads only fractions of three or six digits.
    whole = _FRACTION.sub(lambda found: f".{found[1]:0<6.6}", text.replace("Z", "+00:00"), count=1)
    moment = datetime.fromisoformat(whole)
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with an offset, got {text!r}")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def finite(value: Any) -> Any:
    """The value with every NaN and infinity inside as the strings NaN, Infinity, -Infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def dumps(value: Any) -> str:
    """Strict JSON, compact and with sorted keys, numbers that are not finite as strings."""
    return json.dumps(
        finite(value), allow_nan=False, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )


def encode(kind: str, event_id: str, subject: str, time: str, data: dict[str, Any]) -> bytes:
    """A structured-mode CloudEvent. ``kind`` is one of the types above, ``subject`` the run id."""
    event = {
        "specversion": "1.0", "id": event_id, "source": SOURCE, "type": kind, "subject": subject,
        "time": time, "datacontenttype": "application/json", "data": data,
    }  # fmt: skip
    return dumps(event).encode()


def decode(payload: bytes, kind: str) -> dict[str, Any]:
    """The ``data`` of a structured-mode CloudEvent of this type. Raises CloudEventError."""
    data: dict[str, Any] = envelope(payload, kind)["data"]
    return data


def envelope(payload: bytes, kind: str) -> dict[str, Any]:
    """A structured-mode CloudEvent of this type, ``data`` being an object. Raises CloudEventError."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise CloudEventError(
            f"expected a CloudEvent in JSON, got bytes that do not parse: {error}"
        ) from None
    if not isinstance(found, dict):
        raise CloudEventError(f"expected a CloudEvent object, got {type(found).__name__}")
    if found.get("type") != kind:
        raise CloudEventError(f"expected a CloudEvent of type {kind!r}, got {found.get('type')!r}")
    if not isinstance(found.get("data"), dict):
        raise CloudEventError(f"expected `data` to be an object, got {type(found.get('data')).__name__}")
    return found
