"""Just enough of ClickHouse's lexer to find the parts of a statement without reading its data.

tokens(text): the statement's words, names, strings and signs, lazily; comments and spaces are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from stream.clickhouse.errors import ClickHouseError

# ClickHouse nests block comments, takes typographic quotes, and allows $ inside bare words.
_SPACE = re.compile(r"(?:\s|--[^\n]*|#[ !][^\n]*)+")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_TOKEN = re.compile(
    r"""(?P<heredoc>\$(?P<tag>[A-Za-z0-9_]*)\$.*?\$(?P=tag)\$)
      | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
      | (?P<string>'(?:[^'\\]|\\.|'')*')
      | (?P<name>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
      | \u2018(?P<curly_string>[^\u2019]*)\u2019
      | \u201c(?P<curly_name>[^\u201d]*)\u201d
      | (?P<number>[0-9][A-Za-z0-9_.]*)
      | (?P<sign>.)""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_QUOTES: Final = "'`\"\u2018\u201c"
_ESCAPED: Final = {"b": "\b", "f": "\f", "r": "\r", "n": "\n", "t": "\t", "0": "\0", "a": "\a", "v": "\v"}


class Token(NamedTuple):
    """One token: its kind (word, name, string, number, sign), its value unquoted, and where it lies."""

    kind: str
    value: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Whether this is one of the (upper case) keywords, unquoted."""
        return self.kind == "word" and self.value.upper() in words

    def depth_change(self) -> int:
        """1 where this opens a bracket, -1 where it closes one, else 0."""
        return {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(self.value, 0) * (self.kind == "sign")

    def is_identifier(self) -> bool:
        """Whether this may name something: a bare word or a quoted name."""
        return self.kind in ("word", "name")


def tokens(text: str, position: int = 0) -> Iterator[Token]:
    """Tokens from `position` on; ClickHouseError 62 where a quote or a comment never ends."""
    while True:
        position = _after_blanks(text, position)
        found = _TOKEN.match(text, position)
        if found is None:
            return
        kind = found.lastgroup or "sign"
        if kind == "sign" and found.group() in _QUOTES:
            raise _endless("quote", position)
        yield Token(*_value(kind, found), found.start(), found.end())
        position = found.end()


def _after_blanks(text: str, position: int) -> int:
    while True:
        if space := _SPACE.match(text, position):
            position = space.end()
        if not text.startswith("/*", position):
            return position
        position = _after_comment(text, position)


def _after_comment(text: str, start: int) -> int:
    depth, position = 0, start
    while edge := _COMMENT_EDGE.search(text, position):
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
        if depth == 0:
            return position
    raise _endless("comment", start)


def _endless(what: str, position: int) -> ClickHouseError:
    return ClickHouseError(62, f"Syntax error: the {what} that begins at position {position + 1} never ends")


def _value(kind: str, found: re.Match[str]) -> tuple[str, str]:
    if kind.startswith("curly_"):
        return kind.removeprefix("curly_"), found.group(kind)
    raw = found.group()
    if kind in ("string", "name"):
        quote = raw[0]
        return kind, _ESCAPE.sub(_unescape, raw[1:-1].replace(quote * 2, quote))
    return ("string" if kind == "heredoc" else kind), raw


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1)
    if code[0] == "x" and len(code) == 3:
        return chr(int(code[1:], 16))
    return _ESCAPED.get(code, code)
