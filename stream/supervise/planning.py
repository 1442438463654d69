"""What the next attempt goes on from: its number, its checkpoint, the scale of its learning rate."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from emitter.vocabulary.supervision import Pulse
from stream.supervise.checkpoints import Book
from stream.supervise.launch import Plan
from stream.supervise.telling import tell


@dataclass(frozen=True)
class Asked:
    """A command that goes on elsewhere: its id and its arguments."""

    id: str | None = None
    args: dict[str, Any] = field(default_factory=dict)


class Planner:
    """``plan`` is that of the next launch."""

    def __init__(self, base: int) -> None:
        self.plan = Plan(base)
        self._book = Book()
        self._scaled: set[str | None] = set()

    def begin(self, folder: Path) -> None:
        """Where the ranks of this attempt write down their checkpoints."""
        self._book.add(folder)

    def remember(self, state: Path) -> None:
        """What an earlier supervisor left: go on from there."""
        for old in sorted(state.glob("pulse-*")):
            self._book.add(old)
        newest = self._book.newest()
        self.plan = replace(self.plan, resume=newest.path if newest else None)

    def next(self, known: Sequence[Pulse], first: int | None, asked: Asked) -> int:
        """Plan the next attempt, as a command's arguments ask for; how much its number is higher.

        A launcher that started its ranks again by itself has used up numbers: ``first`` was its first.
        """
        highest = max((pulse.attempt for pulse in known), default=0)
        more = 1 + (max(0, highest - first) if first is not None else 0)
        self._scale(asked)
        self.plan = Plan(self.plan.base + more, self._resume(asked.args), self.plan.lr_scale)
        return more

    def went_back(self, command: str, args: dict[str, Any]) -> None:
        """The trainer rolled back by itself."""
        self._scale(Asked(command, args))
        self._undo(args, None)

    def _scale(self, asked: Asked) -> None:
        """Once for each command, whoever told of it."""
        wanted, scale = _positive(asked.args.get("lr_scale")), self.plan.lr_scale
        if wanted is None or asked.id in self._scaled:
            return
        self._scaled.add(asked.id)
        self.plan = replace(self.plan, lr_scale=wanted if scale is None else scale * wanted)

    def _undo(self, asked: dict[str, Any], path: str | None) -> None:
        """What was saved before a rollback and stands behind it is no way back any more."""
        wanted = asked.get("checkpoint")
        step = wanted.get("step") if isinstance(wanted, dict) else None
        step = step if type(step) is int else self._book.step_of(path)
        if step is not None:
            self._book.undo(time.time(), step)

    def _resume(self, asked: dict[str, Any]) -> str | None:
        path, wanted = self._book.named(asked), asked.get("checkpoint")
        if isinstance(wanted, dict) and path != wanted.get("path"):
            tell(f"the checkpoint {wanted.get('path')} that was asked for is not there")
        if wanted or asked.get("before_step") is not None:
            self._undo(asked, path)
        return path


def _positive(value: Any) -> float | None:
    number = value if type(value) in (int, float) else math.nan
    return float(number) if 0 < number < math.inf else None
