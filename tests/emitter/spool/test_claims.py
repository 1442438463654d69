"""Spools of processes that have ended are taken over, each by one process, whatever ended the owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from emitter._records import LOGS, Payload
from emitter.spool import claims
from emitter.spool.backlog import Backlog

TARGET = "http://127.0.0.1:4318"
KEEP = """
import sys, time
from pathlib import Path
from emitter._records import Payload
from emitter.spool.backlog import Backlog
backlog = Backlog(Path(sys.argv[1]), sys.argv[2], sys.argv[3], 1 << 20, lambda reason, count: None)
for number in range(3):
    assert backlog.keep(Payload("logs", f"{sys.argv[3]}-{number}".encode(), 5))
print("kept", flush=True)
time.sleep(60)
"""
TAKE = """
import sys
from pathlib import Path
from emitter.spool.backlog import Backlog
backlog = Backlog(Path(sys.argv[1]), sys.argv[2], sys.argv[3], 1 << 20, lambda reason, count: None)
print("ready", flush=True)
sys.stdin.readline()
backlog.claim()
print("claimed", flush=True)
sys.stdin.readline()
while (payload := backlog.head()) is not None:
    print(payload.body.decode(), flush=True)
    backlog.done()
"""


def _start(code: str, root: Path, name: str, target: str = TARGET) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(root), target, name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().strip() in ("kept", "ready")
    return process


def _kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def _backlog(root: Path, name: str, target: str = TARGET) -> Backlog:
    return Backlog(root, target, name, 1 << 20, lambda reason, count: None)


def _drained(backlog: Backlog) -> list[str]:
    found = []
    while (payload := backlog.head()) is not None:
        found.append(payload.body.decode())
        backlog.done()
    return found


def test_each_spool_is_taken_by_one_process(tmp_path: Path) -> None:
    """Four killed processes, three that begin at once: everything is sent, nothing twice."""
    owners = [_start(KEEP, tmp_path, f"old{number}") for number in range(4)]
    for owner in owners:
        _kill(owner)
    takers = [_start(TAKE, tmp_path, f"new{number}") for number in range(3)]
    for word in ("claim", "send"):
        for taker in takers:
            assert taker.stdin is not None
            taker.stdin.write(f"{word}\n")
            taker.stdin.flush()
        if word == "claim":
            assert all(taker.stdout and taker.stdout.readline() == "claimed\n" for taker in takers)
    lines = [line for taker in takers for line in taker.communicate()[0].splitlines()]
    assert Counter(lines) == Counter(f"old{number}-{one}" for number in range(4) for one in range(3))


def test_nothing_is_taken_from_a_process_that_lives(tmp_path: Path) -> None:
    """Its lock says that it does; when it is gone, what it kept is there."""
    owner = _start(KEEP, tmp_path, "old")
    backlog = _backlog(tmp_path, "new")
    backlog.claim()
    assert backlog.head() is None
    _kill(owner)
    backlog.claim()
    assert _drained(backlog) == ["old-0", "old-1", "old-2"]
    backlog.close()
    assert not list(claims.place(tmp_path, TARGET).iterdir())


def test_a_taker_that_dies_is_taken_from(tmp_path: Path) -> None:
    """What was delivered before it died is not delivered again."""
    _kill(_start(KEEP, tmp_path, "old"))
    first = _backlog(tmp_path, "first")
    first.claim()
    assert first.head() is not None
    first.done()
    first.forget()
    second = _backlog(tmp_path, "second")
    second.claim()
    assert _drained(second) == ["old-1", "old-2"]


def test_what_is_meant_for_another_endpoint_is_left(tmp_path: Path) -> None:
    """A spool goes to the endpoint it was meant for only."""
    _kill(_start(KEEP, tmp_path, "old", "http://127.0.0.1:9999"))
    backlog = _backlog(tmp_path, "new")
    backlog.claim()
    assert backlog.head() is None


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A worker that outlives its trainer must not hold back what the trainer left."""
    backlog = _backlog(tmp_path, "parent")
    assert backlog.keep(Payload(LOGS, b"x", 1))
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        backlog.forget()
        os.write(ready[1], b".")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    backlog.forget()
    other = _backlog(tmp_path, "other")
    other.claim()
    assert _drained(other) == ["x"]
    os.write(done[1], b".")
    os.waitpid(child, 0)
    for end in (*ready, *done):
        os.close(end)


def test_a_folder_that_cannot_be_written_costs_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning names what failed and the setting that cures it."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    backlog = _backlog(blocked / "spool", "new")
    assert not backlog.keep(Payload(LOGS, b"x", 1))
    assert not backlog.keep(Payload(LOGS, b"x", 1))
    (record,) = caplog.records
    assert "cannot keep undelivered telemetry on disk" in record.getMessage()
    assert "Not a directory" in record.getMessage()
    assert "TRAINWARDEN_SPOOL names another folder" in record.getMessage()
    backlog.close()
