"""Log rules: the regular expressions of ``match`` and ``unless``."""

from __future__ import annotations

from typing import Any, Final

import re2

from stream.rulelang.errors import guess
from stream.rulelang.fields import EVENTS, RESERVED
from stream.rulelang.model import LogMatch
from stream.rulelang.reader import Reader
from stream.rulelang.tree import Scalar

MAX_PATTERN: Final = 2000
MAX_PROGRAM: Final = 4000
"""States of one compiled pattern: all of them run over every line together."""


def options(memory: int = 8 << 20) -> Any:
    """RE2 options: linear time, quiet, bounded memory (bytes)."""
    found = re2.Options()
    found.log_errors = False
    found.max_mem = memory
    return found


def read_match(reader: Reader) -> LogMatch | None:
    """The patterns, or None for a log rule without ``match``; mistakes are in the reader's problems."""
    matches, unless = reader.texts("match"), reader.texts("unless")
    groups: dict[str, None] = {}
    for pattern in (*matches, *unless):
        for name in _groups(reader, pattern):
            groups[name] = None
            if name in RESERVED or name in EVENTS["train.log"]:
                reader.fail(pattern, f'the name of the group "{name}" is taken by the language')
    if unless and not matches:
        reader.fail(reader.node.keys["unless"], f"`unless` needs `match` beside it{guess('unless', ())}")
    if not matches:
        return None
    return LogMatch(tuple(item.text for item in matches), tuple(item.text for item in unless), tuple(groups))


def _groups(reader: Reader, pattern: Scalar) -> list[str]:
    if len(pattern.text) > MAX_PATTERN:
        reader.fail(
            pattern, f"expected a pattern of at most {MAX_PATTERN} characters, got {len(pattern.text)}"
        )
        return []
    try:
        compiled = re2.compile(pattern.text, options())
    except re2.error as error:
        text = error.args[0]
        shown = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        reader.fail(pattern, f"not a regular expression that RE2 knows: {shown}")
        return []
    if compiled.programsize > MAX_PROGRAM:
        reader.fail(
            pattern,
            f"expected a pattern of at most {MAX_PROGRAM:,} states, got {compiled.programsize:,}; "
            "counted repetitions such as .{0,200} cost the most",
        )
        return []
    return list(compiled.groupindex)
