"""What a supervisor sees of a rank: the pulse file, its last word, and the checkpoints that are whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import emitter
from emitter import _pulse
from emitter.vocabulary import supervision
from emitter.vocabulary.supervision import Pulse, decode_pulse
from tests.fixtures import wait_for

CHILD = """
import json, os, pathlib, sys, time, emitter
emitter.init(run="t", run_id="t", rank=3, world_size=4, endpoint=sys.argv[1], allow=["stop"], resources=False)
emitter.step(7, loss=1.0)
pulse = pathlib.Path(os.environ["TRAINWARDEN_PULSE"], "3.json")
while pulse.parent.is_dir() and not (pulse.exists() and json.loads(pulse.read_text())["step"] == 7):
    time.sleep(0.01)
{then}
"""


def _run(tmp_path: Path, then: str, **env: str) -> Pulse:
    pulses = tmp_path / "pulses"
    pulses.mkdir(exist_ok=True)
    environ = {**os.environ, supervision.ENV_PULSE: str(pulses), "TRAINWARDEN_STORE": "off", **env}
    subprocess.run(
        [sys.executable, "-c", CHILD.format(then=then), f"file:{tmp_path / 'told'}"],
        env=environ, timeout=120, check=False, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return decode_pulse((pulses / "3.json").read_text())


def test_a_rank_that_lives_is_seen(tmp_path: Path) -> None:
    """Step, phase, count, attempt, allow list; a process that is killed leaves no last word."""
    pulse = _run(tmp_path, "os.kill(os.getpid(), 9)", TRAINWARDEN_ATTEMPT_BASE="2")

    assert (pulse.rank, pulse.world_size, pulse.attempt, pulse.allow) == (3, 4, 2, ["stop"])
    assert (pulse.step, pulse.steps, pulse.phase) == (7, 1, "train")
    assert pulse.monotonic_ns >= pulse.progress_ns > 0
    assert (pulse.ended, pulse.asked) == (None, None)


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("", {"lifecycle.state": "finished", "exit.code": 0}),
        ("sys.exit(3)", {"lifecycle.state": "failed", "exit.code": 3}),
        (
            "raise ValueError('bad')",
            {"lifecycle.state": "failed", "exit.code": 1, "exception.type": "ValueError"},
        ),
        ("import signal; os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
         {"lifecycle.state": "killed", "exit.signal": 15}),
        ("pid = os.fork()\nif pid == 0: sys.exit(5)\nos.waitpid(pid, 0)\nos.kill(os.getpid(), 9)", None),
    ],
)  # fmt: skip
def test_the_last_word(tmp_path: Path, then: str, expected: dict[str, Any] | None) -> None:
    """As the lifecycle record says it; that of a forked child is not the rank's."""
    ended = _run(tmp_path, then).ended

    assert (ended is None) == (expected is None)
    assert ended is None or ended.items() >= (expected or {}).items()


def test_a_phase_is_seen_when_it_begins_and_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only with the next second: who hangs right after a save hangs in training."""
    monkeypatch.setenv(supervision.ENV_PULSE, str(tmp_path))
    monkeypatch.setattr(_pulse, "EVERY_S", 3600.0)
    file = tmp_path / "0.json"

    def seen() -> str:
        return decode_pulse(file.read_text()).phase if file.exists() else ""

    emitter.init(run="t", run_id="t", rank=0, endpoint=f"file:{tmp_path / 'told'}", resources=False)
    try:
        wait_for(seen, 60, "the first pulse")
        emitter.step(1, loss=1.0)
        for _ in range(3):
            with emitter.phase("checkpoint"):
                wait_for(lambda: seen() == "checkpoint", 60, "the save")
            wait_for(lambda: seen() == "train", 60, "training")
    finally:
        emitter.shutdown()


def test_checkpoints_that_are_whole(tmp_path: Path) -> None:
    """Kind and verification of each, with an absolute path; one that failed is not there."""
    then = """
os.chdir(os.path.dirname(os.environ["TRAINWARDEN_PULSE"]))
with emitter.checkpoint(1, "a.pt") as ckpt: ckpt.verified()
with emitter.checkpoint(2, "s3://b/2", kind="forensic"): pass
try:
    with emitter.checkpoint(3, "c.pt"): raise OSError("full")
except OSError: pass
"""
    _run(tmp_path, then)
    rows = [json.loads(line) for line in (tmp_path / "pulses" / "checkpoints.jsonl").read_text().splitlines()]

    seen = [(row["step"], row["path"], row["kind"], row["verified"], row["rank"]) for row in rows]
    assert seen == [
        (1, str(tmp_path / "a.pt"), "regular", True, 3), (2, "s3://b/2", "forensic", False, 3),
    ]  # fmt: skip


def test_without_a_supervisor_there_is_nothing(tmp_path: Path) -> None:
    """A folder that is not there, as on another machine, is no trouble."""
    assert _run_without(tmp_path / "gone") == []


def _run_without(place: Path) -> list[Path]:
    environ = {**os.environ, supervision.ENV_PULSE: str(place), "TRAINWARDEN_STORE": "off"}
    code = CHILD.format(then="with emitter.checkpoint(1, 'a.pt') as ckpt: ckpt.verified()")
    done = subprocess.run(
        [sys.executable, "-c", code, f"file:{place.parent / 'told'}"], env=environ, timeout=120, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""
    return list(place.parent.glob("gone*"))


def test_what_a_restarted_trainer_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Path and scale; None without a supervisor, and for a scale that is no number."""
    assert (emitter.resume_path(), emitter.lr_scale()) == (None, None)
    monkeypatch.setenv(supervision.ENV_RESUME, "/here/5.pt")
    monkeypatch.setenv(supervision.ENV_LR_SCALE, "0.3")
    assert (emitter.resume_path(), emitter.lr_scale()) == ("/here/5.pt", 0.3)
    monkeypatch.setenv(supervision.ENV_LR_SCALE, "low")
    assert emitter.lr_scale() is None
