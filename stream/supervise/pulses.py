"""What the ranks of this node say of themselves: the files that emitter/_pulse.py writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from emitter.vocabulary.supervision import TRAINER_ROLE, Pulse, decode_pulse


def read(folder: Path) -> list[Pulse]:
    """The newest of each rank, by rank; files that are not whole are passed over."""
    found = []
    for file in folder.glob("*.json"):
        try:
            found.append(decode_pulse(file.read_text()))
        except (OSError, ValueError):
            continue
    return sorted(found, key=lambda pulse: (pulse.role != TRAINER_ROLE, pulse.role, pulse.rank))


def furthest(pulses: Iterable[Pulse]) -> int | None:
    """The highest step of any rank."""
    return max((pulse.step for pulse in pulses if pulse.step is not None), default=None)


def on_several_nodes(pulses: Iterable[Pulse]) -> bool:
    """Whether the run has ranks that are not on this node, as far as the launcher says how many are."""
    ranks = list(pulses)
    world = max((pulse.world_size for pulse in ranks), default=1)
    local = max((pulse.local_world_size or 0 for pulse in ranks), default=0)
    return 0 < local < world
