"""Real libraries, tiny models, no network: nothing is fetched, and nothing of the environment is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from emitter import _api
from emitter.integrations import _loop
from emitter.testing import Captured, capture

# Before any of the libraries is imported: a test that wants the hub fails instead of waiting for it.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error",
                  TRL_EXPERIMENTAL_SILENCE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")  # fmt: skip

PREFIXES = ("TRAINWARDEN_", "OTEL_", "SLURM_", "OMPI_", "PMI", "TORCHELASTIC_")
NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "GROUP_RANK")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Strict, without a stack of this machine, and no session or handler left behind."""
    for name in os.environ:
        if name.startswith(PREFIXES) or name in NAMES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("TRAINWARDEN_STRICT", "1")
    monkeypatch.setenv("TRAINWARDEN_DATA_DIR", str(tmp_path / "no-stack"))
    yield
    _api.shutdown()
    _api._handlers.clear()
    _api._tunables.clear()
    _loop._reporter = _loop._NOBODY


@pytest.fixture
def captured() -> Iterator[Captured]:
    with capture() as found:
        yield found
