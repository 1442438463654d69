"""Checking of calls: plain functions, window functions, ``field`` and ``has``."""

from __future__ import annotations

import ast
from typing import Final

from stream.rulelang import durations, functions, windows
from stream.rulelang.errors import guess
from stream.rulelang.fields import logged
from stream.rulelang.functions import BOOL, NUMBER, Function, WindowFunction
from stream.rulelang.generate import call, slot_value, window_call
from stream.rulelang.model import Slot
from stream.rulelang.typed import Checking, Typed, dotted

_SPANS: Final = ("last", "over")


def check_call(checker: Checking, node: ast.Call, depth: int) -> Typed | None:
    """The checked call, or None after its mistakes were recorded."""
    name = dotted(node.func)
    if name is None:
        checker.fail(node, "only listed functions can be called")
        return None
    if name in (functions.FIELD, functions.HAS):
        return _field(checker, node) if name == functions.FIELD else _has(checker, node)
    spans = [word for word in node.keywords if word.arg in _SPANS]
    if name in functions.WINDOW_BY_NAME and (spans or name not in functions.PLAIN_BY_NAME):
        return _window(checker, node, functions.WINDOW_BY_NAME[name], depth)
    if name in functions.PLAIN_BY_NAME:
        return _plain(checker, node, functions.PLAIN_BY_NAME[name], depth)
    checker.fail(node, _unknown(name))
    return None


def _unknown(name: str) -> str:
    if name in functions.NOT_YET or name.startswith("peers."):
        return f"the function {name} is not supported yet"
    return f"there is no function {name!r}{guess(name, functions.NAMES)}"


def _plain(checker: Checking, node: ast.Call, function: Function, depth: int) -> Typed | None:
    least = len(function.takes)
    if node.keywords or len(node.args) < least or (len(node.args) > least and not function.many):
        more = " or more" if function.many else ""
        checker.fail(node, f"{function.name} takes {least} argument{'s'[: least - 1]}{more}")
        return None
    takes = (*function.takes, *(function.takes[-1:] * (len(node.args) - least)))
    arguments = [checker.want(argument, kind, depth) for argument, kind in zip(node.args, takes, strict=True)]
    known = [argument for argument in arguments if argument is not None]
    if len(known) < len(arguments):
        return None
    tree = call(function.name, *(argument.tree for argument in known))
    return Typed(tree, function.gives, any(argument.windowed for argument in known))


def _window(checker: Checking, node: ast.Call, function: WindowFunction, depth: int) -> Typed | None:
    share = _share(checker, node) if function.takes_share else []
    length = _length(checker, node, function.name)
    if len(node.args) != 1 + function.takes_share:
        wanted = "a value and a share" if function.takes_share else "one value"
        checker.fail(node, f"{function.name} takes {wanted} and last= or over=")
        return None
    source = checker.want(node.args[0], NUMBER, depth)
    if source is None or length is None or share is None:
        return None
    if source.windowed:
        checker.fail(node.args[0], "a window over a value that itself uses a window is not supported yet")
        return None
    if any(isinstance(part, ast.Name) and part.id.startswith("_let_") for part in ast.walk(source.tree)):
        checker.fail(node.args[0], "a window over a `let` is not supported yet; write its expression here")
        return None
    last, over_s = length
    index = checker.scope.window(source.tree, last, over_s, function.needs)
    return Typed(window_call(index, function.name, *share), NUMBER, windowed=True)


def _share(checker: Checking, node: ast.Call) -> list[ast.expr] | None:
    share = node.args[1] if len(node.args) == 2 else None
    value = share.value if isinstance(share, ast.Constant) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return [ast.Constant(float(value))]
    checker.fail(share or node, "expected the share of a quantile to be a number from 0 to 1")
    return None


def _length(checker: Checking, node: ast.Call, name: str) -> tuple[int | None, float | None] | None:
    for word in node.keywords:
        if word.arg not in _SPANS:
            checker.fail(word, f"{name} knows last= and over=, got {word.arg or '**'}=")
            return None
    if len(node.keywords) != 1:
        checker.fail(node, f'{name} needs one of last=N (samples) and over="5m"')
        return None
    word = node.keywords[0]
    value = word.value.value if isinstance(word.value, ast.Constant) else None
    if word.arg == "last":
        if type(value) is int and 1 <= value <= windows.MAX_SAMPLES:
            return value, None
        checker.fail(word.value, f"expected last= to be a whole number from 1 to {windows.MAX_SAMPLES:,}")
        return None
    seconds = durations.parse(value) if isinstance(value, str) else None
    if seconds is None or not 0 < seconds <= windows.MAX_SECONDS:
        checker.fail(word.value, f"expected over= to be {durations.EXPECTED}, at most 24h")
        return None
    return None, seconds


def _literal(checker: Checking, node: ast.Call) -> str | None:
    only = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if isinstance(only, ast.Constant) and isinstance(only.value, str) and only.value:
        return only.value
    checker.fail(node, 'expected the logged name in quotes: field("train/loss")')
    return None


def _field(checker: Checking, node: ast.Call) -> Typed | None:
    name = _literal(checker, node)
    if name is None:
        return None
    return Typed(slot_value(checker.scope.slot(logged(name).slot)), NUMBER)


def _has(checker: Checking, node: ast.Call) -> Typed | None:
    """``has(x)`` or ``has("train/x")``: the field is there; this also makes it optional in the rule."""
    name = dotted(node.args[0]) if len(node.args) == 1 and not node.keywords else None
    if name is None:
        name = _literal(checker, node)
        field = logged(name) if name is not None else None
    else:
        field = checker.scope.fields.get(name)
        if field is None:
            checker.fail(node.args[0], f"there is no field {name!r}{guess(name, checker.scope.fields)}")
    if field is None:
        return None
    checker.scope.optional.add(field.slot.name)
    return Typed(slot_value(checker.scope.slot(Slot(field.slot.place, field.slot.name, "has"))), BOOL)
