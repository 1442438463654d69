"""Values as users log them -> numbers and strings. Tensors are read in _tensors.py.

The conversions are a promise: docs/emitter.md lists them.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from emitter import _tensors
from emitter._tensors import Arrival, Pending

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
TEXT_LIMIT: Final = 4096
DEPTH_LIMIT: Final = 4
WIDTH_LIMIT: Final = 256
LEAF_LIMIT: Final = 1024

Attribute = int | float | str


class Unreadable:
    """Stands for a value that could not be read; it is left out and counted as ``bad_value``."""


UNREADABLE: Final = Unreadable()


class _EndlessError(Exception):
    """A dict that contains itself, or one with more leaves than anybody means to log."""


class Reading:
    """Takes the values of one record in the thread that logs them; never raises.

    What is not in host memory becomes a Pending in its place. ``texts=False``: numbers only.
    """

    def __init__(self, *, texts: bool) -> None:
        self._texts = texts
        self._leaves = 0
        self._inside: list[int] = []
        self.pending: list[Pending] = []
        self.arrivals: list[Arrival] = []

    def all(self, values: Mapping[Any, Any]) -> dict[Any, Any]:
        """A copy of ours. Raises what the mapping itself raises."""
        found = {}
        for place, (name, value) in enumerate(_some(values)):
            known = isinstance(name, str)
            # A number as a name cannot meet one of the caller's; what cannot be read is left out anyway.
            found[str(name) if known else place] = self.take(value) if known else UNREADABLE
        self.start()
        return found

    def take(self, value: Any) -> Any:
        """What must be read now because the caller may change it."""
        kind = type(value)
        if kind is float or kind is int or kind is bool or value is None:
            return value
        self._leaves = 0
        try:
            return self._take(value)
        except Exception:  # noqa: BLE001 - a value's own code may raise anything
            return UNREADABLE

    def start(self) -> None:
        """All values are taken: begin to copy those that are elsewhere."""
        if self.pending and not self.arrivals:
            self.arrivals = _tensors.start(self.pending)

    def _take(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value)
        self._leaves += 1
        if self._leaves > LEAF_LIMIT:
            raise _EndlessError
        if isinstance(value, (str, list, tuple, set, frozenset)):
            return self._text(value)
        found = _tensors.take(value)
        if isinstance(found, Pending):
            self.pending.append(found)
            return found
        number = _number(found)
        return self._text(number) if isinstance(number, str) else number

    def _text(self, value: Any) -> Any:
        if not self._texts:
            return UNREADABLE
        return str(value) if isinstance(value, str) else text(value)

    def _mapping(self, value: Mapping[Any, Any]) -> Any:
        if id(value) in self._inside:
            raise _EndlessError
        if len(self._inside) >= DEPTH_LIMIT:
            return self._text(value)
        self._inside.append(id(value))
        try:
            return {
                str(name) if isinstance(name, str) else place: self._leaf(name, item)
                for place, (name, item) in enumerate(_some(value))
            }
        finally:
            self._inside.pop()

    def _leaf(self, name: Any, value: Any) -> Any:
        if not isinstance(name, str):
            return UNREADABLE
        try:
            return value if value is None else self._take(value)
        except _EndlessError:
            raise
        except Exception:  # noqa: BLE001 - a value's own code may raise anything
            return UNREADABLE


def merge(given: Mapping[Any, Any], values: dict[str, Any], bad: Callable[[], None]) -> dict[str, Any]:
    """Both, the named values winning; what is no mapping is left out, and ``bad`` is called."""
    try:
        both: dict[Any, Any] = {**given, **values}
        if all(type(name) is str for name in both):
            return both
        return {name: value if isinstance(name, str) else UNREADABLE for name, value in both.items()}
    except Exception:  # noqa: BLE001 - whatever was passed, it must not end the loop
        bad()
        return values


def snapshot(value: Any) -> Any:
    """One value, read now; what is on a device cannot be. Never raises."""
    found = Reading(texts=True).take(value)
    return UNREADABLE if isinstance(found, Pending) else found


def flatten(values: Mapping[Any, Any]) -> tuple[dict[str, Attribute], int]:
    """Attributes under their names, and how many values could not be read. Never raises."""
    attributes: dict[str, Attribute] = {}
    return attributes, _flatten_into(attributes, "", values, 0)


def _flatten_into(
    attributes: dict[str, Attribute], prefix: str, values: Mapping[Any, Any], depth: int
) -> int:
    bad = 0
    for name, value in _some(values):
        try:
            if not isinstance(name, str):
                raise TypeError("expected a name")
            key = f"{prefix}{name}"
            if isinstance(value, Mapping) and depth < DEPTH_LIMIT:
                bad += _flatten_into(attributes, f"{key}/", value, depth + 1)
            elif value is not None:
                attributes[key] = scalar(value)
        except Exception:  # noqa: BLE001 - a value's own code may raise anything
            bad += 1
    return bad


def scalar(value: Any) -> Attribute:
    """One value as a number or a string. Raises ValueError where there is none (an array, say)."""
    kind = type(value)
    if kind is float:
        return float(value)
    if kind is int:
        return _fit(value)
    if isinstance(value, str):
        return clip(str(value))
    return _number(value)


def clip(value: str, limit: int = TEXT_LIMIT) -> str:
    """The text, cut at the limit, safe to encode as UTF-8."""
    return value[:limit].encode("utf-8", "replace").decode()


def text(value: Any) -> str:
    """Containers as text, long ones cut in the middle, tensors by their type."""
    whole = _texts.repr(value)
    return clip(whole) if len(whole) <= TEXT_LIMIT else clip(whole, TEXT_LIMIT - 3) + "..."


class _Texts(reprlib.Repr):
    """Bounded, and a tensor's own text would wait for its device."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxstring, self.maxother = 4, 64, TEXT_LIMIT, TEXT_LIMIT
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 64

    def repr_instance(self, x: Any, level: int) -> str:
        if hasattr(x, "device") or hasattr(x, "dtype"):
            return f"<{type(x).__name__}>"
        whole = repr(x)
        return whole if len(whole) <= self.maxother else f"{whole[: self.maxother]}..."


_texts: Final = _Texts()


def _number(value: Any) -> Attribute:
    if isinstance(value, Unreadable):
        raise ValueError("a value that could not be read")
    value = _tensors.take(value)
    if isinstance(value, Pending):
        raise ValueError("a value that is not in host memory")
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return _fit(int(value))
    if isinstance(value, float):
        return float(value)
    item = getattr(value, "item", None)
    if item is not None:
        return _plain(item())
    return float(value) if hasattr(value, "__float__") else text(value)


def _plain(value: Any) -> Attribute:
    """What ``item()`` of a tensor or array scalar gave."""
    if isinstance(value, (bool, int)):
        return _fit(int(value))
    if isinstance(value, float):
        return float(value)
    return text(value)


def _fit(value: int) -> int | float:
    """An int of 64 bits as it is; a larger one as the nearest float, beyond those as infinity."""
    if INT_MIN <= value <= INT_MAX:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _some(values: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    return list(values.items())[:WIDTH_LIMIT]
