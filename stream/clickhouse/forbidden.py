"""Refuses what would let a client read or write this machine's files through the in-process engine.

The engine's own rights (config.py) stop table functions, engines and dictionaries. What they cannot stop is
looked for here: chDB runs as a local program, so its scalar function file() opens any path, python() sees
our process, and INFILE and OUTFILE are handled before rights are checked.
"""

from __future__ import annotations

from collections.abc import Sequence

from stream.clickhouse.errors import ClickHouseError
from stream.clickhouse.lexer import Token, tokens

# sqlite, for one, creates its file before the engine asks for the right to.
_FUNCTIONS = frozenset(
    {"file", "filecluster", "python", "sqlite", "executable", "iceberglocal", "deltalakelocal", "paimonlocal"}
)
_CLAUSES = (("FROM", "INFILE"), ("INTO", "OUTFILE"))
_HIGHER_ORDER = ("array", "map")


def check(text: str) -> None:
    """Raise ClickHouseError 497 where the statement reaches for files or for our process."""
    found = list(tokens(text))
    for at, token in enumerate(found):
        if at and any(found[at - 1].is_word(before) and token.is_word(word) for before, word in _CLAUSES):
            raise _refused(f"{found[at - 1].value.upper()} {token.value.upper()}")
        if token.is_identifier() and token.value.lower() in _FUNCTIONS and _as_function(found, at):
            raise _refused(f"the function {token.value}")
        if _names_identifier(found, at) and _first_argument(found, at):
            raise _refused("a query parameter in place of a function")


def _as_function(found: Sequence[Token], at: int) -> bool:
    called = at + 1 < len(found) and found[at + 1].value == "(" and found[at + 1].kind == "sign"
    return called or _applied(found, at) or _first_argument(found, at)


def _before_brackets(found: Sequence[Token], at: int) -> int:
    before = at - 1
    while before >= 0 and found[before].kind == "sign" and found[before].value == "(":
        before -= 1
    return before


def _applied(found: Sequence[Token], at: int) -> bool:
    before = _before_brackets(found, at)
    return before >= 0 and found[before].is_word("APPLY")


def _first_argument(found: Sequence[Token], at: int) -> bool:
    """Whether the token stands where arrayMap and its like take the name of a function."""
    before = _before_brackets(found, at)
    if before < 0 or before == at - 1 or not found[before].is_identifier():
        return False
    name = found[before].value.lower()
    return name.startswith(_HIGHER_ORDER) and name not in _HIGHER_ORDER


def _names_identifier(found: Sequence[Token], at: int) -> bool:
    """Whether {name:Identifier} begins here."""
    if found[at].kind != "sign" or found[at].value != "{":
        return False
    return any(token.value == "Identifier" for token in found[at + 1 : at + 4])


def _refused(what: str) -> ClickHouseError:
    return ClickHouseError(
        497,
        f"Not enough privileges: {what} is not available on the embedded endpoint, which keeps clients away "
        "from this machine's files; send the data in the request, or use a ClickHouse server",
    )
