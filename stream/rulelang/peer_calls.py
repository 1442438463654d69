"""Checking of ``peers.FUNCTION(x)``: the value of every other rank of the run, the role or the node."""

from __future__ import annotations

import ast
from typing import Final

from stream.rulelang import ranges
from stream.rulelang.checking import Checking
from stream.rulelang.errors import guess, one_of
from stream.rulelang.functions import NUMBER
from stream.rulelang.generate import peer_call
from stream.rulelang.ranges import ANY, Range
from stream.rulelang.typed import Typed
from stream.rulelang.window_calls import read_share, said

PREFIX: Final = "peers."
GROUPS: Final = ("run", "role", "node")
FUNCTIONS: Final = {
    "count": "how many other ranks have a value",
    "mean": "mean",
    "median": "median; mean of the middle two",
    "min": "smallest",
    "max": "largest",
    "std": "population standard deviation",
    "mad": "median distance from the median",
    "sum": "sum (0 where nobody has a value)",
    "quantile": "interpolated: peers.quantile(x, 0.9)",
}
MAX_PEERS: Final = 20


def check_peers(checker: Checking, node: ast.Call, name: str, depth: int) -> Typed | None:
    """The checked call, or None after its mistakes were recorded."""
    scope = checker.scope
    if name not in FUNCTIONS:
        hint = guess(name, FUNCTIONS)
        checker.fail(node, f"there is no peers.{name}{hint}; there are {one_of(FUNCTIONS)}")
        return None
    if scope.joining or scope.asking:
        where = "`with`" if scope.joining else "another peers.*"
        checker.fail(node, f"peers.{name} cannot stand inside {where}")
        return None
    of = _of(checker, node, name)
    share = read_share(checker, node) if name == "quantile" else []
    if len(node.args) != 1 + (name == "quantile") and not (name == "count" and not node.args):
        wanted = "a value and a share" if name == "quantile" else "one value"
        checker.fail(node, f'peers.{name} takes {wanted}, and of="run", "role" or "node"')
        return None
    source = _source(checker, node, depth)
    if source is None or of is None or share is None:
        return None
    index = scope.peer(source.tree, of)
    if len(scope.peers) > MAX_PEERS:
        checker.fail(node, f"expected at most {MAX_PEERS} values of peers in a rule")
        return None
    tree = peer_call(index, name, *share)
    return Typed(
        tree, NUMBER, source.depth, peers=True, params=source.params, range=_range(name, source.range)
    )


def _source(checker: Checking, node: ast.Call, depth: int) -> Typed | None:
    if not node.args:
        return Typed(ast.Constant(1.0), NUMBER)
    checker.scope.asking = True
    try:
        source = checker.want(node.args[0], NUMBER, depth)
    finally:
        checker.scope.asking = False
    if source is not None and source.peers:
        checker.fail(node.args[0], "peers.* cannot be asked for what they think of their peers")
        return None
    return source


def _of(checker: Checking, node: ast.Call, name: str) -> str | None:
    of = "role"
    for word in node.keywords:
        value = word.value.value if isinstance(word.value, ast.Constant) else None
        if word.arg != "of":
            checker.fail(word, f"peers.{name} knows of=, got {word.arg or '**'}=")
            return None
        if not isinstance(value, str) or value not in GROUPS:
            got = said(word.value)
            checker.fail(word.value, f'expected of= to be "run", "role" or "node", got {got}')
            return None
        of = value
    return of


def _range(name: str, source: Range) -> Range:
    if name in ("count", "std", "mad"):
        return ranges.FROM_ZERO
    return ANY if name == "sum" else source
