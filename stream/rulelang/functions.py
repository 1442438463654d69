"""The functions an expression may call: one table, from which docs/rules.md is checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from stream.rulelang import numbers

NUMBER: Final = "number"
BOOL: Final = "truth value"
TEXT: Final = "text"


@dataclass(frozen=True)
class Function:
    """A plain function. ``takes`` are the types of its arguments; ``many`` repeats the last type."""

    name: str
    takes: tuple[str, ...]
    gives: str
    meaning: str
    call: Callable[..., Any]
    many: bool = False


@dataclass(frozen=True)
class WindowFunction:
    """A function over the samples before this one. ``needs``: which statistics its window must keep."""

    name: str
    meaning: str
    needs: str
    takes_share: bool = False


PLAIN: Final = (
    Function("abs", (NUMBER,), NUMBER, "absolute value", abs),
    Function("ceil", (NUMBER,), NUMBER, "next whole number up", numbers.ceil),
    Function("exp", (NUMBER,), NUMBER, "exponential; inf where it overflows", numbers.exp),
    Function("floor", (NUMBER,), NUMBER, "next whole number down", numbers.floor),
    Function("isfinite", (NUMBER,), BOOL, "neither NaN nor an infinity", math.isfinite),
    Function("isinf", (NUMBER,), BOOL, "an infinity", math.isinf),
    Function("isnan", (NUMBER,), BOOL, "not a number", math.isnan),
    Function("log", (NUMBER,), NUMBER, "natural logarithm; -inf at 0, NaN below", numbers.log),
    Function("log10", (NUMBER,), NUMBER, "decimal logarithm; -inf at 0, NaN below", numbers.log10),
    Function("sqrt", (NUMBER,), NUMBER, "square root; NaN below 0", numbers.sqrt),
    Function("min", (NUMBER, NUMBER), NUMBER, "smallest; NaN if one is NaN", numbers.minimum, many=True),
    Function("max", (NUMBER, NUMBER), NUMBER, "largest; NaN if one is NaN", numbers.maximum, many=True),
    Function("number", (TEXT,), NUMBER, "the number a text spells, NaN where none", numbers.to_number),
    Function("lower", (TEXT,), TEXT, "text in lower case", str.lower),
    Function("startswith", (TEXT, TEXT), BOOL, "text begins with another", str.startswith),
    Function("endswith", (TEXT, TEXT), BOOL, "text ends with another", str.endswith),
)  # fmt: skip

WINDOW: Final = (
    WindowFunction("count", "how many values the window holds", ""),
    WindowFunction("first", "oldest value", ""),
    WindowFunction("last", "newest value", ""),
    WindowFunction("delta", "newest minus oldest", ""),
    WindowFunction("sum", "sum (exact, 0 when empty)", "sums"),
    WindowFunction("mean", "mean (exact)", "sums"),
    WindowFunction("std", "population standard deviation (exact)", "sums"),
    WindowFunction("min", "smallest", "order"),
    WindowFunction("max", "largest", "order"),
    WindowFunction("median", "median; mean of the middle two", "order"),
    WindowFunction("mad", "median distance from the median", "order"),
    WindowFunction("quantile", "interpolated: quantile(x, 0.9, last=100)", "order", takes_share=True),
)  # fmt: skip

FIELD: Final = "field"
HAS: Final = "has"
NOT_YET: Final = frozenset({"rate", "slope", "ema", "zscore", "changes"})

PLAIN_BY_NAME: Final = {function.name: function for function in PLAIN}
WINDOW_BY_NAME: Final = {function.name: function for function in WINDOW}
NAMES: Final = frozenset({*PLAIN_BY_NAME, *WINDOW_BY_NAME, FIELD, HAS})
