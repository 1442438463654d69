"""How parts on one machine find each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emitter.vocabulary import stack


def _write(folder: Path, **changes: object) -> None:
    description = {
        "ready": True,
        "endpoints": {"kafka": "127.0.0.1:1"},
        "pids": {"up": os.getpid()},
        **changes,
    }
    (folder / stack.STACK_FILE).write_text(json.dumps(description))


def test_a_running_stack_is_found(tmp_path: Path) -> None:
    """A ready stack whose launcher lives is returned."""
    _write(tmp_path)

    found = stack.read_stack(tmp_path)

    assert found is not None
    assert found["endpoints"] == {"kafka": "127.0.0.1:1"}


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"ready": true}', '{"ready": true, "endpoints": {}, "pids": {"up": "x"}}']
)
def test_a_broken_description_is_no_stack(tmp_path: Path, content: str) -> None:
    """Whatever the file holds, reading it never raises."""
    (tmp_path / stack.STACK_FILE).write_text(content)

    assert stack.read_stack(tmp_path) is None


def test_a_stack_that_is_not_ready_or_gone_is_no_stack(tmp_path: Path) -> None:
    """Not ready, launcher dead, or no file at all: none."""
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )

    assert stack.read_stack(tmp_path) is None
    _write(tmp_path, ready=False)
    assert stack.read_stack(tmp_path) is None
    _write(tmp_path, pids={"up": int(gone.stdout)})
    assert stack.read_stack(tmp_path) is None


def test_the_data_directory_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TRAINWARDEN_DATA_DIR wins, then XDG_DATA_HOME, then the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(stack.ENV_DATA_DIR, raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)

    assert stack.data_dir() == tmp_path / ".local" / "share" / "trainwarden"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert stack.data_dir() == tmp_path / "xdg" / "trainwarden"
    monkeypatch.setenv(stack.ENV_DATA_DIR, str(tmp_path / "own"))
    assert stack.data_dir() == tmp_path / "own"
