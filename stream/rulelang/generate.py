"""Building blocks of generated code: the only names it can reach are the ones made here."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from stream.rulelang import functions, numbers

SLOTS: Final = "_slots"
WINDOWS: Final = "_windows"

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
    window = ast.Subscript(ast.Name(WINDOWS, ast.Load()), ast.Constant(index), ast.Load())
    return ast.Call(ast.Attribute(window, function, ast.Load()), list(arguments), [])


def function_of_slots(body: ast.expr) -> Callable[[Sequence[Any]], Any]:
    """``body`` as a function of the slots."""
    return _build([SLOTS], [], body)


def function_of_sample(
    lets: Sequence[tuple[str, ast.expr]], condition: ast.expr, names: Sequence[str]
) -> Callable[[Sequence[Any], Sequence[Any]], tuple[Any, ...]]:
    """A function of slots and windows giving ``(condition, *values of names)``."""
    values = [condition, *(local(name) for name in names)]
    return _build([SLOTS, WINDOWS], lets, ast.Tuple(values, ast.Load()))


def _build(
    arguments: list[str], lets: Sequence[tuple[str, ast.expr]], result: ast.expr
) -> Callable[..., Any]:
    statements: list[ast.stmt] = [
        ast.Assign([ast.Name(f"_let_{name}", ast.Store())], tree) for name, tree in lets
    ]
    statements.append(ast.Return(result))
    parameters = ast.arguments([], [ast.arg(name) for name in arguments], None, [], [], None, [])
    function = ast.FunctionDef("_rule", parameters, statements, [])
    if "type_params" in ast.FunctionDef._fields:
        function.type_params = []  # type: ignore[attr-defined,unused-ignore]
    module = ast.fix_missing_locations(ast.Module([function], []))
    space: dict[str, Any] = dict(_GLOBALS)
    exec(compile(module, "<rule>", "exec"), space)
    built: Callable[..., Any] = space["_rule"]
    return built
