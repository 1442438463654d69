"""ClickHouse's own Go client, which Grafana's plugin and the Collector use, against the embedded endpoint."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fixtures_clickhouse import Endpoint
from tests.stream.clickhouse.talk import post

pytestmark = [pytest.mark.collector, pytest.mark.slow, pytest.mark.timeout(900)]

ROWS = 5000


def test_what_it_writes_it_reads_back(clickhouse: Endpoint) -> None:
    """Every value of 5,000 rows of seven types; an error is the engine's own."""
    done = subprocess.run(
        ["go", "run", ".", f"http://{urlsplit(clickhouse.url).netloc}/default"],
        cwd=Path(__file__).parent / "go_client", env={**os.environ, "GOFLAGS": "-mod=mod"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no_such_column" in done.stderr

    rows = json.loads(done.stdout)
    assert [row["number"] for row in rows] == list(range(ROWS))
    for number, row in enumerate(rows):
        assert row["text"] == str(number).rjust(number % 300, "0")
        assert (row["kind"], row["list"]) == (f"kind {number % 7}", ["a", str(number % 5)])
        assert row["maybe"] == (number / 2 if number % 3 else None)
        assert row["map"] == {"key": str(number)}
        nanoseconds = f".{number:09d}".rstrip("0").rstrip(".")
        assert row["time"] == f"2023-11-14T22:13:20{nanoseconds}Z"
    assert post(clickhouse.url, "SELECT count(), uniqExact(number) FROM go_client").body == b"5000\t5000\n"
