"""What the arguments of each action may be. Those that are not listed are for handlers, and left alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

LONGEST_PAUSE_S: Final = 86_400.0
LARGEST_SCALE: Final = 1000.0
LARGEST_VALUE: Final = 1e30
LONGEST_PATH: Final = 4096
LONGEST_WORD: Final = 200
LARGEST_STEP: Final = 2**63 - 1


@dataclass(frozen=True)
class Bound:
    """What one argument may be: the test, its words for a message, and the same as a JSON Schema."""

    fits: Callable[[Any], bool]
    wanted: str
    schema: Mapping[str, Any]


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and low < value <= high


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _text(most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and 0 < len(value) <= most and "\0" not in value


def _words(most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most}


def _or_none(bound: Bound) -> Bound:
    def fits(value: Any) -> bool:
        return value is None or bound.fits(value)

    return Bound(fits, f"{bound.wanted} or null", {"anyOf": [dict(bound.schema), {"type": "null"}]})


def _above_zero(high: float, what: str) -> Bound:
    schema = {"type": "number", "exclusiveMinimum": 0, "maximum": high}
    return Bound(_number(0, high), f"{what} above 0 and at most {high:g}", schema)


_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{8,18}(Z|[+-]\d\d:\d\d)")
_SCALE: Final = _above_zero(LARGEST_SCALE, "a number")
_STEP: Final = Bound(
    _whole(0, LARGEST_STEP),
    "an integer of 0 or more",
    {"type": "integer", "minimum": 0, "maximum": LARGEST_STEP},
)
_WORD: Final = Bound(_text(LONGEST_WORD), f"a text of 1 to {LONGEST_WORD} characters", _words(LONGEST_WORD))
_PATH: Final = Bound(_text(LONGEST_PATH), f"a path of 1 to {LONGEST_PATH} characters", _words(LONGEST_PATH))
_KIND: Final = Bound(
    lambda value: value in ("regular", "forensic"), "regular or forensic", {"enum": ["regular", "forensic"]}
)
_VALUE: Final = Bound(
    lambda value: type(value) in (int, float) and -LARGEST_VALUE <= value <= LARGEST_VALUE,
    f"a number from {-LARGEST_VALUE:g} to {LARGEST_VALUE:g}",
    {"type": "number", "minimum": -LARGEST_VALUE, "maximum": LARGEST_VALUE},
)
_MOMENT: Final = Bound(
    lambda value: isinstance(value, str) and _TIME.fullmatch(value) is not None,
    "a time such as 2026-01-01T00:00:00Z",
    {"type": "string", "format": "date-time"},
)
_CHECKPOINT: Final = Bound(
    lambda value: (
        isinstance(value, dict) and _STEP.fits(value.get("step", 0)) and _PATH.fits(value.get("path"))
    ),
    f"an object with a `path` of 1 to {LONGEST_PATH} characters and a `step`",
    {
        "type": "object",
        "properties": {"step": dict(_STEP.schema), "path": _words(LONGEST_PATH)},
        "required": ["path"],
    },
)
_WAY_BACK: Final = {
    "lr_scale": _or_none(_SCALE),
    "checkpoint": _or_none(_CHECKPOINT),
    "before_step": _or_none(_STEP),
    "before_time": _or_none(_MOMENT),
}

BOUNDS: Final[Mapping[str, Mapping[str, Bound]]] = {
    "save": {"kind": _KIND, "path": _PATH},
    "pause": {"lease_s": _above_zero(LONGEST_PAUSE_S, "a number of seconds")},
    "restart": _WAY_BACK,
    "rollback": _WAY_BACK,
    "set": {"parameter": _WORD, "value": _VALUE, "scale": _SCALE},
    "profile": {"steps": Bound(_whole(1, 100_000), "an integer from 1 to 100000",
                               {"type": "integer", "minimum": 1, "maximum": 100_000})},
    "exclude_node": {"node": _WORD},
    "notify": {"message": _WORD},
}  # fmt: skip
"""By action and argument."""


def complaint(action: str, args: Mapping[str, Any]) -> str | None:
    """What is out of bounds, with what was expected and what came; None where nothing is."""
    for name, bound in BOUNDS.get(action, {}).items():
        if name in args and not bound.fits(args[name]):
            return f"expected `{name}` to be {bound.wanted}, got {_shown(args[name])}"
    return None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
