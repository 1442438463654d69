"""Text as it is written -> lines worth sending, at a bounded rate."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from emitter._records import DEBUG, ERROR, FATAL, INFO, WARNING

LONGEST: Final = 16384
"""Characters of a line; a longer one is sent in pieces."""
DROPPED: Final = "log.dropped"
"""Attribute of the record that stands where lines were left out: how many."""
BURST_S: Final = 10.0
"""A burst may have this many seconds' worth of lines."""
TELL_EVERY_S: Final = 10.0

Emit = Callable[[str, int, Mapping[str, Any]], None]
"""Takes the body, the severity number and the attributes of a ``train.log``."""

_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
"""ECMA-48: control sequences (colours, cursor), and titles of terminals."""
_LEVEL: Final = re.compile(r"\b(DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b")
_SEVERITY: Final = {"DEBUG": DEBUG, "INFO": INFO, "WARN": WARNING, "WARNING": WARNING, "ERROR": ERROR,
                    "CRITICAL": FATAL, "FATAL": FATAL}  # fmt: skip
_LEVEL_WITHIN: Final = 96


def severity(line: str, default: int = INFO) -> int:
    """By the first word for a level near the line's beginning, in capitals as loggers write it."""
    found = _LEVEL.search(line, 0, _LEVEL_WITHIN)
    return default if found is None else _SEVERITY[found.group()]


def plain(line: str) -> str:
    """As a terminal shows it at last: no colours, and only what stands after the last carriage return."""
    line = line.rstrip("\r")
    if "\x1b" in line:
        line = _ESCAPES.sub("", line)
    return line.rpartition("\r")[2].rstrip()


class Assembler:
    """Pieces of text in, whole lines out. What a carriage return overwrote is forgotten at once."""

    def __init__(self) -> None:
        self._partial = ""

    def feed(self, text: str) -> list[str]:
        """The lines that this piece completes, blank ones left out."""
        *whole, rest = (self._partial + text).split("\n")
        while len(rest) > LONGEST and "\r" not in rest:
            whole.append(rest[:LONGEST])
            rest = rest[LONGEST:]
        self._partial = _last_state(rest)
        return [line for piece in whole if (line := plain(piece))]

    def flush(self) -> list[str]:
        """What waits for its end."""
        line, self._partial = plain(self._partial), ""
        return [line] if line else []

    @property
    def waits(self) -> bool:
        """Whether there is the beginning of a line."""
        return bool(self._partial)


def _last_state(rest: str) -> str:
    """A progress bar writes for hours without a newline. A return at the very end may be half of one."""
    end = len(rest) - len(rest.rstrip("\r"))
    body = rest[: len(rest) - end]
    return body.rpartition("\r")[2][-LONGEST:] + rest[len(rest) - end :][:1]


class Outlet:
    """Sends lines, at most ``per_s`` in the long run; says once in a while how many were left out."""

    def __init__(
        self, emit: Emit, what: str, per_s: int, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._emit, self._what, self._per_s, self._now_s = emit, what, per_s, now_s
        self._room = per_s * BURST_S
        self._at = self._told_at = now_s()
        self.dropped = 0
        self._untold = 0

    def send(self, line: str, severity_number: int, attributes: Mapping[str, Any]) -> None:
        """Send the line or count it."""
        now = self._now_s()
        self._room = min(self._per_s * BURST_S, self._room + (now - self._at) * self._per_s)
        self._at = now
        if self._room < 1:
            self.drop(1)
        else:
            self._room -= 1
            self._emit(line, severity_number, attributes)

    def drop(self, count: int) -> None:
        """Count lines that are left out."""
        self.dropped += count
        self._untold += count

    def tell(self, *, now: bool = False) -> None:
        """Say how many were left out since it was said last."""
        if not self._untold or not (now or self._now_s() - self._told_at >= TELL_EVERY_S):
            return
        untold, self._untold = self._untold, 0
        self._told_at = self._now_s()
        self._emit(
            f"{untold} lines of {self._what} were left out: more than {self._per_s} a second",
            WARNING,
            {DROPPED: untold, "logger.name": "emitter"},
        )
