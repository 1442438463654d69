"""The computing part of a rule: params, where, let, when and clear_when, checked together and compiled."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping as MappingOf
from typing import Final

from stream.rulelang import expressions, generate, places
from stream.rulelang.errors import guess
from stream.rulelang.fields import EVENTS, RESERVED, SHOWN, Field, group
from stream.rulelang.functions import BOOL, NAMES
from stream.rulelang.model import LogMatch, Program, WindowSpec
from stream.rulelang.reader import Reader
from stream.rulelang.scope import Scope
from stream.rulelang.summary import Template
from stream.rulelang.tree import Mapping, Node, Scalar, kind
from stream.rulelang.typed import Typed

_ALWAYS: Final = Typed(ast.Constant(True), BOOL)


def read_program(
    reader: Reader, event: str, log: LogMatch | None, summary: Template
) -> tuple[Program, dict[str, float]]:
    """The compiled program and the params; mistakes are in the reader's problems."""
    scope = Scope(event, _fields(event, log), _params(reader))
    where = _one(reader, scope, "where")
    if where is not None and where.windowed:
        node = reader.node.values["where"]
        reader.fail(node, "`where` looks at one record; a window belongs into `when`")
    in_where, scope.used = scope.used, set()
    lets = _lets(reader, scope)
    when = _one(reader, scope, "when") if log is None or reader.get("when") else _ALWAYS
    clear = _one(reader, scope, "clear_when") if reader.get("clear_when") else None
    if log is None:
        reader.required("when")
    if clear is not None and log is not None:
        reader.fail(reader.node.values["clear_when"], "`clear_when` is not supported yet for log rules")
    scope.used |= {name for name in summary.names if name in scope.lets or name in scope.params}
    _unused(reader, scope, in_where)
    _show_fields(scope, summary)
    return _compile(scope, lets, where, when or _ALWAYS, clear), dict(scope.params)


def _fields(event: str, log: LogMatch | None) -> dict[str, Field]:
    groups = {name: group(name) for name in log.groups} if log else {}
    return {**EVENTS[event], **groups}


def _params(reader: Reader) -> dict[str, float]:
    node = reader.typed("params", Mapping, "a mapping of name to number")
    found: dict[str, float] = {}
    for name, value in node.values.items() if node is not None else ():
        _check_name(reader, node.keys[name] if node else value, name)
        number = value.value if isinstance(value, Scalar) else None
        if isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number):
            found[name] = float(number)
        else:
            reader.fail(value, f"expected the param `{name}` to be a number, got {kind(value)}")
    return found


def _check_name(reader: Reader, node: Node, name: str) -> None:
    if not name.isidentifier() or not name.isascii() or name.startswith("_"):
        reader.fail(node, f'expected a name of letters, digits and "_", got "{name}"')
    elif name in RESERVED or name in NAMES or name in ("and", "or", "not", "if", "else", "in", "is"):
        reader.fail(node, f'the name "{name}" is taken by the language')


def _lets(reader: Reader, scope: Scope) -> list[tuple[str, ast.expr]]:
    node = reader.typed("let", Mapping, "a mapping of name to expression")
    found: list[tuple[str, ast.expr]] = []
    for name, value in node.values.items() if node is not None else ():
        key = node.keys[name] if node else value
        _check_name(reader, key, name)
        if name in scope.fields or name in scope.params:
            reader.fail(key, f'the name "{name}" is already a field or a param')
        typed = _expression(reader, scope, value, "")
        scope.lets[name] = typed.type if typed else "number"
        if typed is not None:
            found.append((name, typed.tree))
            scope.let_windows |= {name} if typed.windowed else set()
    return found


def _one(reader: Reader, scope: Scope, key: str) -> Typed | None:
    node = reader.get(key)
    return None if node is None else _expression(reader, scope, node, BOOL)


def _expression(reader: Reader, scope: Scope, node: Node, expected: str) -> Typed | None:
    if not isinstance(node, Scalar) or node.value is None:
        reader.fail(node, f"expected an expression, got {kind(node)}")
        return None
    typed, mistakes = expressions.check(node.text, scope, expected)
    for mistake in mistakes:
        reader.problems.add(*places.place(node, mistake.line, mistake.column), str(mistake))
    return typed


def _unused(reader: Reader, scope: Scope, in_where: set[str]) -> None:
    for word, names, used in (
        ("let", scope.lets, scope.used),
        ("params", scope.params, scope.used | in_where),
    ):
        node = reader.node.values.get(word)
        for name in names:
            if name not in used and isinstance(node, Mapping):
                what = "let" if word == "let" else "param"
                reader.fail(node.keys[name], f"the {what} `{name}` is never used{guess(name, used)}")


def _compile(
    scope: Scope, lets: list[tuple[str, ast.expr]], where: Typed | None, when: Typed, clear: Typed | None
) -> Program:
    names = tuple(name for name, _ in lets)
    windows = tuple(
        WindowSpec(generate.function_of_sample(use.source), frozenset(use.needs), use.last, use.over_s)
        for use in scope.windows.values()
    )
    return Program(
        slots=scope.final_slots(),
        windows=windows,
        names=names,
        where=generate.function_of_slots(where.tree) if where else None,
        when=generate.condition(lets, when.tree),
        values=generate.values(lets),
        clear=generate.condition(lets, clear.tree) if clear else None,
        shown=_shown(scope),
    )


def _show_fields(scope: Scope, summary: Template) -> None:
    """Fields that only the summary names are read too, but a record without them is still a sample."""
    for name in summary.names:
        if name not in scope.fields or name in SHOWN:
            continue
        scope.used.add(name)
        slot = scope.fields[name].slot
        if slot not in scope.slots:
            scope.optional.add(slot.name)
            scope.slot(slot)


def _shown(scope: Scope) -> MappingOf[str, int]:
    """The fields a rule reads, by name, with their slots: they belong into the evidence."""
    return {
        name: scope.slot(scope.fields[name].slot)
        for name in sorted(scope.used)
        if name in scope.fields and name not in SHOWN
    }
