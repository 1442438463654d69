"""What readers of recorded data yield: one event, before it is known when and in which attempt it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from stream.events import Value


class Point(msgspec.Struct):
    """One event of a file. ``time`` is in Unix nanoseconds, ``line`` counts from 1 (0: no lines there).

    ``clock`` tells apart the counters a text log counts steps by: only the same one can go back.
    """

    name: str
    values: dict[str, Value]
    step: int | None = None
    epoch: float | None = None
    time: int | None = None
    rank: int | None = None
    run: str | None = None
    attempt: int | None = None
    role: str | None = None
    node: str | None = None
    body: str | None = None
    severity: int = 0
    line: int = 0
    clock: str = ""


Points: TypeAlias = Iterator[Point]


@dataclass
class BadLines:
    """Lines of one file that were skipped: how many, and the first of them."""

    file: str
    count: int = 0
    first_line: int = 0
    message: str = ""

    def add(self, line: int, message: str) -> None:
        """Count one more."""
        self.count += 1
        if self.count == 1:
            self.first_line, self.message = line, message

    def __str__(self) -> str:
        more = f" and {self.count - 1} more" if self.count > 1 else ""
        return f"{self.file}, line {self.first_line}{more}: {self.message}; skipped"
