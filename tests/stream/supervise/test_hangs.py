"""Trainers that hang: found from outside, their stacks taken, ended, and started again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.stream.supervise.rig import FAST, HANGS, STEPS, Result, python, supervise

HANG = """
import ctypes
def stuck():
    seen()
    ctypes.PyDLL(None).pause()
"""
"""pause(2) with the GIL held: no thread of this process runs again."""
PATIENT = ("--hang-after", "8", *FAST)
BEAT_S = "1.5"
"""Three of them without a word are noticed before the time without a step is."""

RANKS = (
    "import datetime, torch, torch.distributed as dist\n"  # before anybody looks: it takes its time
    + STEPS
    + HANG
    + """
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=600))
rank = dist.get_rank()
for step in range(start, start + 10):
    dist.all_reduce(torch.ones(1))
    emitter.step(step, loss=1.0)
    if step == 5 and rank == 0:
        save(step)
    if step == 7 and rank == 1 and not resume:
        TROUBLE
emitter.shutdown()
dist.destroy_process_group()
"""
)


def test_a_trainer_that_holds_the_gil_is_found_and_resumed(tmp_path: Path) -> None:
    """Stalled, stacks with the culprit's native frame, ended, resumed from the newest verified checkpoint."""
    code = STEPS + HANG + "go(8)\nif not resume:\n    stuck()\n"
    done = supervise(tmp_path, python(tmp_path, code), PATIENT, TRAINWARDEN_HEARTBEAT_S=BEAT_S)

    assert done.code == 0
    states = done.states()
    assert (
        states.index("launched") < states.index("stalled") < states.index("dumped") < states.index("exited")
    )
    assert states[-3:] == ["restarting", "launched", "exited"]
    assert "C code holds the GIL" in done.lifecycle("supervisor", "stalled")[0].values["supervisor.reason"]
    exited = done.lifecycle("supervisor", "exited")
    assert [one.values["exit.cause"] for one in exited] == ["hung", "finished"]
    assert done.lifecycle("supervisor", "launched")[1].values["supervisor.resume"] == str(tmp_path / "5.txt")
    stack = next(one for one in done.told if one.name == "train.stack" and one.role == "supervisor")
    assert stack.rank == 0
    assert "in pause" in stack.body
    assert "in stuck" in stack.body
    assert "holds the GIL" in stack.body


def test_a_hang_is_only_reported_where_that_is_wanted(tmp_path: Path) -> None:
    """With --on-hang report the trainer is left alone, and may come back."""
    code = STEPS + "import ctypes\ngo(4)\nctypes.PyDLL(None).sleep(9)\nprint('awake')\n"
    done = supervise(tmp_path, python(tmp_path, code), (*HANGS, "--on-hang", "report"))

    assert (done.code, done.out) == (0, b"awake\n")
    assert {"stalled", "dumped"} <= set(done.states())
    assert "restarting" not in done.states()


def test_a_long_phase_is_no_hang(tmp_path: Path) -> None:
    """What says that it evaluates, and what is paused, is left alone."""
    code = STEPS + "go(4)\nwith emitter.phase('eval'):\n    time.sleep(7)\nprint('evaluated')\n"
    done = supervise(tmp_path, python(tmp_path, code), HANGS)

    assert (done.code, done.states()) == (0, ["launched", "exited"])


def _two_ranks(tmp_path: Path, trouble: str) -> Result:
    script = python(tmp_path, RANKS.replace("TROUBLE", trouble))[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return supervise(
        tmp_path, [*launcher, script, str(tmp_path)], PATIENT, timeout=400.0, TRAINWARDEN_HEARTBEAT_S=BEAT_S
    )


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_the_rank_that_hangs_is_named(tmp_path: Path) -> None:
    """torchrun with two ranks: one waits in all_reduce, the other holds the GIL; that one is the odd one."""
    done = _two_ranks(tmp_path, "stuck()")

    assert done.code == 0, done.err
    dumped = done.lifecycle("supervisor", "dumped")[-1].values
    assert dumped["stack.odd"] == "1"
    assert "rank 1: " in dumped["stack.groups"]
    assert "stuck" in dumped["stack.groups"]
    assert "all_reduce" in dumped["stack.groups"]
    stacks = [one for one in done.told if one.name == "train.stack" and one.role == "supervisor"]
    assert {0, 1} <= {one.rank for one in stacks}
    causes = [one.values["exit.cause"] for one in done.lifecycle("supervisor", "exited")]
    assert causes == ["hung", "finished"]
    assert {one.attempt for one in done.lifecycle("trainer")} == {0, 1}


@pytest.mark.nightly
@pytest.mark.timeout(420)
def test_one_rank_of_two_is_killed(tmp_path: Path) -> None:
    """The launcher ends the other one and fails; the rank without a last word is named and gets one."""
    done = _two_ranks(tmp_path, "seen(); os.kill(os.getpid(), 9)")

    assert done.code == 0, done.err
    first, second = done.lifecycle("supervisor", "exited")
    assert (first.values["exit.cause"], second.values["exit.cause"]) == ("killed", "finished")
    assert "rank 1 ended without a word" in first.values["supervisor.reason"]
    assert (1, 0) in {(one.rank, one.attempt) for one in done.lifecycle("trainer", "killed")}
    assert done.lifecycle("supervisor", "launched")[1].values["supervisor.resume"] == str(tmp_path / "5.txt")
