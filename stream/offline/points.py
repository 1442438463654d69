"""What readers of recorded data yield: one event, before it is known when and in which attempt it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from stream.events import Value


class Point(msgspec.Struct):
    """One event of a file. ``line`` counts from 1 (0: no lines there).

    ``time`` is in Unix nanoseconds; of a span whose ``end`` is known, when it began. ``clock`` tells apart
    the counters a text log counts steps by: only the same one can go back. ``file`` and ``order`` (where it
    comes among the points of its run) are known when all its files are.
    """

    name: str
    values: dict[str, Value]
    step: int | None = None
    epoch: float | None = None
    time: int | None = None
    end: int | None = None
    rank: int | None = None
    run: str | None = None
    attempt: int | None = None
    role: str | None = None
    node: str | None = None
    body: str | None = None
    severity: int = 0
    line: int = 0
    clock: str = ""
    status: str | None = None
    metric: str | None = None
    file: str = ""
    order: tuple[int, int] = (0, 0)


Points: TypeAlias = Iterator[Point]


@dataclass
class Notes:
    """What is known of one file besides its points: lines read, and those that were skipped as bad."""

    file: str
    lines: int = 0
    bad: int = 0
    first_bad: int = 0
    message: str = ""

    def skip(self, line: int, message: str) -> None:
        """Count one more line that could not be read."""
        self.bad += 1
        if self.bad == 1:
            self.first_bad, self.message = line, message

    def __str__(self) -> str:
        more = f" and {self.bad - 1} more" if self.bad > 1 else ""
        return f"{self.file}, line {self.first_bad}{more}: {self.message}; skipped"
