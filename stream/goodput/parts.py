"""The parts of wall time, of an attempt or of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

PARTS: Final = {
    "productive": "steps that brought the run further",
    "recomputed": "steps that had been made before",
    "data_wait": "waiting for data, within steps",
    "checkpoint": "standing still to save or load",
    "setup": "up to the first step",
    "restart": "from an attempt's end to the next one",
    "hang": "no progress, or gone without a word",
    "paused": "held by a command",
    "idle": "the rest: between steps, after the last",
}
"""Each part and what it is, in the order in which it is shown; together they are the wall time."""


@dataclass(frozen=True)
class Spent:
    """Seconds of wall time by part; ``goodput`` is the productive share. ``gpus``: None where unknown."""

    wall: float
    productive: float
    recomputed: float
    data_wait: float
    checkpoint: float
    setup: float
    restart: float
    hang: float
    paused: float
    idle: float
    goodput: float
    steps: int
    recomputed_steps: int
    gpus: int | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Spent:
        """A row of one of the views."""
        return cls(**{one.name: row[one.name] for one in fields(cls)})

    @classmethod
    def sum(cls, attempts: Sequence[Spent]) -> Spent:
        """All of them together, as ``train_goodput_runs`` has it; GPUs are those of the last."""
        names = [one.name for one in fields(cls) if one.name not in ("goodput", "gpus")]
        total: dict[str, Any] = {name: sum(getattr(one, name) for one in attempts) for name in names}
        share = total["productive"] / total["wall"] if total["wall"] else 0.0
        return cls(**total, goodput=share, gpus=attempts[-1].gpus)

    @property
    def parts(self) -> dict[str, float]:
        """Seconds by part."""
        return {part: getattr(self, part) for part in PARTS}


@dataclass(frozen=True)
class Goodput:
    """A run's, in all and by attempt."""

    whole: Spent
    attempts: Mapping[int, Spent]
