"""What a recorded run held: how many of each event, with which names, on which ranks."""

from __future__ import annotations

from typing import Final

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

    def add(self, point: Point) -> None:
        """Count a point."""
        name, step = point.name, point.step
        count = self.counts.get(name)
        if count is None:
            count = 0
            self.names[name] = set()
        self.counts[name] = count + 1
        self.names[name].update(point.values)
        self.ranks.add(point.rank)
        if point.attempt and point.attempt >= self.attempts:
            self.attempts = point.attempt + 1
        if step is not None:
            if self.last_step is None or count == 0:
                self.names[name].add(STEP)
            if name == events.STEP:
                self.first_step = step if self.first_step is None else self.first_step
                self.last_step = step

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
