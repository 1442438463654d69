"""Is it getting on? Judged from the pulses alone. Pure: the time is an argument.

The limits are those of the rules: no step for five minutes and for 2.5 times the slowest recent step is a
stall; phases that may take long have a longer limit; a pause has none. A rank whose file is older than three
heartbeat intervals while its process lives cannot run Python at all: C code holds the GIL, or it is stopped.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from emitter.vocabulary.supervision import Pulse

FLOOR_S: Final = 300.0
TIMES: Final = 2.5
LONG_S: Final = 3600.0
"""Limit of phases other than training, and before the first step."""
INTERVALS: Final = 3
SHORTEST_S: Final = 3.0
"""Files are written once a second."""
REMEMBERED: Final = 64
_TRAINING: Final = frozenset({"train", "data"})
_WITHOUT_LIMIT: Final = frozenset({"paused"})


@dataclass(frozen=True)
class Limits:
    """Seconds. ``silence`` where it is to be shorter than three heartbeat intervals."""

    floor: float = FLOOR_S
    long: float = LONG_S
    silence: float | None = None


@dataclass(frozen=True)
class Finding:
    """A rank that makes no progress. ``silent``: it does not even say so. ``over``: beyond the hang limit."""

    pulse: Pulse
    silent: bool
    over: bool
    age_s: float
    limit_s: float

    def __str__(self) -> str:
        who = f"rank {self.pulse.rank} (pid {self.pulse.pid})"
        if self.silent:
            return f"{who} could not run for {self.age_s:.0f} s: C code holds the GIL, or it is stopped"
        phase, step = self.pulse.phase, self.pulse.step
        return f"{who} stood still for {self.age_s:.0f} s in phase {phase}, since step {step}"


@dataclass
class _Rank:
    seen: tuple[int, int, int] | None = None
    steps_s: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


class Watch:
    """``look`` at the pulses of one attempt, again and again."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ranks: dict[str, _Rank] = {}

    def look(self, pulses: list[Pulse], now_ns: int) -> list[Finding]:
        """The ranks that do not get on, the silent ones first, then the longest."""
        found = [finding for pulse in pulses if (finding := self._judge(pulse, now_ns)) is not None]
        return sorted(found, key=lambda one: (not one.silent, -one.age_s))

    def _judge(self, pulse: Pulse, now_ns: int) -> Finding | None:
        if pulse.ended is not None:
            return None
        slowest_s = self._learn(pulse)
        silence_s = (now_ns - pulse.monotonic_ns) * 1e-9
        age_s = (now_ns - pulse.progress_ns) * 1e-9
        limit_s = self._limit_s(pulse, slowest_s)
        silent = silence_s > self._silence_s(pulse)
        over = limit_s is not None and age_s > limit_s
        if not (silent or over):
            return None
        return Finding(pulse, silent, over, silence_s if silent else age_s, limit_s or 0.0)

    def _limit_s(self, pulse: Pulse, slowest_s: float) -> float | None:
        if pulse.phase in _WITHOUT_LIMIT:
            return None
        if pulse.phase in _TRAINING and pulse.steps:
            return max(self._limits.floor, TIMES * slowest_s)
        return self._limits.long

    def _silence_s(self, pulse: Pulse) -> float:
        usual_s, wanted_s = INTERVALS * pulse.heartbeat_s, self._limits.silence
        return usual_s if wanted_s is None else min(usual_s, max(wanted_s, SHORTEST_S))

    def _learn(self, pulse: Pulse) -> float:
        """Time of the slowest recent step, as seen once a second: a mean where steps are faster."""
        rank = self._ranks.setdefault(pulse.file(), _Rank())
        before, rank.seen = rank.seen, (pulse.pid, pulse.steps, pulse.progress_ns)
        if before is None or before[0] != pulse.pid:
            rank.steps_s.clear()
        elif pulse.steps > before[1] and pulse.progress_ns > before[2]:
            rank.steps_s.append((pulse.progress_ns - before[2]) * 1e-9 / (pulse.steps - before[1]))
        return max(rank.steps_s, default=0.0)
