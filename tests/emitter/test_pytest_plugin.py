"""The public fixtures, in a pytest of their own as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TRAINER = """
import emitter

def train(steps=3, out=None):
    emitter.init(run="gpt")
    saved = []
    emitter.on("save")(lambda command: saved.append(command.id))
    for step in range(steps):
        with emitter.phase("data"):
            pass
        emitter.step(step, loss=1.0 / (step + 1))
        if out is not None:
            out()
    return saved
"""

TESTS = """
import logging
import emitter
from trainer import train

def test_losses_fall(captured_events):
    train()
    losses = [log.attributes["loss"] for log in captured_events.named("train.step")]
    assert losses == sorted(losses, reverse=True)

def test_time_is_ours(captured_events, emitter_clock):
    train(out=lambda: emitter_clock.advance(2.5))
    first, second, third = captured_events.named("train.step")
    assert second.attributes["step_time"] == 2.5
    assert second.time_ns - first.time_ns == 2_500_000_000

def test_a_command_is_followed(captured_events):
    command = captured_events.command("save")
    assert captured_events.states(command)[-1] == "rejected"
    train()
    command = captured_events.command("save")
    assert train(1) == [command.id]
    assert captured_events.states(command)[-1] == "succeeded"

def test_nothing_is_left_of_other_tests(captured_events):
    from emitter import _api
    assert _api._handlers == {}
    assert captured_events.named("train.step") == []

def test_no_session_without_the_fixture():
    from emitter import _api
    assert _api._session is None
"""


@pytest.mark.slow
def test_fixtures_capture_events_and_hold_the_clock(tmp_path: Path) -> None:
    """Explicitly loaded, in random order, without a trace of one test in the next."""
    (tmp_path / "trainer.py").write_text(TRAINER)
    (tmp_path / "test_trainer.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["emitter.pytest_plugin"]\n')
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "TRAINWARDEN_DATA_DIR": str(tmp_path)}

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "5 passed" in ran.stdout


def test_the_emitter_itself_does_not_need_pytest() -> None:
    """Only who asks for the fixtures imports them."""
    code = "import sys, emitter, emitter.testing; sys.exit('pytest' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
