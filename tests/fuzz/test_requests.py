"""Damaged HTTP requests to the real ClickHouse endpoint cost an error each, and nobody else anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures_clickhouse import Endpoint, start_clickhouse
from tests.fuzz import campaign
from tests.fuzz.requests import Requests

pytestmark = pytest.mark.slow

CASES = 200


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    """One that nobody else uses; it ends in order after all that."""
    endpoint = start_clickhouse(tmp_path / "data")
    try:
        yield endpoint
        assert endpoint.child.stop(60) == 0
    finally:
        endpoint.child.kill()


def test_damaged_requests(endpoint: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    """Methods, headers, encodings, forms, queries with changes; rows inserted between them are all there."""
    campaign.in_ci(Requests(endpoint.url), CASES, capsys)


@pytest.mark.nightly
@pytest.mark.timeout(0)
def test_damaged_requests_all_night(endpoint: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for as long as TRAINWARDEN_FUZZ_S says, with cases that no night had before."""
    campaign.all_night(Requests(endpoint.url), capsys)
