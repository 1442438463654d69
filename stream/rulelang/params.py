"""The ``params`` of a rule: named numbers, and what may override them from outside the file.

An override is written ``rule.param=3``, or ``rule.param@rl-*=3`` for runs whose name or id fits; see
``overriding``. Overrides never count as mistakes of the file: a limit may be set so that a rule never fires.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from stream.rulelang.fields import RESERVED
from stream.rulelang.functions import NAMES
from stream.rulelang.generate import call, slot_value
from stream.rulelang.model import Slot
from stream.rulelang.reader import Reader
from stream.rulelang.scope import PerRun, Scope
from stream.rulelang.tree import Mapping, Node, Scalar, kind

MAX_PARAMS: Final = 100
WORDS: Final = frozenset({"and", "or", "not", "if", "else", "in", "is", "peers"})
_RUN: Final = (Slot("resource", "run_name", "text", True), Slot("resource", "run", "text", True))

Overriding: TypeAlias = "MappingOf[str, MappingOf[str, float]]"
"""For each param of one rule: the value for every run ("" as the key) and for runs that fit a pattern."""


@dataclass
class Params:
    """What the file says, and what holds: for all runs, and for some."""

    defaults: dict[str, float] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    per_run: dict[str, PerRun] = field(default_factory=dict)


def read_params(reader: Reader, overriding: Overriding) -> Params:
    """The params of a rule; mistakes are in the reader's problems."""
    node = reader.typed("params", Mapping, "a mapping of name to number")
    found = Params()
    if node is None:
        return found
    if len(node.values) > MAX_PARAMS:
        reader.fail(node, f"expected at most {MAX_PARAMS} params, got {len(node.values)}")
        return found
    for name, value in node.values.items():
        check_name(reader, node.keys[name], name)
        number = value.value if isinstance(value, Scalar) else None
        if not isinstance(number, (int, float)) or isinstance(number, bool) or not math.isfinite(number):
            reader.fail(value, f"expected the param `{name}` to be a number, got {kind(value)}")
            number = 0.0
        runs = dict(overriding.get(name, {}))
        found.defaults[name] = float(number)
        found.values[name] = runs.pop("", float(number))
        if runs:
            found.per_run[name] = tuple(runs.items())
    return found


def check_name(reader: Reader, node: Node, name: str) -> None:
    """Record a mistake where a param, a let or a join cannot have this name."""
    if not name.isidentifier() or not name.isascii() or name.startswith("_"):
        reader.fail(node, f'expected a name of letters, digits and "_", got "{name}"')
    elif name in RESERVED or name in NAMES or name in WORDS:
        reader.fail(node, f'the name "{name}" is taken by the language')


def check_fields(reader: Reader, scope: Scope) -> None:
    """A param would hide a field of the same name."""
    node = reader.node.values.get("params")
    for name, key in node.keys.items() if isinstance(node, Mapping) else ():
        if scope.find(name) is not None:
            reader.fail(key, f'the name "{name}" is already a field')


def tree(scope: Scope, name: str) -> ast.expr:
    """The value of a param: a constant, or one that depends on the run."""
    found: ast.expr = ast.Constant(scope.params[name])
    for pattern, value in reversed(scope.per_run.get(name, ())):
        run = [slot_value(scope.slot(slot)) for slot in _RUN]
        found = ast.IfExp(call("glob", *run, ast.Constant(pattern)), ast.Constant(value), found)
    return found


def shown_per_run(scope: Scope) -> list[tuple[str, ast.expr]]:
    """Params that depend on the run stand in the evidence with the value that held."""
    return [(name, tree(scope, name)) for name in scope.per_run]
