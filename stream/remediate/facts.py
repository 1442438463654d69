"""What the data say of runs, as far as remediation wants to know: who lives, and what was saved."""

from __future__ import annotations

from typing import Final

import msgspec

from emitter.vocabulary import events as vocabulary
from emitter.vocabulary.gpu_metrics import HW_ID, TORCH_DEVICE
from emitter.vocabulary.supervision import SUPERVISOR_ROLE
from stream.events import Batch, Event, Resource
from stream.remediate.checkpoints import Checkpoint, checkpoint_of

MODE_ATTRIBUTE: Final = "trainwarden.mode"
"""Resource attribute: the mode that this run asks for."""


class Fact(msgspec.Struct, frozen=True):
    """A ``train.lifecycle`` event of a rank, a finished checkpoint, or a GPU that the rank computes on.

    Times are Unix nanoseconds.
    """

    attempt: int
    time: int
    rank: int | None = None
    run_name: str | None = None
    world_size: int | None = None
    node: str | None = None
    mode: str | None = None
    state: str | None = None
    checkpoint: Checkpoint | None = None
    gpu: str | None = None


def facts_of(batch: Batch) -> list[Fact]:
    """All facts in a batch, in its order."""
    found = (_fact(event, batch.resources[event.resource]) for event in batch.events)
    return [fact for fact in found if fact is not None]


def _fact(event: Event, sender: Resource) -> Fact | None:
    if sender.role == SUPERVISOR_ROLE:  # no rank, though it speaks of one
        return None
    checkpoint = checkpoint_of(event)
    state = event.values.get(vocabulary.LIFECYCLE_STATE) if event.name == vocabulary.LIFECYCLE else None
    device = event.values.get(TORCH_DEVICE)
    if checkpoint is None and not isinstance(state, str) and device is None:
        return None
    return Fact(
        attempt=sender.attempt,
        time=event.time,
        rank=sender.rank,
        run_name=sender.run_name,
        world_size=sender.world_size,
        node=sender.node,
        mode=sender.attributes.get(MODE_ATTRIBUTE),
        state=state if isinstance(state, str) else None,
        checkpoint=checkpoint,
        # A device's name is only torch's own: two processes may call two cards cuda:0.
        gpu=None if device is None else str(event.values.get(HW_ID, f"{sender.node}/{sender.rank}/{device}")),
    )
