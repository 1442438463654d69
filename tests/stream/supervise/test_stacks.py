"""Stacks from outside, and what is said where they cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.supervise import stacks
from stream.supervise.clusters import group, place_of, text
from tests.fixtures import wait_for
from tests.stream.supervise.test_judging import PULSE

SLEEPS = """
import os, subprocess, sys, time
def deep(n):
    if n: deep(n - 1)
    helper = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"])
    print("ready", helper.pid, flush=True)
    time.sleep(600)
deep(3)
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A Python process with a Python child, both asleep."""
    process = subprocess.Popen([sys.executable, "-c", SLEEPS], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    words = process.stdout.readline().split() + process.stdout.readline().split()
    assert {b"ready", b"up"} <= set(words)
    yield process
    os.killpg(process.pid, 9)
    process.wait()
    process.stdout.close()


def test_the_ranks_and_their_helpers(sleeper: subprocess.Popen[bytes]) -> None:
    """The rank under its number, the child without one; the text reads as Python's own."""
    from dataclasses import replace

    def both() -> stacks.Dump | None:
        dump = stacks.take(sleeper.pid, [replace(PULSE, rank=2, pid=sleeper.pid)])
        return dump if len(dump.stacks) == 2 and "deep" in text(dump.stacks[0]) else None

    dump = wait_for(both, 60.0, "both stacks")
    assert dump is not None
    assert [stack.rank for stack in dump.stacks] == [2, None]
    assert dump.troubles == []
    assert place_of(dump.stacks[0]).count("deep") >= 2
    assert text(dump.stacks[0]).rstrip().splitlines()[-1].count("in ") == 1
    assert [one.ranks for one in group(dump.stacks)] == [(2,)]


def test_a_process_that_has_ended_meanwhile() -> None:
    """Neither a stack nor a complaint."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()

    assert stacks.take(done.pid, []) == stacks.Dump()


def test_without_py_spy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is said."""
    monkeypatch.setattr(stacks, "find", lambda: None)

    assert stacks.take(os.getpid(), []).troubles == [stacks.MISSING]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody who may not look")
def test_where_ptrace_is_not_permitted(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A real refusal of the kernel: py-spy of a user who may not look at ours."""
    program = stacks.find()
    assert program is not None
    wrapper = tmp_path / "py-spy"
    wrapper.write_text(
        f"#!{sys.executable}\nimport os, sys\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"os.execv({program!r}, [{program!r}, *sys.argv[1:]])\n"
    )
    wrapper.chmod(0o755)
    dump = stacks.take(sleeper.pid, [], str(wrapper))

    assert dump.stacks == []
    assert len(dump.troubles) == 1
    assert dump.troubles[0].startswith("stacks cannot be taken: ptrace is not permitted here (")
    assert "SYS_PTRACE" in dump.troubles[0]
