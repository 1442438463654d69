"""Fields of decoded JSON that anybody may have written, each checked for its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emitter.vocabulary import cloudevents
from stream.sink.records import NONE, BadRecordError, within

_INT64: Final = 2**63
_SPELLED: Final = ("NaN", "Infinity", "-Infinity")


def clean(text: str) -> str:
    """The text with what UTF-8 cannot hold (half of a surrogate pair in JSON) as question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class Checked:
    """Fields of a decoded message, each of the type it must have; a missing one is null."""

    def __init__(self, kind: str, fields: Mapping[str, Any]) -> None:
        self.kind, self.fields = kind, fields

    def _wrong(self, name: str, expected: str) -> BadRecordError:
        value = self.fields.get(name)
        return BadRecordError(f"{self.kind}: expected `{name}` to be {expected}, got {value!r:.200}")

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name, "a string")
        return clean(value or "")

    def texts(self, name: str) -> list[str]:
        value = self.fields.get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of strings")
        return [clean(item) for item in value]

    def json(self, name: str) -> str:
        value = self.fields.get(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return clean(cloudevents.dumps(value))

    def array(self, name: str) -> str:
        """A list of anything, as JSON."""
        value = self.fields.get(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list")
        return clean(cloudevents.dumps(value))

    def integer(self, name: str) -> int | None:
        value = self.fields.get(name)
        if value is not None and (type(value) is not int or not -_INT64 <= value < _INT64):
            raise self._wrong(name, "a 64-bit integer or null")
        return value if value is None else int(value)

    def attempt(self) -> int:
        value = within(self.integer("attempt"), 0, 65_535, NONE)
        if value == NONE:
            raise self._wrong("attempt", "an integer from 0 to 65535")
        return value

    def rank(self) -> int:
        return within(self.integer("rank"), 0, 2**31 - 1, NONE)

    def number(self, name: str) -> float | None:
        value = self.fields.get(name)
        if value is None:
            return None
        # Our JSON spells NaN and infinities as strings.
        if isinstance(value, bool) or not (isinstance(value, (int, float)) or value in _SPELLED):
            raise self._wrong(name, "a number or null")
        try:
            return float(value)
        except OverflowError:
            raise self._wrong(name, "a 64-bit number or null") from None

    def time(self, name: str) -> int:
        value: Any = self.fields.get(name)
        try:
            return cloudevents.parse_rfc3339(value)
        except (ValueError, TypeError, AttributeError, OverflowError):
            raise self._wrong(name, "a time like 2026-01-01T00:00:00.000000Z") from None
