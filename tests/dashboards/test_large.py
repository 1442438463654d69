"""On a run of 64 ranks every panel finds data, and reads a roll-up or a bounded number of rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlencode

import pytest

from tests.dashboards import large
from tests.dashboards.asking import CASES, Asked, Case, settled
from tests.dashboards.large import CHOICES, Scale
from tests.fixtures import http_request

LATELY_S = 600


class Read(NamedTuple):
    """What a panel got: whether any value, and how many rows ClickHouse read from tables for it.

    The look at the roll-up by the minute, which chooses the level, is not among them.
    """

    found: bool
    rows: int


def _read(url: str, one: Case, asked: Asked) -> Read:
    base, _, database = url.rpartition("/")
    query = urlencode({"database": database, "default_format": "JSONCompact", "readonly": 1})
    answer = http_request("POST", f"{base}/?{query}", one.sql(asked).encode())
    assert answer.status == 200, answer.body.decode()
    found = any(value not in (None, "") for row in json.loads(answer.body)["data"] for value in row)
    return Read(found, int(json.loads(answer.headers["x-clickhouse-summary"])["read_rows"]))


def _troubles(url: str, scale: Scale, seconds: float, most: int) -> Iterator[str]:
    """Panels that find nothing, or read more rows than that, over the last ``seconds``."""
    asked = settled(url, Asked(int((scale.end - seconds) * 1000), scale.end * 1000 + 60_000, CHOICES))
    for one in CASES:
        read = _read(url, one, asked)
        if not read.found or read.rows > most:
            yield f"{one}: {read} of {scale.rows:,} in {seconds:g} s"


@pytest.mark.timeout(600)
def test_sixty_four_ranks(clickhouse_url: str) -> None:
    """Every panel finds data; over the whole run none reads an eighth of the rows of the steps."""
    url, scale = large.tell(clickhouse_url, steps=4_000)
    print(f"64 ranks, {scale.rows:,} rows of steps (nightly: 50 million)")

    assert list(_troubles(url, scale, scale.steps, most=scale.rows // 8)) == []


@pytest.mark.nightly
@pytest.mark.timeout(1500)
def test_fifty_million_rows(clickhouse_url: str) -> None:
    """50 million rows: over 36 hours and over ten minutes every panel reads a bounded number of rows."""
    url, scale = large.tell(clickhouse_url, steps=196_000)
    print(f"64 ranks, {scale.rows:,} rows of steps")

    assert scale.rows > 50_000_000
    assert list(_troubles(url, scale, scale.steps, most=1_000_000)) == []
    assert list(_troubles(url, scale, LATELY_S, most=2_500_000)) == []
