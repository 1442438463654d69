"""Values as users log them -> numbers and strings. The only file that reads tensors; imports none of them.

The conversions are a promise: docs/emitter.md lists them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
TEXT_LIMIT: Final = 4096
DEPTH_LIMIT: Final = 4
WIDTH_LIMIT: Final = 256

Attribute = int | float | str


class Unreadable:
    """Stands for a value that could not be read; it is left out and counted as ``bad_value``."""


UNREADABLE: Final = Unreadable()


def snapshot(value: Any, depth: int = 0) -> Any:
    """What must be read now because the caller may change it; the rest waits for the sender. Never raises."""
    kind = type(value)
    if kind is float or kind is int or kind is str or kind is bool or value is None:
        return value
    try:
        if isinstance(value, str):
            return str(value)
        if isinstance(value, Mapping):
            if depth >= DEPTH_LIMIT:
                return text(value)
            return {str(key): snapshot(item, depth + 1) for key, item in _some(value)}
        if isinstance(value, (list, tuple, set, frozenset)):
            return text(value)
        return _number(value) if _in_host_memory(value) else value
    except Exception:  # noqa: BLE001 - a value's own code may raise anything
        return UNREADABLE


def flatten(values: Mapping[Any, Any]) -> tuple[dict[str, Attribute], int]:
    """Attributes under their names, and how many values could not be read. Never raises."""
    attributes: dict[str, Attribute] = {}
    return attributes, _flatten_into(attributes, "", values, 0)


def _flatten_into(
    attributes: dict[str, Attribute], prefix: str, values: Mapping[Any, Any], depth: int
) -> int:
    bad = 0
    for name, value in _some(values):
        key = f"{prefix}{name}"
        try:
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
    """Containers as text, with the cut marked."""
    whole = repr(value)
    return clip(whole) if len(whole) <= TEXT_LIMIT else clip(whole, TEXT_LIMIT - 3) + "..."


def _number(value: Any) -> Attribute:
    if isinstance(value, Unreadable):
        raise ValueError("a value that could not be read")
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


def _in_host_memory(value: Any) -> bool:
    """Torch tensors on the CPU and numpy arrays: reading them now is cheap and they may be overwritten."""
    device = getattr(value, "device", None)
    if device is None:
        return True
    return bool(getattr(device, "type", device) == "cpu")


def _some(values: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    return list(values.items())[:WIDTH_LIMIT]
