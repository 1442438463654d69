"""What a recorded run held: how many of each event, with which names, on which ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Final

from emitter.vocabulary import events
from stream.offline.points import Point

STEP: Final = "step"
"""Among the names of an event: it came with step numbers."""


class RunTotals:
    """Counted while a run is read. ``names`` are those of the values of each event."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.counts: dict[str, int] = {}
        self.names: dict[str, set[str]] = {}
        self.ranks: set[int | None] = set()
        self.attempts = 1
        self.first_step: int | None = None
        self.last_step: int | None = None

    def add(self, points: Iterable[Point]) -> None:
        """Count these points."""
        by_name: dict[str, list[Point]] = {}
        for point in points:
            by_name.setdefault(point.name, []).append(point)
        for name, same in by_name.items():
            self.counts[name] = self.counts.get(name, 0) + len(same)
            self.names.setdefault(name, set()).update(*map(_values, same))
            self.ranks.update(map(_rank, same))
            self.attempts = max(self.attempts, max(map(_attempt, same)) + 1)
            self._steps(name, same)

    def _steps(self, name: str, points: list[Point]) -> None:
        steps = [step for step in map(_step, points) if step is not None]
        if steps:
            self.names[name].add(STEP)
        if steps and name == events.STEP:
            self.first_step = steps[0] if self.first_step is None else self.first_step
            self.last_step = steps[-1]

    def said(self, lines: int = 0) -> str:
        """``600 steps (0 to 599), 2 evals``; ``lines`` were read of logs, also by nobody."""
        parts = []
        counts = {**self.counts, events.LOG: max(lines, self.counts.get(events.LOG, 0))}
        for name, word in ((events.STEP, "steps"), (events.EVAL, "evals"), (events.LOG, "lines")):
            if counts.get(name):
                span = f" ({self.first_step} to {self.last_step})"
                stepped = name == events.STEP and self.first_step is not None
                parts.append(f"{counts[name]:,} {word}{span if stepped else ''}")
        others = sum(self.counts.values()) - sum(
            self.counts.get(name, 0) for name in (events.STEP, events.EVAL, events.LOG)
        )
        parts += [f"{others:,} other events"] * bool(others)
        parts += [f"{len(self.ranks)} ranks"] * (len(self.ranks) > 1)
        parts += [f"{self.attempts} attempts"] * (self.attempts > 1)
        return ", ".join(parts) or "no data"


_values: Final[Callable[[Point], dict[str, Any]]] = attrgetter("values")
_rank: Final[Callable[[Point], int | None]] = attrgetter("rank")
_step: Final[Callable[[Point], int | None]] = attrgetter("step")


def _attempt(point: Point) -> int:
    return point.attempt or 0
