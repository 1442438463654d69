"""Which GPUs this process speaks for: those of the node, or its own (CUDA_VISIBLE_DEVICES, local rank)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

NODE: Final = "node"
OWN: Final = "own"
OFF: Final = "off"
VISIBLE: Final = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Choice:
    """``wanted`` are entries of CUDA_VISIBLE_DEVICES (numbers, UUIDs or their beginnings); None means all.

    ``place`` picks one of them by its position.
    """

    wanted: tuple[str, ...] | None = None
    place: int | None = None

    def pick(self, uuids: list[str]) -> list[str]:
        """The UUIDs that are meant, of those there are; ``uuids`` are in the driver's order."""
        found = uuids if self.wanted is None else _resolved(self.wanted, uuids)
        if self.place is None or len(found) < 2:
            return found
        return found[self.place : self.place + 1]


def choose(mode: str, *, local_rank: int, world_size: int, environ: Mapping[str, str]) -> Choice | None:
    """None where another rank speaks for the GPUs, or nobody does."""
    if mode == OFF or (mode == NODE and local_rank != 0):
        return None
    wanted = visible(environ)
    if mode == OWN:
        return Choice(wanted, local_rank)
    # A launcher that shows each rank one GPU tells the first rank nothing about the rest of the node.
    return Choice(None if wanted is not None and len(wanted) == 1 and world_size > 1 else wanted)


def visible(environ: Mapping[str, str]) -> tuple[str, ...] | None:
    """Entries of CUDA_VISIBLE_DEVICES as CUDA reads them: what follows an invalid one does not count."""
    text = environ.get(VISIBLE)
    if text is None:
        return None
    found: list[str] = []
    for word in (part.strip() for part in text.split(",")):
        if not (word.isdigit() or word.startswith(("GPU-", "MIG-"))):
            break
        found.append(word)
    return tuple(found)


def _resolved(wanted: tuple[str, ...], uuids: list[str]) -> list[str]:
    found: list[str] = []
    whole = [uuid for uuid in uuids if uuid.startswith("GPU-")]
    for word in wanted:
        if word.isdigit():
            matching = whole[int(word) : int(word) + 1]
        else:
            matching = [uuid for uuid in uuids if uuid.startswith(word)][:1]
        found += matching
    return found
