"""Checkpoints of a run that one can go back to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from emitter.vocabulary import events as vocabulary
from stream.events import Event

KEPT: Final = 64
_TRUE: Final = (True, 1, "true", "True")


@dataclass(frozen=True)
class Checkpoint:
    """A finished, verified, regular save. ``saved_ns`` is when the save ended."""

    step: int
    path: str | None
    saved_ns: int

    def to_json(self) -> dict[str, Any]:
        """As it travels in the arguments of a rollback."""
        return {"step": self.step, "path": self.path}


def checkpoint_of(event: Event) -> Checkpoint | None:
    """The checkpoint in a ``checkpoint.save`` span; None unless it is one to go back to."""
    values = event.values
    if event.name != vocabulary.CHECKPOINT_SAVE or event.status == "error":
        return None
    if values.get(vocabulary.CHECKPOINT_VERIFIED) not in _TRUE:
        return None
    if values.get(vocabulary.CHECKPOINT_KIND, "regular") != "regular":
        return None
    step = event.step if event.step is not None else values.get(vocabulary.CHECKPOINT_STEP)
    if not isinstance(step, (int, float)) or step != step:
        return None
    path = values.get(vocabulary.CHECKPOINT_PATH)
    return Checkpoint(int(step), str(path) if path is not None else None, event.end or event.time)


class Checkpoints:
    """The newest of one run, in the order in which they were saved."""

    def __init__(self) -> None:
        self._saved: deque[Checkpoint] = deque(maxlen=KEPT)

    def add(self, checkpoint: Checkpoint) -> None:
        """Remember one; the oldest is forgotten."""
        self._saved.append(checkpoint)

    def newest_before(self, step: int | None, time_ns: int) -> Checkpoint | None:
        """The newest that was finished by then and stands before the first bad step."""
        good = [c for c in self._saved if c.saved_ns <= time_ns and (step is None or c.step < step)]
        return max(good, key=lambda c: (c.saved_ns, c.step), default=None)

    def newest(self) -> Checkpoint | None:
        """The one saved last."""
        return max(self._saved, key=lambda c: (c.saved_ns, c.step), default=None)

    def forget_after(self, step: int | None, time_ns: int) -> None:
        """Drop what belongs to the stretch that a rollback undoes."""
        good = [c for c in self._saved if c.saved_ns <= time_ns and (step is None or c.step < step)]
        self._saved = deque(good, maxlen=KEPT)
