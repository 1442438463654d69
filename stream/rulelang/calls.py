"""Checking of calls: which kind of function it is; plain functions; ``field`` and ``has``."""

from __future__ import annotations

import ast

from stream.rulelang import fields, functions, ranges
from stream.rulelang.checking import Checking
from stream.rulelang.errors import guess
from stream.rulelang.fields import EVENTS, Field, logged
from stream.rulelang.functions import BOOL, NUMBER, Function
from stream.rulelang.generate import call, slot_value
from stream.rulelang.model import Slot
from stream.rulelang.peer_calls import PREFIX, check_peers
from stream.rulelang.ranges import ANY, Range
from stream.rulelang.typed import Typed, dotted, made
from stream.rulelang.window_calls import LENGTHS, check_window


def check_call(checker: Checking, node: ast.Call, depth: int) -> Typed | None:
    """The checked call, or None after its mistakes were recorded."""
    name = dotted(node.func)
    if name is None:
        checker.fail(node, "only listed functions can be called")
        return None
    if name == functions.FIELD or name.endswith(f".{functions.FIELD}"):
        return _field(checker, node, name)
    if name == functions.HAS:
        return _has(checker, node)
    if name.startswith(PREFIX):
        return check_peers(checker, node, name[len(PREFIX) :], depth)
    lengths = [word for word in node.keywords if word.arg in LENGTHS]
    if name in functions.WINDOW_BY_NAME and (lengths or name not in functions.PLAIN_BY_NAME):
        return check_window(checker, node, functions.WINDOW_BY_NAME[name], depth)
    if name in functions.PLAIN_BY_NAME:
        return _plain(checker, node, functions.PLAIN_BY_NAME[name], depth)
    checker.fail(node, f"there is no function {name!r}{guess(name, functions.NAMES)}")
    return None


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
    return made(tree, function.gives, *known, range=_range(function.name, known))


def _range(name: str, arguments: list[Typed]) -> Range:
    if name == "abs":
        return ranges.absolute(arguments[0].range)
    if name in ("exp", "sqrt"):
        return ranges.FROM_ZERO
    if name == "min":
        return Range(min(one.range.low for one in arguments), min(one.range.high for one in arguments))
    if name == "max":
        return Range(max(one.range.low for one in arguments), max(one.range.high for one in arguments))
    return ANY


def _literal(checker: Checking, node: ast.Call) -> str | None:
    only = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if isinstance(only, ast.Constant) and isinstance(only.value, str) and only.value:
        return only.value
    checker.fail(node, 'expected the logged name in quotes: field("train/loss")')
    return None


def _field(checker: Checking, node: ast.Call, called: str) -> Typed | None:
    """``field("train/loss")``; in ``with`` the other event stands in front: ``train.eval.field("x")``."""
    scope = checker.scope
    name = _literal(checker, node)
    if name is None:
        return None
    event = called[: -len(functions.FIELD) - 1]
    if scope.joining or event:
        if event not in EVENTS:
            checker.fail(node, f'expected the event too: train.eval.field("{name}")')
            return None
        if not enter(checker, node, event, f'{event}.field("{name}")'):
            return None
    return Typed(slot_value(scope.slot(logged(name).slot)), NUMBER)


def enter(checker: Checking, node: ast.AST, event: str, name: str) -> bool:
    """Whether ``name`` of another event may be read here; the frame then belongs to that event."""
    scope = checker.scope
    if not scope.joining:
        checker.fail(node, f"`{name}` is of another event; join it in `with`, such as x: last({name})")
        return False
    if scope.frame is None:
        checker.fail(node, f"what {event} carries is read by a window function: last({name})")
        return False
    if event == scope.event:
        checker.fail(node, f"`with` joins other events; the rule itself is on {event}")
        return False
    if scope.frame.event not in (None, event):
        checker.fail(node, f"one window holds values of one event, here {scope.frame.event} and {event}")
        return False
    scope.frame.event = event
    return True


def _has(checker: Checking, node: ast.Call) -> Typed | None:
    """``has(x)`` or ``has("train/x")``: the field is there; this also makes it optional in the rule."""
    scope = checker.scope
    name = dotted(node.args[0]) if len(node.args) == 1 and not node.keywords else None
    if name is None:
        literal = _literal(checker, node)
        if literal is None:
            return None
        if scope.joining:
            checker.fail(node, "expected has(EVENT.FIELD) in `with`")
            return None
        field: Field | None = logged(literal)
    elif scope.joining:
        field = foreign(checker, node.args[0], name)
    else:
        field = scope.find(name)
        if field is None:
            checker.fail(node.args[0], f"there is no field {name!r}{guess(name, scope.fields)}")
    if field is None:
        return None
    (scope.frame or scope.own).optional.add(field.slot.name)
    return Typed(slot_value(scope.slot(Slot(field.slot.place, field.slot.name, "has"))), BOOL)


def foreign(checker: Checking, node: ast.AST, name: str) -> Field | None:
    """The field ``EVENT.FIELD`` of another event, or None after the mistake was recorded."""
    parts = fields.split(name)
    if parts is None:
        known = {f"{event}.{one}" for event in EVENTS for one in EVENTS[event]}
        checker.fail(node, f"expected EVENT.FIELD, such as train.step.loss, got {name!r}{guess(name, known)}")
        return None
    event, own = parts
    field = fields.find(event, own)
    if field is None:
        hint = guess(own, EVENTS[event]) or f'; a name of your own is reached as {event}.field("{own}")'
        checker.fail(node, f"{event} has no {own!r}{hint}")
        return None
    return field if enter(checker, node, event, name) else None
