"""A migrated database on the session's ClickHouse endpoint, one for each test module."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from stream import history
from stream.history.migrate import migrate
from stream.history.settings import DEFAULT_DAYS, SchemaSettings


@pytest.fixture(scope="module")
def history_url(clickhouse_url: str) -> Iterator[str]:
    """URL of a database with all tables, which keep rows of any age; shared: use run ids of your own."""
    name = f"sink_{uuid.uuid4().hex[:12]}"
    for_ever = SchemaSettings(days=dict.fromkeys(DEFAULT_DAYS, 0))
    migrate(f"{clickhouse_url}/{name}", settings=for_ever)
    yield f"{clickhouse_url}/{name}"
    with history.connect(clickhouse_url) as client:
        client.command(f"DROP DATABASE {name}")


@pytest.fixture
def database(history_url: str) -> Iterator[Client]:
    """A client on it."""
    with history.connect(history_url) as client:
        yield client
