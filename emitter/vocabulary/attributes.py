"""Resource attributes that every emitter sends, and the record attributes shared by all events."""

from __future__ import annotations

from typing import Final

SERVICE_NAME: Final = "service.name"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
HOST_NAME: Final = "host.name"
PROCESS_PID: Final = "process.pid"

RUN_ID: Final = "train.run.id"
"""One for all ranks and attempts of a run."""
RUN_NAME: Final = "train.run.name"
"""What people call the run; not unique."""
ATTEMPT: Final = "train.attempt"
"""0 for the first start, one more for each restart (int)."""
RANK: Final = "train.rank"
LOCAL_RANK: Final = "train.local_rank"
WORLD_SIZE: Final = "train.world_size"
NODE_RANK: Final = "train.node.rank"
LAUNCHER: Final = "train.launcher"
"""What started the ranks, where it is known: torchrun, openmpi, pmi, slurm."""
EMITTER_ID: Final = "train.emitter.id"
"""One per emitter process; with SEQ it decides order, duplicates and loss."""
ROLE: Final = "train.role"
"""Free word: trainer, actor, critic, rollout, reference, ..."""
ALIASES: Final = "train.aliases"
"""JSON object of the user's own metric aliases (logged name -> canonical name), when there are any."""

SEQ: Final = "train.seq"
"""Record attribute: counter without gaps per emitter, from 0 (int)."""
STEP: Final = "train.step"
EPOCH: Final = "train.epoch"
PHASE: Final = "train.phase"

RECORD_ATTRIBUTES: Final = frozenset({SEQ, STEP, EPOCH, PHASE})
"""Record attributes that are ours; every other attribute of a step is a value under the user's name."""
