"""The emitter's tests: strict (our own bugs are raised), and nothing of the real environment."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource

from emitter import _api
from emitter.testing import Captured, ManualClock, capture
from tests.emitter.receiver import Receiver
from tests.keys import SENDER

PREFIXES = ("TRAINWARDEN_", "OTEL_", "SLURM_", "OMPI_", "PMI", "TORCHELASTIC_")
NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "GROUP_RANK", "MPI_LOCALRANKID")


@pytest.fixture(autouse=True)
def clean(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """A session leaves nothing behind: no handlers, no variables, no local stack; ``tmp_path`` is empty."""
    for name in os.environ:
        if name.startswith(PREFIXES) or name in NAMES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("TRAINWARDEN_STRICT", "1")
    # What this machine's kernel says at the moment is not what is tested.
    monkeypatch.setenv("TRAINWARDEN_KERNEL_LOG", "0")
    monkeypatch.setenv("TRAINWARDEN_DATA_DIR", str(tmp_path / "no-stack"))
    monkeypatch.setenv("TRAINWARDEN_SPOOL", str(tmp_path / "spool"))
    trusted = SENDER.trust(tmp_path_factory.mktemp("keys") / "trusted_keys")
    monkeypatch.setenv("TRAINWARDEN_TRUSTED_KEYS", str(trusted))
    yield
    _api.shutdown()
    _api._handlers.clear()
    _api._tunables.clear()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def captured(clock: ManualClock) -> Iterator[Captured]:
    with capture(clock=clock) as found:
        yield found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture
def stack_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, str]], None]:
    """Write a stack.json of a stack that runs as this process."""

    def write(endpoints: dict[str, str]) -> None:
        monkeypatch.setenv("TRAINWARDEN_DATA_DIR", str(tmp_path))
        content = {"ready": True, "endpoints": endpoints, "pids": {"up": os.getpid()}}
        (tmp_path / "stack.json").write_text(json.dumps(content))

    return write


@pytest.fixture
def service() -> str:
    return f"stock-{uuid.uuid4().hex}"


@pytest.fixture
def resource(service: str) -> Resource:
    return Resource({"service.name": service, "service.instance.id": f"{service}-1"})
