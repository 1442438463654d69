"""Building blocks of generated code: the only names it can reach are the ones made here."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from stream.rulelang import functions, globs, lazy, numbers

SLOTS: Final = "_slots"
WINDOWS: Final = "_windows"
PEERS: Final = "_peers"

Lets: TypeAlias = "Sequence[tuple[str, ast.expr]]"
"""Names with their checked definitions; each may use those before it."""

_PLACED: Final = (ast.expr, ast.stmt, ast.arg)
_GLOBALS: Final[dict[str, Any]] = {
    "__builtins__": {},
    "_f_divide": numbers.divide,
    "_f_remainder": numbers.remainder,
    "_f_glob": globs.matches,
    "_f_zip": zip,
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


def index(tree: ast.expr, of: str) -> int | None:
    """The number in ``_slots[3]``; None for anything else."""
    if isinstance(tree, ast.Subscript) and isinstance(tree.value, ast.Name) and tree.value.id == of:
        place = tree.slice.value if isinstance(tree.slice, ast.Constant) else None
        return place if isinstance(place, int) else None
    return None


def reachable() -> frozenset[str]:
    """Every global name that generated code can reach."""
    return frozenset(_GLOBALS) - {"__builtins__"}


class Code:
    """The functions of one rule; they are compiled together, which is several times faster than alone."""

    def __init__(self, lets: Lets = ()) -> None:
        self._lets = lets
        self._functions: list[ast.stmt] = []

    def of_slots(self, body: ast.expr) -> str:
        """A function of the slots; its name."""
        return self._add([SLOTS], [ast.Return(body)])

    def of_sample(self, body: ast.expr) -> str:
        """A function of slots and windows; it computes the ``let`` values it needs itself."""
        needed = _assignments(self._lets, _needed(self._lets, body))
        return self._add([SLOTS, WINDOWS], [*needed, ast.Return(body)])

    def of_samples(self, bodies: Sequence[ast.expr]) -> str:
        """A function of slots and windows giving the values of all these; each ``let`` is computed once."""
        names = {name for body in bodies for name in _needed(self._lets, body)}
        result = ast.Return(ast.Tuple(list(bodies), ast.Load()))
        return self._add([SLOTS, WINDOWS], [*_assignments(self._lets, names), result])

    def of_columns(self, many: int, body: ast.expr) -> str:
        """A function of so many columns of equal length, one at least, giving the list of what ``body`` is
        for each row of them; the values of a row stand in it as _value_0, _value_1 and so on.
        """
        columns: list[ast.expr] = [ast.Name(f"_column_{number}", ast.Load()) for number in range(many)]
        values: list[ast.expr] = [ast.Name(f"_value_{number}", ast.Store()) for number in range(many)]
        rows, row = (
            (columns[0], values[0]) if many == 1 else (call("zip", *columns), ast.Tuple(values, ast.Store()))
        )
        listed = ast.ListComp(body, [ast.comprehension(row, rows, [], 0)])
        return self._add([f"_column_{number}" for number in range(many)], [ast.Return(listed)])

    def of_nothing(self, body: ast.expr) -> str:
        """A function without arguments."""
        return self._add([], [ast.Return(body)])

    def condition(self, tree: ast.expr) -> str:
        """A function of slots, windows and peers giving the truth of ``tree``.

        A conjunction stops at its first part that fails, and a ``let`` is computed where it is first read:
        cheap tests in front keep costly statistics behind them from being computed.
        """
        parts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
        try:
            body = self._lazily(parts)
        except lazy.TooLargeError:
            body = [*_assignments(self._lets, _needed(self._lets, tree)), *map(_unless, parts)]
        return self._add([SLOTS, WINDOWS, PEERS], [*body, ast.Return(ast.Constant(True))])

    def _lazily(self, parts: Sequence[ast.expr]) -> list[ast.stmt]:
        """The tests of a conjunction. Raises TooLargeError."""
        lets = dict(self._lets)
        expander = lazy.Expander(lets)
        ready: set[str] = set()
        body: list[ast.stmt] = []
        for part in parts:
            for name in [name for name in lets if name in lazy.read_always(part, lets) - ready]:
                if name not in expander.lazy:
                    value = expander.expand(lets[name], ready)
                    body.append(ast.Assign([ast.Name(f"_let_{name}", ast.Store())], value))
                    ready.add(name)
            body.append(_unless(expander.expand(part, ready)))
        begin = [
            ast.Assign([ast.Name(f"_let_{name}", ast.Store())], ast.Constant(None)) for name in expander.lazy
        ]
        return [*begin, *body]

    def values(self) -> str:
        """A function of slots, windows and peers giving the values of all ``let`` names, in order."""
        names = [name for name, _ in self._lets]
        result = ast.Return(ast.Tuple([local(name) for name in names], ast.Load()))
        return self._add([SLOTS, WINDOWS, PEERS], [*_assignments(self._lets, set(names)), result])

    def build(self) -> Mapping[str, Callable[..., Any]]:
        """The functions by name."""
        module = ast.Module(self._functions, [])
        _locate(module)
        space: dict[str, Callable[..., Any]] = {}
        exec(compile(module, "<rule>", "exec"), _GLOBALS, space)
        return space

    def _add(self, arguments: list[str], body: list[ast.stmt]) -> str:
        name = f"_rule_{len(self._functions)}"
        parameters = ast.arguments([], [ast.arg(argument) for argument in arguments], None, [], [], None, [])
        function = ast.FunctionDef(name, parameters, body, [])
        if "type_params" in ast.FunctionDef._fields:
            function.type_params = []  # type: ignore[attr-defined,unused-ignore]
        self._functions.append(function)
        return name


def _locate(tree: ast.AST) -> None:
    """What ast.fix_missing_locations does, in a third of the time: all code is in line 1."""
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        for value in list(vars(node).values()):
            if isinstance(value, ast.AST):
                waiting.append(value)
            elif isinstance(value, list):
                waiting.extend(value)
        if isinstance(node, _PLACED):
            node.lineno = node.end_lineno = 1
            node.col_offset = node.end_col_offset = 0


def _unless(part: ast.expr) -> ast.stmt:
    """Leave with False where this part of a conjunction does not hold."""
    return ast.If(ast.UnaryOp(ast.Not(), part), [ast.Return(ast.Constant(False))], [])


def _assignments(lets: Lets, names: set[str]) -> list[ast.stmt]:
    return [ast.Assign([ast.Name(f"_let_{name}", ast.Store())], tree) for name, tree in lets if name in names]


def _needed(lets: Lets, tree: ast.expr) -> set[str]:
    """The lets that ``tree`` reads, directly or through others."""
    if not lets:
        return set()
    used = _names(tree)
    needed: set[str] = set()
    for name, definition in reversed(lets):
        if f"_let_{name}" in used:
            needed.add(name)
            used |= _names(definition)
    return needed


def _names(tree: ast.expr) -> set[str]:
    return {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}
