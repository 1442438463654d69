"""Nothing of a supervised trainer outlives its supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.fixtures import Child, wait_for
from tests.stream.supervise.rig import FAST, python, start, supervise

FAMILY = """
import os, pathlib, subprocess, sys, time
here = pathlib.Path(sys.argv[1])
code = "import signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); time.sleep(600)"
sleep = [sys.executable, "-c", code]
child = subprocess.Popen(sleep)
detached = subprocess.Popen(sleep, start_new_session=True)
if os.fork() == 0:
    os.setsid()
    grandchild = subprocess.Popen(sleep)
    (here / "grandchild").write_text(str(grandchild.pid))
    os._exit(0)
while not (here / "grandchild").exists() or not (here / "grandchild").read_text():
    time.sleep(0.01)
pids = (os.getpid(), child.pid, detached.pid, (here / "grandchild").read_text())
(here / "pids.part").write_text(" ".join(map(str, pids)))
(here / "pids.part").rename(here / "pids")
"""
"""A trainer with a child, one in a session of its own, and one whose parent is gone."""


def _pids(tmp_path: Path) -> list[int]:
    return [int(word) for word in (tmp_path / "pids").read_text().split()]


def _gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _all_gone(pids: list[int]) -> None:
    wait_for(lambda: all(map(_gone, pids)), 60.0, f"the end of {pids}")


@pytest.fixture
def family(tmp_path: Path) -> Child:
    """A supervised trainer with its processes, running."""
    child = start(tmp_path, python(tmp_path, FAMILY + "time.sleep(600)\n"))
    child.wait_until((tmp_path / "pids").exists, "the family")
    assert not any(map(_gone, _pids(tmp_path)))
    return child


def test_after_the_trainer_ended(tmp_path: Path) -> None:
    """What it left behind is ended, and said."""
    done = supervise(tmp_path, python(tmp_path, FAMILY), FAST)

    assert done.code == 0
    assert "3 processes that the trainer had left behind were ended" in done.err
    assert all(map(_gone, _pids(tmp_path)))


def test_after_sigterm(tmp_path: Path, family: Child) -> None:
    """An ordered end."""
    assert family.stop(60.0) == 143
    _all_gone(_pids(tmp_path))


def test_after_the_supervisor_was_killed(tmp_path: Path, family: Child) -> None:
    """SIGKILL to the supervisor, which can do nothing any more: the keeper does it."""
    family.kill()
    _all_gone(_pids(tmp_path))


def test_after_the_keeper_was_killed(tmp_path: Path, family: Child) -> None:
    """SIGKILL to the process between: the supervisor finds what it held."""
    (keeper,) = (
        one for one in psutil.Process(family.pid).children() if "keeper.py" in " ".join(one.cmdline())
    )
    os.kill(keeper.pid, signal.SIGKILL)
    try:
        wait_for(lambda: all(map(_gone, _pids(tmp_path))), 60.0, "the end of the family")
        os.kill(family.pid, signal.SIGTERM)
        family.process.wait(60)
    except subprocess.TimeoutExpired:
        family.kill()
        raise
