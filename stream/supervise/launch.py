"""Who the run is, and what its trainer finds in the environment."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from emitter._ranks import Identity, identify
from emitter._settings import Settings
from emitter.vocabulary import supervision

ENV_RUN_ID: Final = "TRAINWARDEN_RUN_ID"
COMMAND_SHOWN: Final = 1000
_PER_RUN: Final = frozenset({"srun", "mpirun", "mpiexec", "prun"})
"""Launchers that start the ranks of all nodes: whoever starts them again starts all."""


@dataclass(frozen=True)
class Plan:
    """Of one launch: number of the attempt, what to go on from, what to scale the learning rate with."""

    base: int
    resume: str | None = None
    lr_scale: float | None = None


def identity(settings: Settings, command: Sequence[str], environ: Mapping[str, str]) -> Identity:
    """Ours: a run id is made here once, for all ranks and attempts, where nobody has given one."""
    named = replace(settings, run=settings.run or name_of(command), world_size=1)
    run_id = settings.run_id or _option(command, "--rdzv-id", "--rdzv_id")
    return identify(replace(named, run_id=run_id), environ)


def environment(
    environ: Mapping[str, str], plan: Plan, run: str, pulses: Path, *, share_id: bool
) -> dict[str, str]:
    """The trainer's: ours, and what DESIGN says of the supervisor's variables."""
    found = {
        **environ,
        supervision.ENV_SUPERVISOR: "1",
        supervision.ENV_SUPERVISOR_PID: str(os.getpid()),
        supervision.ENV_ATTEMPT_BASE: str(plan.base),
        supervision.ENV_PULSE: str(pulses),
        **({ENV_RUN_ID: run} if share_id else {}),
    }
    for name, value in (
        (supervision.ENV_RESUME, plan.resume),
        (supervision.ENV_LR_SCALE, plan.lr_scale),
    ):
        found.pop(name, None)
        if value is not None:
            found[name] = str(value)
    return found


def starts_all_nodes(command: Sequence[str]) -> bool:
    """Whether this command is a launcher that reaches over all nodes."""
    return Path(command[0]).name in _PER_RUN


def several_nodes(command: Sequence[str]) -> bool:
    """Whether the command says that it is one node's part of a larger run."""
    nodes = _option(command, "--nnodes", "--num_machines", "--num-machines") or "1"
    # torchrun takes MIN:MAX.
    return any(part.isdecimal() and int(part) > 1 for part in nodes.split(":"))


def name_of(command: Sequence[str]) -> str:
    """The script's or module's name; the command's where neither is found."""
    for before, word in zip(("", *command), command, strict=False):
        if word.endswith(".py"):
            return Path(word).stem
        if before == "-m" and not word.startswith("torch.distributed"):
            return word
    return Path(command[0]).stem or "run"


def shown(command: Sequence[str]) -> str:
    """For records; the end of a long one is left out."""
    return shlex.join(command)[:COMMAND_SHOWN]


def folder_for(state: Path) -> Path:
    """A fresh folder for the pulses of one launch."""
    place = state / f"pulse-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(3).hex()}"
    place.mkdir(parents=True)
    return place


def _option(command: Sequence[str], *names: str) -> str | None:
    for index, word in enumerate(command):
        name, given, value = word.partition("=")
        if name in names:
            return value if given else next(iter(command[index + 1 : index + 2]), None)
    return None
