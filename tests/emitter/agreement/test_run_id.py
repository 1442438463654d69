"""Ranks of a job that was given no run id have one in common."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.emitter.agreement.forked import Forks
from tests.fixtures import Child, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def ids(folder: Path) -> list[list[str]]:
    return [path.read_text().split() for path in sorted(folder.glob("ids*"))]


def test_plain_torchrun_is_one_run(tmp_path: Path) -> None:
    """Before there is a process group, and again after a restart: torchrun's own folder says which."""
    script = str(Path(__file__).with_name("identity.py"))
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1"]
    argv = [sys.executable, *torchrun, "--master-port", str(free_port()), script, str(tmp_path), "early"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    child = Child(argv, tmp_path / "torchrun.log", env)

    assert child.process.wait(300) == 0, child.log()
    found = ids(tmp_path)
    assert [len(of_rank) for of_rank in found] == [2, 2], child.log()
    assert len({run for of_rank in found for run in of_rank}) == 1, found
    assert found[0][0].startswith("plain-")
    assert "run id in common" not in child.log()


def test_process_group_without_launcher_is_one_run(forks: Forks, tmp_path: Path) -> None:
    """RANK and WORLD_SIZE set by hand: the store of the process group holds the id."""
    port = str(free_port())
    children = []
    for rank in range(2):
        env = {**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        env["MASTER_PORT"] = port
        children.append(forks.start(["identity", str(tmp_path)], tmp_path / f"rank{rank}.log", env))

    logs = [child.log() for child in children if child.process.wait(300) != 0]
    assert not logs, logs
    found = ids(tmp_path)
    assert len(found) == 2
    assert found[0] == found[1]
