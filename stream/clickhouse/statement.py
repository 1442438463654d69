"""Splits what came over HTTP into the statement for the engine and the data of an INSERT."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from stream.clickhouse.errors import ClickHouseError
from stream.clickhouse.lexer import Token, tokens

# Statements that answer nothing; all others have a result and say its format.
_SILENT: Final = frozenset(
    {"INSERT", "CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE", "SET", "USE", "SYSTEM", "ATTACH", "DETACH"}
    | {"GRANT", "REVOKE", "EXCHANGE", "UNDROP", "DELETE", "UPDATE", "MOVE", "REPLACE"}
)
_READS: Final = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK"})
# These write something around the rows, once.
_WHOLE: Final = ("TOTALS", "EXTREMES", "OUTPUT_FORMAT_JSON_ARRAY_OF_ROWS")


@dataclass(frozen=True)
class Statement:
    """One statement: `sql` as the engine shall run it.

    verb: the first keyword, upper case ("" where it begins with something else).
    data_format: the input format when this is an INSERT whose data follows, else None.
    data_start: where in the text that data begins (characters), when data_format is set.
    output_format: the FORMAT clause of a query, None where it has none.
    has_result: whether the statement answers rows.
    stateful: whether it changes the session: SET, USE, a temporary table.
    streamable: whether the result may be sent block by block as far as the text tells.
    """

    sql: str
    verb: str = ""
    data_format: str | None = None
    data_start: int = 0
    output_format: str | None = None
    has_result: bool = False
    streamable: bool = False
    stateful: bool = False

    @property
    def reads_only(self) -> bool:
        """Whether the first word alone says that nothing is changed."""
        return self.verb in _READS


def parse(text: str) -> Statement:
    """Read one statement; the data of an INSERT is not looked at."""
    first = next(tokens(text), None)
    if first is None:
        raise ClickHouseError(62, "Syntax error: failed at position 1 (end of query): Empty query")
    verb = first.value.upper() if first.kind == "word" else ""
    if verb == "INSERT" and (insert := insert_with_data(text)):
        return insert
    found = list(tokens(text))
    _refuse_several(found)
    return Statement(
        sql=text,
        verb=verb,
        output_format=_output_format(found),
        has_result=verb not in _SILENT,
        stateful=verb in ("SET", "USE") or any(token.is_word("TEMPORARY") for token in found[1:4]),
        streamable=verb in ("SELECT", "WITH") and not any(token.is_word(*_WHOLE) for token in found),
    )


def insert_with_data(text: str) -> Statement | None:
    """The INSERT whose data follows VALUES or FORMAT; None for any other text."""
    depth, head = 0, tokens(text)
    first = next(head, None)
    if first is None or not first.is_word("INSERT"):
        return None
    for token in head:
        depth += token.depth_change()
        if depth:
            continue
        if token.is_word("SELECT", "WITH", "WATCH", "INFILE", "EXPLAIN"):
            return None
        if token.is_word("VALUES"):
            return Statement(text[: token.start], "INSERT", "Values", token.end)
        if token.is_word("FORMAT"):
            return _insert_format(text, token, next(head, None))
    return None


def _refuse_several(found: list[Token]) -> None:
    for token, following in zip(found, islice(found, 1, None), strict=False):
        if token.kind == "sign" and token.value == ";" and following.value != ";":
            raise ClickHouseError(
                62, f"Syntax error (Multi-statements are not allowed): failed at position {token.start + 1}"
            )


def _insert_format(text: str, keyword: Token, name: Token | None) -> Statement:
    if name is None or not name.is_identifier():
        raise ClickHouseError(62, "Syntax error: INSERT ... FORMAT needs the name of a format after FORMAT")
    return Statement(text[: keyword.start], "INSERT", name.value, _after_format(text, name.end))


def _after_format(text: str, position: int) -> int:
    """Data begins after the first line break, or after the blanks where there is none."""
    while text[position : position + 1] in (" ", "\t", "\f"):
        position += 1
    if text[position : position + 1] == "\r":
        position += 1
    return position + 1 if text[position : position + 1] == "\n" else position


def _output_format(found: list[Token]) -> str | None:
    """The name after the last FORMAT outside all brackets."""
    depth, name = 0, None
    for token, following in zip(found, islice(found, 1, None), strict=False):
        depth += token.depth_change()
        if depth == 0 and token.is_word("FORMAT") and following.is_identifier():
            name = following.value
    return name
