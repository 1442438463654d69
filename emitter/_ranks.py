"""Who we are: rank, run id and attempt, from the variables of torchrun, Open MPI, PMI (MPICH) and Slurm."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emitter import _shared_run
from emitter._guard import logger
from emitter._settings import Settings


@dataclass(frozen=True)
class Identity:
    """One emitter's place in its run."""

    run: str
    run_name: str
    attempt: int
    rank: int
    local_rank: int
    world_size: int
    node_rank: int | None
    emitter: str
    launcher: str | None = None


@dataclass(frozen=True)
class Launcher:
    """Which variables one launcher sets; the first that is set counts."""

    name: str
    rank: tuple[str, ...]
    world_size: tuple[str, ...]
    local_rank: tuple[str, ...] = ()
    node_rank: tuple[str, ...] = ()
    job: tuple[str, ...] = ()
    restarts: tuple[str, ...] = ()


SLURM: Final = Launcher(
    "slurm", ("SLURM_PROCID",), ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"), ("SLURM_LOCALID",),
    ("SLURM_NODEID",), ("SLURM_JOB_ID",), ("SLURM_RESTART_COUNT",),
)  # fmt: skip

LAUNCHERS: Final = (
    Launcher(
        "torchrun", ("RANK",), ("WORLD_SIZE",), ("LOCAL_RANK",), ("GROUP_RANK",),
        ("TORCHELASTIC_RUN_ID",), ("TORCHELASTIC_RESTART_COUNT",),
    ),
    Launcher(
        "openmpi", ("OMPI_COMM_WORLD_RANK",), ("OMPI_COMM_WORLD_SIZE",), ("OMPI_COMM_WORLD_LOCAL_RANK",),
        job=("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"),
    ),
    # Before Slurm: mpirun inside a batch script leaves SLURM_PROCID of the script itself.
    Launcher("pmi", ("PMI_RANK",), ("PMI_SIZE",), ("MPI_LOCALRANKID",), job=("PMI_JOBID",)),
    SLURM,
)  # fmt: skip

_NO_JOB: Final = frozenset({"", "none"})
"""torchrun without --rdzv-id says ``none``, which is not an id."""


def identify(settings: Settings, environ: Mapping[str, str] | None = None) -> Identity:
    """The identity of this process. Warns where several ranks have no run id in common."""
    environ = os.environ if environ is None else environ
    launcher = next((known for known in LAUNCHERS if _found(known, environ)), None)
    world_size = _first(settings.world_size, _of(launcher, "world_size", environ), 1)
    name = settings.run or _script()
    return Identity(
        run=settings.run_id or _job_id(launcher, environ) or _common(name, world_size, settings, environ),
        run_name=name,
        attempt=settings.attempt_base + _restarts(launcher, environ),
        rank=_first(settings.rank, _of(launcher, "rank", environ), 0),
        local_rank=_first(settings.local_rank, _place(launcher, "local_rank", environ), 0),
        world_size=world_size,
        node_rank=settings.node_rank
        if settings.node_rank is not None
        else _place(launcher, "node_rank", environ),
        emitter=os.urandom(16).hex(),
        launcher=launcher.name if launcher else None,
    )


def _found(launcher: Launcher, environ: Mapping[str, str]) -> bool:
    return _number(launcher.rank, environ) is not None and _number(launcher.world_size, environ) is not None


def _number(names: tuple[str, ...], environ: Mapping[str, str]) -> int | None:
    for name in names:
        value = environ.get(name, "").strip()
        if value.isdecimal():
            return int(value)
        if value:
            logger.warning("%s: expected an integer >= 0, got %r; ignoring it", name, value)
    return None


def _of(launcher: Launcher | None, field: str, environ: Mapping[str, str]) -> int | None:
    return None if launcher is None else _number(getattr(launcher, field), environ)


def _place(launcher: Launcher | None, field: str, environ: Mapping[str, str]) -> int | None:
    """The launcher's own value, else Slurm's, which started the launcher."""
    own = _of(launcher, field, environ)
    return own if own is not None or launcher is None else _of(SLURM, field, environ)


def _restarts(launcher: Launcher | None, environ: Mapping[str, str]) -> int:
    """A launcher inside a requeued Slurm job counts its own restarts from 0 again: add both."""
    if launcher is None:
        return 0
    own = _number(launcher.restarts, environ) or 0
    return own + ((_number(SLURM.restarts, environ) or 0) if launcher is not SLURM else 0)


def _job_id(launcher: Launcher | None, environ: Mapping[str, str]) -> str | None:
    if launcher is None:
        return None
    for name in launcher.job:
        job = environ.get(name, "").strip()
        if job.lower() not in _NO_JOB:
            return f"slurm-{job}" if launcher is SLURM else job
    slurm = environ.get("SLURM_JOB_ID", "").strip()
    return f"slurm-{slurm}" if slurm else None


def _common(name: str, world_size: int, settings: Settings, environ: Mapping[str, str]) -> str:
    """An id that nobody gave, the same on all ranks where they have anything in common."""
    if world_size == 1:
        return _made_up(name)
    store = None if settings.store == "off" else settings.store
    found = _shared_run.of_agent(name, environ) or _shared_run.over_store(store, lambda: _made_up(name))
    if found is None:
        logger.warning(
            "%d ranks have no run id in common, so each reports a run of its own: set TRAINWARDEN_RUN_ID "
            "to the same value on all of them, or call init() after init_process_group()", world_size,
        )  # fmt: skip
    return found or _made_up(name)


def _made_up(name: str) -> str:
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(2).hex()}"


def _script() -> str:
    stem = Path(sys.argv[0]).stem if sys.argv and sys.argv[0] not in ("", "-c", "-m") else ""
    return stem or "run"


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)
