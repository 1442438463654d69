"""Values that a ``set`` command may change: a getter and a setter, or a torch-style optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from emitter.vocabulary.metrics import canonical

GROUP_KEYS: Final = {"learning_rate": "lr"}
"""Canonical name -> key in an optimizer's parameter groups; any other name is its own key."""

RATE_KEYS: Final = ("initial_lr", "max_lr", "min_lr")
"""What schedulers keep in the parameter groups; scaled too, or they bring the old rate back."""


class BadArgumentsError(ValueError):
    """The arguments of a ``set`` command; the message says what was expected and what came."""


@dataclass(frozen=True)
class Tunable:
    """``set`` takes the new value and, where the value is scaled as a whole, the factor."""

    get: Callable[[], float]
    set: Callable[[float], object]


def key(name: str) -> str:
    """One key for all spellings of a parameter: ``lr`` and ``learning_rate`` are the same."""
    return canonical(name)


def of_optimizer(name: str, optimizer: Any, scheduler: Any = None) -> Tunable:
    """All parameter groups change by the same factor, and the scheduler's base rates with them."""
    entry = GROUP_KEYS.get(key(name), name)

    def get() -> float:
        return float(optimizer.param_groups[0][entry])

    def put(value: float) -> None:
        old = get()
        for group in optimizer.param_groups:
            _write(group, entry, float(group[entry]) * (value / old) if old else value)
        if entry == "lr" and old:
            _scale_bases(optimizer, scheduler, value / old)

    return Tunable(get, put)


def asked(args: dict[str, Any]) -> tuple[str, float]:
    """``value`` or ``scale``, and its number. Raises BadArgumentsError."""
    given = [name for name in ("value", "scale") if name in args]
    if len(given) != 1:
        raise BadArgumentsError(
            f"expected one of `value` and `scale`, got {' and '.join(given) or 'neither'}"
        )
    number = args[given[0]]
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        raise BadArgumentsError(f"expected `{given[0]}` to be a finite number, got {number!r}")
    return given[0], float(number)


def was_overwritten(old: float, new: float, now: float) -> bool:
    """Whether the value went back: a schedule may move it a little, so nearer to the old than to the new."""
    if old == new or not math.isfinite(now):
        return old != new
    if old > 0 and new > 0 and now > 0:
        return abs(math.log(now / old)) <= abs(math.log(now / new))
    return abs(now - old) <= abs(now - new)


def _write(group: dict[str, Any], entry: str, value: float) -> None:
    # Capturable optimizers hold the rate in a tensor that a CUDA graph reads: change it in place.
    fill = getattr(group[entry], "fill_", None)
    if fill is None:
        group[entry] = value
    else:
        fill(value)


def _scale_bases(optimizer: Any, scheduler: Any, factor: float) -> None:
    for group in optimizer.param_groups:
        for rate in RATE_KEYS:
            if rate in group:
                _write(group, rate, float(group[rate]) * factor)
    waiting = [scheduler]
    while waiting:
        found = waiting.pop()
        bases = getattr(found, "base_lrs", None)
        if bases is not None:
            found.base_lrs = [base * factor for base in bases]
            found._last_lr = [rate * factor for rate in getattr(found, "_last_lr", ())]
        waiting.extend(getattr(found, "_schedulers", ()))
