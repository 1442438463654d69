"""The embedded ClickHouse endpoint as a real child process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fixtures import Child, free_port, http_request


class Endpoint(NamedTuple):
    """A running endpoint: its URL, its process, its data directory."""

    url: str
    child: Child
    data_dir: Path


def spawn_clickhouse(data_dir: Path, port: int | None = None, **settings: object) -> Endpoint:
    """Start an endpoint without waiting for it; ``settings`` are fields of stream.clickhouse.Limits."""
    port = port or free_port()
    code = (
        "import sys; from pathlib import Path; from stream.clickhouse import Limits, run; "
        f"run(data_dir=Path(sys.argv[1]), port={port}, limits=Limits(**{settings!r}))"
    )
    log = data_dir.with_name(f"{data_dir.name}-{port}.log")
    return Endpoint(
        f"http://127.0.0.1:{port}", Child([sys.executable, "-c", code, str(data_dir)], log), data_dir
    )


def start_clickhouse(data_dir: Path, port: int | None = None, **settings: object) -> Endpoint:
    """Start an endpoint and wait until it answers /ping; fails with its log when it does not."""
    endpoint = spawn_clickhouse(data_dir, port, **settings)
    endpoint.child.wait_until(lambda: answers_ping(endpoint.url), f"{endpoint.url}/ping")
    return endpoint


def answers_ping(url: str) -> bool:
    """Whether the endpoint answers."""
    try:
        return http_request("GET", f"{url}/ping").body == b"Ok.\n"
    except OSError:
        return False


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A real endpoint on an empty data directory, shared by the session: use table names of your own."""
    endpoint = start_clickhouse(tmp_path_factory.mktemp("clickhouse") / "data")
    try:
        yield endpoint
    finally:
        endpoint.child.stop()


@pytest.fixture(scope="session")
def clickhouse_url(clickhouse: Endpoint) -> str:
    """URL of the session's endpoint."""
    return clickhouse.url
