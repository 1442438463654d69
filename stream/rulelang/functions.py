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


TIMES: Final = "times"
EMA: Final = "ema"


@dataclass(frozen=True)
class WindowFunction:
    """A function over the samples before this one.

    ``needs``: what its window must keep from the start (TIMES, EMA), or "" where values are enough.
    ``takes_share``: a second argument, a constant from 0 to 1. ``zscore`` is made of mean and std.
    """

    name: str
    meaning: str
    needs: str = ""
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
    WindowFunction("count", "how many values the window holds"),
    WindowFunction("first", "oldest value"),
    WindowFunction("last", "newest value"),
    WindowFunction("delta", "newest minus oldest"),
    WindowFunction("rate", "newest minus oldest, per second between them; NaN where no time passed", TIMES),
    WindowFunction("slope", "least squares: change per sample, or per second with over="),
    WindowFunction("changes", "how many values differ from the one before them"),
    WindowFunction("sum", "sum (exact, 0 when empty)"),
    WindowFunction("mean", "mean (exact)"),
    WindowFunction("std", "population standard deviation (exact)"),
    WindowFunction("zscore", "the present value minus the mean, in standard deviations"),
    WindowFunction(
        "ema", "exponential average of the whole past: alpha 2/(N+1), or weights exp(-age/T)", EMA
    ),
    WindowFunction("min", "smallest"),
    WindowFunction("max", "largest"),
    WindowFunction("median", "median; mean of the middle two"),
    WindowFunction("mad", "median distance from the median"),
    WindowFunction("quantile", "interpolated: quantile(x, 0.9, last=100)", takes_share=True),
)

FIELD: Final = "field"
HAS: Final = "has"
NOT_YET: Final[frozenset[str]] = frozenset()

PLAIN_BY_NAME: Final = {function.name: function for function in PLAIN}
WINDOW_BY_NAME: Final = {function.name: function for function in WINDOW}
NAMES: Final = frozenset({*PLAIN_BY_NAME, *WINDOW_BY_NAME, FIELD, HAS})
