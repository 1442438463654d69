"""What the engine saw and what it left out: nothing is dropped without being counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class Counts:
    """Since the engine was made.

    ``duplicates``, ``late`` and ``lost`` go by ``train.seq``: seen before, came after their gap was given
    up, never came. ``old_attempts``: events of an attempt that is over; ``after_end``: of an emitter that
    said it ended; ``without_run``: of sources that name no run; ``*_refused``: over the limit.
    ``late_events``: not judged by cross-rank rules, because their turn among the ranks had passed;
    ``late_turns``: causes and symptoms decided after their turn; ``spilled``: how often something was judged
    before its time because too much waited; ``fenced``: what still waited when its attempt ended.
    """

    events: int = 0
    repeated_batches: int = 0
    duplicates: int = 0
    late: int = 0
    lost: int = 0
    old_attempts: int = 0
    after_end: int = 0
    without_run: int = 0
    series_refused: int = 0
    emitters_refused: int = 0
    runs_expired: int = 0
    late_events: int = 0
    late_turns: int = 0
    spilled: int = 0
    fenced: int = 0

    def load(self, saved: Mapping[str, int]) -> None:
        """Go on counting from there."""
        for name, count in saved.items():
            setattr(self, name, count)
