"""One database for these tests, each with runs of its own."""

from __future__ import annotations

import pytest

from tests.dashboards.rig import new_history


@pytest.fixture(scope="session")
def goodput_history(clickhouse_url: str) -> str:
    """URL of a database with the schema."""
    return new_history(clickhouse_url)
