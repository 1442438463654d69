"""Building blocks of generated code: the only names it can reach are the ones made here."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from stream.rulelang import functions, numbers

SLOTS: Final = "_slots"
WINDOWS: Final = "_windows"
PEERS: Final = "_peers"

Lets: TypeAlias = "Sequence[tuple[str, ast.expr]]"
"""Names with their checked definitions; each may use those before it."""

_GLOBALS: Final[Mapping[str, Any]] = {
    "__builtins__": {},
    "_f_divide": numbers.divide,
    "_f_remainder": numbers.remainder,
    **{f"_f_{function.name}": function.call for function in functions.PLAIN},
}


def local(name: str) -> ast.expr:
    """The local variable that holds a ``let``."""
    return ast.Name(f"_let_{name}", ast.Load())


def call(function: str, *arguments: ast.expr) -> ast.expr:
    """A call of a listed function."""
    return ast.Call(ast.Name(f"_f_{function}", ast.Load()), list(arguments), [])


def slot_value(index: int) -> ast.expr:
    """What slot ``index`` read."""
    return ast.Subscript(ast.Name(SLOTS, ast.Load()), ast.Constant(index), ast.Load())


def window_call(index: int, function: str, *arguments: ast.expr) -> ast.expr:
    """A statistic of window ``index``."""
    return _method(WINDOWS, index, function, arguments)


def peer_call(index: int, function: str, *arguments: ast.expr) -> ast.expr:
    """A statistic of the peers' values ``index``."""
    return _method(PEERS, index, function, arguments)


def _method(where: str, index: int, function: str, arguments: tuple[ast.expr, ...]) -> ast.expr:
    one = ast.Subscript(ast.Name(where, ast.Load()), ast.Constant(index), ast.Load())
    return ast.Call(ast.Attribute(one, function, ast.Load()), list(arguments), [])


def function_of_slots(body: ast.expr) -> Callable[[Sequence[Any]], Any]:
    """``body`` as a function of the slots."""
    return _build([SLOTS], [ast.Return(body)])


def function_of_sample(body: ast.expr) -> Callable[[Sequence[Any], Sequence[Any]], Any]:
    """``body`` as a function of slots and windows."""
    return _build([SLOTS, WINDOWS], [ast.Return(body)])


def condition(lets: Lets, tree: ast.expr) -> Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], bool]:
    """A function of slots, windows and peers giving the truth of ``tree``.

    A conjunction stops at its first part that fails, and a ``let`` is computed only before the first part
    that needs it: cheap tests in front keep costly statistics behind them from being computed at all.
    """
    parts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
    body: list[ast.stmt] = []
    done: set[str] = set()
    for part in parts:
        body.extend(_assignments(lets, _needed(lets, part) - done))
        done |= _needed(lets, part)
        body.append(ast.If(ast.UnaryOp(ast.Not(), part), [ast.Return(ast.Constant(False))], []))
    return _build([SLOTS, WINDOWS, PEERS], [*body, ast.Return(ast.Constant(True))])


def values(lets: Lets) -> Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], tuple[Any, ...]]:
    """A function of slots, windows and peers giving the values of all ``let`` names, in order."""
    result = ast.Return(ast.Tuple([local(name) for name, _ in lets], ast.Load()))
    return _build([SLOTS, WINDOWS, PEERS], [*_assignments(lets, {name for name, _ in lets}), result])


def _assignments(lets: Lets, names: set[str]) -> list[ast.stmt]:
    return [ast.Assign([ast.Name(f"_let_{name}", ast.Store())], tree) for name, tree in lets if name in names]


def _needed(lets: Lets, tree: ast.expr) -> set[str]:
    """The lets that ``tree`` reads, directly or through others."""
    used = {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}
    needed: set[str] = set()
    for name, definition in reversed(lets):
        if f"_let_{name}" in used:
            needed.add(name)
            used |= {part.id for part in ast.walk(definition) if isinstance(part, ast.Name)}
    return needed


def _build(arguments: list[str], body: list[ast.stmt]) -> Callable[..., Any]:
    parameters = ast.arguments([], [ast.arg(name) for name in arguments], None, [], [], None, [])
    function = ast.FunctionDef("_rule", parameters, body, [])
    if "type_params" in ast.FunctionDef._fields:
        function.type_params = []  # type: ignore[attr-defined,unused-ignore]
    module = ast.fix_missing_locations(ast.Module([function], []))
    space: dict[str, Any] = dict(_GLOBALS)
    exec(compile(module, "<rule>", "exec"), space)
    built: Callable[..., Any] = space["_rule"]
    return built
