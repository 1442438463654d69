"""Blocks of a log that no log rule can match are not looked at line by line.

One pass of RE2 over many lines at once says whether any pattern of any rule occurs in them, at hundreds of
megabytes a second; what it lets through goes to the rules line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

import re2

from emitter.vocabulary import events
from stream.rulelang.logs import options
from stream.rulelang.model import Rule

_MEMORY: Final = 256 << 20
# Inside a block the beginning and the end of the text are not those of the line.
_WHOLE_TEXT = re.compile(r"\\[AzZ]")
_PREFIX: Final = rb"(?m)^(?:\[[A-Za-z_]+[0-9]{1,6}\]:[ \t]?|[0-9]{1,6}: )"
"""What launchers put before each line, for all lines of a block at once."""
_ANSI = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\n]*\x07")


class Sieve:
    """All patterns of the log rules. Without rules (or where one reads every line) it lets all through."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        patterns: list[str] = []
        self._all = False
        for rule in rules:
            patterns.extend(rule.log.match if rule.log is not None else ())
            self._all |= _reads_lines(rule)
        self._all |= any(_WHOLE_TEXT.search(pattern) for pattern in patterns)
        self._none = not patterns and not self._all
        self._patterns = patterns

    @cached_property
    def _set(self) -> Any:
        """Made when the first log is read: it takes a while, and most recorded data is no log."""
        return None if self._all else _set_of(self._patterns)

    @cached_property
    def _prefix(self) -> Any:
        setting = options()
        setting.encoding = re2.Options.Encoding.LATIN1
        return re2.compile(_PREFIX, setting)

    def lets_through(self, block: bytes) -> bool:
        """Whether some line of the block may match a rule."""
        if self._none:
            return False
        if self._set is None:
            return True
        cleaned = self._cleaned(block)
        # What looks like a prefix may also be part of the line.
        return any(self._set.Match(text) for text in dict.fromkeys((cleaned, _valid(block))))

    def _cleaned(self, block: bytes) -> bytes:
        """The block as its lines will look: no colours, no launcher's prefixes, valid UTF-8."""
        if b"\x1b" in block:
            block = _ANSI.sub(b"", block)
        # To say that there is none, RE2 is the faster of the two.
        if self._prefix.search(block):
            block = re.sub(_PREFIX, b"", block)
        return _valid(block)


def _valid(block: bytes) -> bytes:
    """Valid UTF-8, as lines are decoded."""
    try:
        block.decode()
    except UnicodeDecodeError:
        return block.decode("utf-8", "replace").encode()
    return block


def _reads_lines(rule: Rule) -> bool:
    """Whether lines matter to this rule that match no pattern of its own."""
    windows = rule.program.windows if rule.program is not None else ()
    fed = any(window.event == events.LOG for window in windows)
    absent = rule.absent is not None and events.LOG in (rule.absent.of, rule.absent.after)
    return (rule.on == events.LOG and rule.log is None) or fed or absent


def _set_of(patterns: list[str]) -> Any:
    if not patterns:
        return None
    found = re2.Set.SearchSet(options(_MEMORY))
    for pattern in patterns:
        found.Add(f"(?m:{pattern})")
    found.Compile()
    return found
