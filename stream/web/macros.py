"""Expands the macros and variables of a dashboard's SQL, as Grafana and its ClickHouse plugin do.

Pure, and one pass: text that came from a variable is never looked at again, and a variable can only
appear as a quoted string, or as letters, digits and underscores (``raw``, the end of a table's name), so
no value can change the query. What the plugin names differently or we do not draw ($__table, $__lttb, ad
hoc filters) is refused by name instead of being sent to the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Final

ALL: Final = "$__all"
"""The value of a variable when its "All" option is chosen."""


class MacroError(ValueError):
    """The SQL of a dashboard cannot be expanded; the message names the macro or variable."""


@dataclass(frozen=True)
class Context:
    """What a query is expanded with: a time range and an interval in milliseconds, and variables."""

    from_ms: int
    to_ms: int
    interval_ms: int = 1000
    variables: Mapping[str, Sequence[str]] = field(default_factory=dict)


_TOKEN = re.compile(
    r"""
    (?P<skip> '(?:[^'\\]|\\.)*' | `(?:[^`\\]|\\.)*` | "(?:[^"\\]|\\.)*" | --[^\n]* | /\*.*?\*/ )
  | \$__(?P<macro>\w+)
  | \$\{(?P<braced>\w+)(?::(?P<format>\w+))?\}
  | \$(?P<bare>\w+)
    """,
    re.VERBOSE | re.DOTALL,
)


def quote(value: str) -> str:
    """A ClickHouse string literal that stands for exactly this value."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"


def expand(sql: str, context: Context) -> str:
    """The SQL with every macro and variable replaced. Raises MacroError."""
    parts: list[str] = []
    position = 0
    while match := _TOKEN.search(sql, position):
        parts.append(sql[position : match.start()])
        text, position = _replacement(sql, match, context)
        parts.append(text)
    parts.append(sql[position:])
    return "".join(parts)


def variables_in(sql: str) -> set[str]:
    """Names of the variables the SQL mentions, outside of strings and comments."""
    names = (match["braced"] or match["bare"] for match in _TOKEN.finditer(sql))
    return {name for name in names if name}


def _replacement(sql: str, match: re.Match[str], context: Context) -> tuple[str, int]:
    if match["skip"] is not None:
        return match[0], match.end()
    if match["macro"] is None:
        return _variable(match, context), match.end()
    name, end = match["macro"], match.end()
    arguments: list[str] | None = None
    if sql[end : end + 1] == "(" and name not in _CONSTANTS:
        arguments, end = _arguments(sql, end, name)
    return _macro(name, arguments, context), end


def _variable(match: re.Match[str], context: Context) -> str:
    name, form = match["braced"] or match["bare"], match["format"]
    if form not in ("singlequote", "raw"):
        raise MacroError(f"variable `{name}`: expected ${{{name}:singlequote}}, got {match[0]}")
    values = _values(name, context)
    if form == "raw":
        return _word(name, values)
    if ALL in values:
        raise MacroError(f"variable `{name}` is All: put the condition into $__conditionalAll(..., ${name})")
    return ", ".join(quote(value) for value in values) or "''"


def _word(name: str, values: Sequence[str]) -> str:
    """Part of a name, or nothing."""
    word = values[0] if values else ""
    if len(values) > 1 or re.fullmatch(r"[A-Za-z0-9_]*", word) is None:
        got = ", ".join(map(repr, values))
        raise MacroError(f"variable `{name}`: expected letters, digits and underscores, got {got}")
    return word


def _values(name: str, context: Context) -> Sequence[str]:
    try:
        return context.variables[name]
    except KeyError:
        known = ", ".join(sorted(context.variables)) or "none"
        raise MacroError(f"variable `{name}` has no value (known: {known})") from None


def _arguments(sql: str, opening: int, name: str) -> tuple[list[str], int]:
    """The text between balanced parentheses, split at top-level commas, and the position behind."""
    depth, start, arguments, position = 0, opening + 1, list[str](), opening
    while position < len(sql):
        quoted = _TOKEN.match(sql, position)
        if quoted is not None and quoted["skip"] is not None:
            position = quoted.end()
            continue
        character = sql[position]
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return [*arguments, sql[start:position].strip()], position + 1
        if character == "," and depth == 1:
            arguments.append(sql[start:position].strip())
            start = position + 1
        position += 1
    raise MacroError(f"$__{name}: the parenthesis is never closed")


def _macro(name: str, arguments: list[str] | None, context: Context) -> str:
    if name in _CONSTANTS:
        return _CONSTANTS[name](context)
    if name == "conditionalAll":
        return _conditional_all(arguments, context)
    if name not in _CALLS:
        raise MacroError(f"$__{name} is not a macro this viewer knows")
    count, build = _CALLS[name]
    if arguments is None or len(arguments) != count or not all(arguments):
        got = 0 if arguments is None else len([argument for argument in arguments if argument])
        raise MacroError(f"$__{name}: expected {count} argument(s), got {got}")
    return build(context, *(expand(argument, context) for argument in arguments))


def _conditional_all(arguments: list[str] | None, context: Context) -> str:
    reference = _TOKEN.fullmatch(arguments[1]) if arguments and len(arguments) == 2 else None
    name = reference and (reference["braced"] or reference["bare"])
    if not arguments or not name:
        raise MacroError("$__conditionalAll: expected a condition and a variable, as ($condition, $name)")
    values = _values(name, context)
    return "1=1" if ALL in values or not any(values) else expand(arguments[0], context)


def _seconds(ms: int) -> str:
    return f"toDateTime({ms // 1000})"


def _millis(ms: int) -> str:
    return f"fromUnixTimestamp64Milli({ms})"


def _day(ms: int) -> str:
    return f"toDate('{datetime.fromtimestamp(ms / 1000, timezone.utc):%Y-%m-%d}')"


def _between(bound: Callable[[int], str]) -> Callable[..., str]:
    return lambda context, column: (
        f"{column} >= {bound(context.from_ms)} AND {column} <= {bound(context.to_ms)}"
    )


def _date_time(context: Context, day: str, time: str) -> str:
    return f"({_between(_day)(context, day)}) AND ({_between(_seconds)(context, time)})"


def _whole_seconds(context: Context) -> int:
    return max(context.interval_ms // 1000, 1)


def _interval(context: Context, column: str) -> str:
    return f"toStartOfInterval(toDateTime({column}), INTERVAL {_whole_seconds(context)} second)"


def _interval_ms(context: Context, column: str) -> str:
    return f"toStartOfInterval(toDateTime64({column}, 3), INTERVAL {max(context.interval_ms, 1)} millisecond)"


_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _group(_: Context, column: str, period: str) -> str:
    match = re.fullmatch(r"['\"]?(\d+)([smhd])['\"]?", period)
    if match is None or int(match[1]) == 0:
        raise MacroError(f"$__timeGroup: expected an interval such as 5m, got {period}")
    seconds = int(match[1]) * _UNITS_S[match[2]]
    return f"toStartOfInterval(toDateTime({column}), INTERVAL {seconds} second)"


_CONSTANTS: Final[Mapping[str, Callable[[Context], str]]] = {
    "fromTime": lambda context: _seconds(context.from_ms),
    "toTime": lambda context: _seconds(context.to_ms),
    "fromTime_ms": lambda context: _millis(context.from_ms),
    "toTime_ms": lambda context: _millis(context.to_ms),
    "interval_s": lambda context: str(_whole_seconds(context)),
    "interval_ms": lambda context: str(max(context.interval_ms, 1)),
}

_CALLS: Final[Mapping[str, tuple[int, Callable[..., str]]]] = {
    "timeFilter": (1, _between(_seconds)),
    "timeFilter_ms": (1, _between(_millis)),
    "dateFilter": (1, _between(_day)),
    "dateTimeFilter": (2, _date_time),
    "dt": (2, _date_time),
    "timeFrom": (1, lambda context, column: f"{column} >= {_seconds(context.from_ms)}"),
    "timeTo": (1, lambda context, column: f"{column} <= {_seconds(context.to_ms)}"),
    "timeInterval": (1, _interval),
    "timeInterval_ms": (1, _interval_ms),
    "timeGroup": (2, _group),
}
