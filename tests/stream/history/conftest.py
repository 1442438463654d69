"""A database of its own for each test, on the session's ClickHouse endpoint."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from stream import history


@pytest.fixture
def database_url(clickhouse_url: str) -> Iterator[str]:
    """URL with a database that does not exist yet; dropped afterwards."""
    name = f"history_{uuid.uuid4().hex[:12]}"
    yield f"{clickhouse_url}/{name}"
    with history.connect(clickhouse_url) as client:
        client.command(f"DROP DATABASE IF EXISTS {name}")
