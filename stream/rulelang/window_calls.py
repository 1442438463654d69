"""Checking of window functions: what a window holds, how long it is, and how deep windows nest."""

from __future__ import annotations

import ast
from typing import Final

from stream.rulelang import durations, ranges, windows
from stream.rulelang.checking import Checking
from stream.rulelang.functions import NUMBER, WindowFunction
from stream.rulelang.generate import call, window_call
from stream.rulelang.ranges import ANY, Range
from stream.rulelang.scope import Frame
from stream.rulelang.typed import Typed

LENGTHS: Final = ("last", "over")
MAX_DEPTH: Final = 3
MAX_WINDOWS: Final = 50
_INSIDE: Final = frozenset({"first", "last", "min", "max", "mean", "median", "quantile"})
"""Functions whose value lies among those of the window."""
_NOT_NEGATIVE: Final = frozenset({"std", "mad", "count", "changes"})


def check_window(checker: Checking, node: ast.Call, function: WindowFunction, depth: int) -> Typed | None:
    """The checked call of a window function."""
    share = read_share(checker, node) if function.takes_share else []
    length = _length(checker, node, function.name)
    if len(node.args) != 1 + function.takes_share:
        wanted = "a value and a share" if function.takes_share else "one value"
        checker.fail(node, f"{function.name} takes {wanted} and last= or over=")
        return None
    with checker.scope.window_source() as frame:
        source = checker.want(node.args[0], NUMBER, depth)
    if source is None or length is None or share is None or not _holds(checker, node.args[0], source, frame):
        return None
    last, over_s = length
    index = checker.scope.window(source.tree, last, over_s, function.needs, frame)
    if len(checker.scope.windows) > MAX_WINDOWS:
        checker.fail(node, f"expected at most {MAX_WINDOWS} windows in a rule")
        return None
    found = _range(function.name, source.range, last or windows.MAX_SAMPLES)
    if function.name == "zscore":
        return _zscore(checker, node, source, index)
    tree = window_call(index, function.name, *share)
    return Typed(tree, NUMBER, source.depth + 1, params=source.params, range=found)


def _zscore(checker: Checking, node: ast.Call, source: Typed, index: int) -> Typed | None:
    """(present value - mean) / std: the only one that looks at the present sample too."""
    if checker.scope.joining:
        checker.fail(node, "zscore compares with the present sample, which `with` has none of")
        return None
    distance = ast.BinOp(source.tree, ast.Sub(), window_call(index, "mean"))
    tree = call("divide", distance, window_call(index, "std"))
    return Typed(tree, NUMBER, source.depth + 1, params=source.params)


def _holds(checker: Checking, node: ast.expr, source: Typed, frame: Frame | None) -> bool:
    """Whether a window may be taken over this value."""
    if source.depth >= MAX_DEPTH:
        checker.fail(node, f"windows may be nested {MAX_DEPTH} deep, this would be {source.depth + 1}")
    elif source.peers:
        checker.fail(node, "a window holds values of its own rank; peers.* cannot go into one")
    elif frame is not None and frame.event is None:
        checker.fail(node, "expected a field of another event, such as train.step.loss")
    else:
        return True
    return False


def _range(name: str, source: Range, most: int) -> Range:
    if name == "count":
        return Range(0.0, float(most))
    if name == "changes":
        return Range(0.0, float(most - 1))
    if name in _INSIDE:
        return source
    return ranges.FROM_ZERO if name in _NOT_NEGATIVE else ANY


def read_share(checker: Checking, node: ast.Call) -> list[ast.expr] | None:
    """The second argument of a quantile."""
    share = node.args[1] if len(node.args) == 2 else None
    value = share.value if isinstance(share, ast.Constant) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return [ast.Constant(float(value))]
    got = f", got {said(share)}" if share is not None else ""
    checker.fail(share or node, f"expected the share of a quantile to be a number from 0 to 1{got}")
    return None


def said(node: ast.expr) -> str:
    """What stands there, for a message."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
        return f"{node.value!r:.40}"
    return "an expression"


def _length(checker: Checking, node: ast.Call, name: str) -> tuple[int | None, float | None] | None:
    for word in node.keywords:
        if word.arg not in LENGTHS:
            checker.fail(word, f"{name} knows last= and over=, got {word.arg or '**'}=")
            return None
    if not node.keywords and name == "last" and checker.scope.joining:
        return 1, None
    if len(node.keywords) != 1:
        checker.fail(node, f'{name} needs one of last=N (samples) and over="5m"')
        return None
    word = node.keywords[0]
    value = word.value.value if isinstance(word.value, ast.Constant) else None
    if word.arg == "last":
        if type(value) is int and 1 <= value <= windows.MAX_SAMPLES:
            return value, None
        wanted = f"a whole number from 1 to {windows.MAX_SAMPLES:,}"
        checker.fail(word.value, f"expected last= to be {wanted}, got {said(word.value)}")
        return None
    seconds = durations.parse(value) if isinstance(value, str) else None
    if seconds is None or not 0 < seconds <= windows.MAX_SECONDS:
        wanted = f"{durations.EXPECTED}, at most 24h"
        checker.fail(word.value, f"expected over= to be {wanted}, got {said(word.value)}")
        return None
    return None, seconds
