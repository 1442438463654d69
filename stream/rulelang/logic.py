"""The computing part of a rule: params, with, where, let, when, clear_when, checked together and compiled."""

from __future__ import annotations

import ast
from collections.abc import Mapping as MappingOf
from typing import Final

from stream.rulelang import expressions, params, places
from stream.rulelang.errors import guess
from stream.rulelang.fields import BEGAN, EVENTS, SHOWN, Field, group
from stream.rulelang.functions import BOOL, EMA, TIMES
from stream.rulelang.generate import SLOTS, Code, Lets
from stream.rulelang.model import LogMatch, PeerSpec, Program, Trees, WindowSpec
from stream.rulelang.params import Overriding
from stream.rulelang.reader import Reader
from stream.rulelang.scope import Scope, WindowUse
from stream.rulelang.summary import Template
from stream.rulelang.tree import Mapping, Node, Scalar, kind
from stream.rulelang.typed import Typed, renamed

KEYS: Final = ("with", "params", "where", "let", "when", "clear_when")
MAX_NAMES: Final = 100
"""The most names in one ``let`` or ``with``."""
_MORE: Final = frozenset({EMA, TIMES})
_ALWAYS: Final = Typed(ast.Constant(True), BOOL)


def read_program(
    reader: Reader, event: str, log: LogMatch | None, summary: Template, overriding: Overriding
) -> tuple[Program, dict[str, float]]:
    """The compiled program and the params; mistakes are in the reader's problems."""
    found = params.read_params(reader, overriding)
    scope = Scope(event, _fields(event, log), found.values, defaults=found.defaults, per_run=found.per_run)
    params.check_fields(reader, scope)
    joined = _named(reader, scope, "with")
    where = _where(reader, scope)
    in_where, scope.used = scope.used, set()
    lets = _named(reader, scope, "let")
    when = _one(reader, scope, "when") if log is None or reader.get("when") else _ALWAYS
    clear = _one(reader, scope, "clear_when") if reader.get("clear_when") else None
    if log is None:
        reader.required("when")
    _in_summary(scope, summary)
    _unused(reader, scope, in_where)
    shown = params.shown_per_run(scope)
    return _compile(scope, [*joined, *shown, *lets], where, when or _ALWAYS, clear), dict(scope.params)


def _fields(event: str, log: LogMatch | None) -> dict[str, Field]:
    groups = {name: group(name) for name in log.groups} if log else {}
    return {**EVENTS[event], **groups}


def _where(reader: Reader, scope: Scope) -> Typed | None:
    where = _one(reader, scope, "where")
    if where is not None and (where.windowed or where.peers):
        node = reader.node.values["where"]
        what = "what peers do" if where.peers else "a window"
        reader.fail(node, f"`where` looks at one record; {what} belongs into `when`")
    return where


def _named(reader: Reader, scope: Scope, word: str) -> list[tuple[str, ast.expr]]:
    """The entries of ``let`` or ``with``: names and their expressions, each checked once."""
    wanted = {
        "let": "a mapping of name to expression",
        "with": "a mapping such as {x: last(train.step.loss)}",
    }
    node = reader.typed(word, Mapping, wanted[word])
    found: list[tuple[str, ast.expr]] = []
    if node is None:
        return found
    if len(node.values) > MAX_NAMES:
        reader.fail(node, f"expected at most {MAX_NAMES} names in `{word}`, got {len(node.values)}")
        return found
    for name, value in node.values.items():
        key = node.keys[name]
        params.check_name(reader, key, name)
        taken = "a field" if scope.find(name) else "a param" if name in scope.params else "in `with`"
        if scope.find(name) or name in scope.params or name in scope.lets:
            reader.fail(key, f'the name "{name}" is already {taken}')
        typed = _joined(reader, scope, value) if word == "with" else _expression(reader, scope, value, "")
        scope.lets[name] = renamed(typed, name) if typed is not None else None
        if typed is not None:
            found.append((name, typed.tree))
    return found


def _joined(reader: Reader, scope: Scope, node: Node) -> Typed | None:
    scope.joining = True
    try:
        typed = _expression(reader, scope, node, "")
    finally:
        scope.joining = False
    if typed is not None and not typed.windowed:
        reader.fail(node, "expected a value of another event, such as last(train.step.loss)")
        return None
    return typed


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
    for word in ("let", "with", "params"):
        node = reader.node.values.get(word)
        used = scope.used | (in_where if word == "params" else set())
        for name, key in node.keys.items() if isinstance(node, Mapping) else ():
            if name not in used and name != BEGAN:
                what = "param" if word == "params" else word
                reader.fail(key, f"the {what} `{name}` is never used{guess(name, used)}")


def _compile(scope: Scope, lets: Lets, where: Typed | None, when: Typed, clear: Typed | None) -> Program:
    code = Code(lets)
    of_where = code.of_slots(where.tree) if where else None
    of_when, of_clear = code.condition(when.tree), code.condition(clear.tree) if clear else None
    of_values = code.values()
    tapes = _tapes(scope)
    brings = {place: code.of_sample(uses[0].source) for place, uses in tapes.items()}
    windows = [(use, brings[_tape(use)]) for use in scope.windows.values()]
    peers = [(use, code.of_sample(use.source)) for use in scope.peers.values()]
    own = [uses for uses in tapes.values() if uses[0].frame is None]
    of_own = code.of_samples([uses[0].source for uses in own])
    of_computed = code.of_samples([uses[0].source for uses in own if _slot(uses) is None])
    made = code.build()
    return Program(
        slots=scope.own.final(),
        windows=tuple(
            WindowSpec(
                made[name], frozenset(use.needs), use.last, use.over_s,
                use.frame.event if use.frame else None, use.frame.final() if use.frame else (),
                _slot(tapes[_tape(use)]),
            )
            for use, name in windows
        ),
        names=tuple(name for name, _ in lets),
        where=made[of_where] if of_where else None,
        when=made[of_when],
        values=made[of_values],
        clear=made[of_clear] if of_clear else None,
        shown=_shown(scope),
        peers=tuple(PeerSpec(made[name], use.of) for use, name in peers),
        sources=made[of_own],
        computed=made[of_computed],
        trees=Trees(
            where.tree if where else None,
            when.tree,
            tuple(lets),
            {use.index: use.source for use in scope.windows.values() if use.frame is None},
        ),
    )  # fmt: skip


def _tapes(scope: Scope) -> dict[str, list[WindowUse]]:
    """The windows by what they share: the same value over any number of samples is kept once."""
    found: dict[str, list[WindowUse]] = {}
    for use in scope.windows.values():
        found.setdefault(_tape(use), []).append(use)
    return found


def _tape(use: WindowUse) -> str:
    alone = use.frame is not None or use.over_s is not None
    return str(use.index) if alone else ast.dump(use.source)


def _slot(uses: list[WindowUse]) -> int | None:
    """The slot whose values these windows keep; None where one is computed, timed or averaged."""
    first = uses[0]
    more = first.over_s is not None or any(use.needs & _MORE for use in uses)
    tree = first.source
    if more or not (isinstance(tree, ast.Subscript) and isinstance(tree.value, ast.Name)):
        return None
    place = tree.slice.value if isinstance(tree.slice, ast.Constant) else None
    return place if tree.value.id == SLOTS and isinstance(place, int) else None


def _in_summary(scope: Scope, summary: Template) -> None:
    """What only the summary names counts as used; a record without such a field is still a sample."""
    for name in summary.names:
        field = scope.find(name)
        if name in scope.lets or name in scope.params:
            scope.used.add(name)
        elif field is not None and name not in SHOWN:
            scope.used.add(name)
            if field.slot not in scope.slots:
                scope.own.optional.add(field.slot.name)
                scope.own.slot(field.slot)


def _shown(scope: Scope) -> MappingOf[str, int]:
    """The fields a rule reads, by name, with their slots: they belong into the evidence."""
    found = {name: scope.find(name) for name in sorted(scope.used) if name not in SHOWN}
    return {name: scope.own.slot(field.slot) for name, field in found.items() if field is not None}
