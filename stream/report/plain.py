"""Text that others wrote (names, log lines, summaries) as text and nothing else, wherever it is shown."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LINE: Final = 600
"""Characters of one line of others' text that a report shows."""

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_MARKDOWN = re.compile(
    r"[\\`*{}\[\]|~$@^#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=/|(?:[A-Za-z+-][A-Za-z0-9_+-]*|100|1234):)|(?<=www)\.",
    re.IGNORECASE,
)
"""What means something inside a line; reports never begin a line with others' text."""
_FENCE = re.compile(r"`{3,}")
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
_ISOLATE, _END = "\u2068", "\u2069"


def clean(value: object, limit: int = LINE, size: int = 0) -> str:
    """The text with control characters, escapes and marks of direction spelled out, at most so long.

    Line ends and tabs stay. What was cut off is said; ``size``: how long it was, where it was cut before.
    """
    text = value if isinstance(value, str) else str(value)
    whole = max(len(text), size)
    shown = _CONTROL.sub(_spelled, text[:limit])
    return shown if whole <= limit else f"{shown}… ({whole:,} characters, {limit:,} shown)"


def line(value: object, limit: int = LINE) -> str:
    """As ``clean``, in one line."""
    return " ".join(clean(value, limit).split())


def isolated(text: str) -> str:
    """With marks around it where it would turn its surroundings about: for terminals and Markdown."""
    turned = any(unicodedata.bidirectional(one) in _RIGHT_TO_LEFT for one in text)
    return f"{_ISOLATE}{text}{_END}" if turned else text


def markdown(value: object, limit: int = LINE) -> str:
    """Inside a line of Markdown it shows this text: no link, no markup, no cell of a table ends in it."""
    return escaped(line(value, limit))


def escaped(text: str) -> str:
    """The same of a clean line, or of a part of one."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;")
    return isolated(_MARKDOWN.sub(r"\\\g<0>", safe))


def fenced(value: object, limit: int, language: str = "") -> str:
    """A block of code that this text cannot end."""
    text = clean(value, limit)
    fence = "`" * max(3, *(len(found) + 1 for found in _FENCE.findall(text)), 0)
    return f"{fence}{language}\n{text}\n{fence}"


def terminal(value: object, limit: int = LINE) -> str:
    """One line for a terminal."""
    return isolated(line(value, limit))


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
