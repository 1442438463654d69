"""Identity from the variables of launchers."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from emitter._ranks import Identity, identify
from emitter._settings import resolve

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "GROUP_RANK": "2",
            "TORCHELASTIC_RUN_ID": "job-7", "TORCHELASTIC_RESTART_COUNT": "2"}  # fmt: skip
SLURM = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1", "SLURM_NODEID": "1",
         "SLURM_JOB_ID": "991", "SLURM_RESTART_COUNT": "1"}  # fmt: skip
OPENMPI = {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "0",
           "PMIX_NAMESPACE": "prterun-1"}  # fmt: skip
MPICH = {"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1"}


def who(environ: dict[str, str], **arguments: Any) -> Identity:
    return identify(resolve({"run": "name", **arguments}, {}), environ)


def place(found: Identity) -> tuple[int, int, int, int | None]:
    return found.rank, found.local_rank, found.world_size, found.node_rank


@pytest.mark.parametrize(
    ("environ", "launcher", "expected", "run", "attempt"),
    [
        (TORCHRUN, "torchrun", (5, 1, 8, 2), "job-7", 2),
        (SLURM, "slurm", (3, 1, 4, 1), "slurm-991", 1),
        (OPENMPI, "openmpi", (2, 0, 4, None), "prterun-1", 0),
        ({**SLURM, **TORCHRUN}, "torchrun", (5, 1, 8, 2), "job-7", 3),
        ({**SLURM, **MPICH}, "pmi", (1, 1, 2, 1), "slurm-991", 1),
        ({**SLURM, "SLURM_STEP_NUM_TASKS": "2"}, "slurm", (3, 1, 2, 1), "slurm-991", 1),
    ],
)
def test_launchers(
    environ: dict[str, str], launcher: str, expected: tuple[int, ...], run: str, attempt: int
) -> None:
    """Each launcher's variables give rank, place, run id and attempt; the innermost launcher counts."""
    found = who(environ)

    assert (found.launcher, place(found)) == (launcher, expected)
    assert (found.run, found.run_name, found.attempt) == (run, "name", attempt)


def test_process_of_its_own() -> None:
    """Without a launcher it is rank 0 of 1, and the run id is made of name and time."""
    found = who({})

    assert (found.launcher, place(found), found.attempt) == (None, (0, 0, 1, None), 0)
    assert re.fullmatch(r"name-\d{8}-\d{6}-[0-9a-f]{4}", found.run)


def test_name_used_again_is_a_new_run() -> None:
    """Two starts under one name are two runs and two emitters."""
    first, second = who({}), who({})

    assert first.run != second.run
    assert first.emitter != second.emitter


def test_arguments_win() -> None:
    """Explicit settings beat the launcher."""
    found = who(TORCHRUN, rank=0, world_size=2, local_rank=0, node_rank=0, run_id="mine", attempt_base=10)

    assert (found.run, found.attempt, place(found)) == ("mine", 12, (0, 0, 2, 0))


@pytest.mark.parametrize("environ", [MPICH, {**TORCHRUN, "TORCHELASTIC_RUN_ID": "none"}])
def test_ranks_without_a_run_id_in_common_warn(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Several ranks that cannot know each other's id say what to set."""
    with caplog.at_level(logging.WARNING, "emitter"):
        who(environ)

    assert "ranks have no run id in common" in caplog.text
    assert "set TRAINWARDEN_RUN_ID" in caplog.text


@pytest.mark.parametrize("rank", ["x", "-1", "\N{SUPERSCRIPT TWO}"])
def test_bad_launcher_variable_is_ignored(rank: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is no rank; one line says so."""
    found = who({"RANK": rank, "WORLD_SIZE": "2"})

    assert place(found) == (0, 0, 1, None)
    assert f"RANK: expected an integer >= 0, got {rank!r}; ignoring it" in caplog.text
