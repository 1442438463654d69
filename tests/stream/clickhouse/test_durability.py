"""Data outlives the process, however it ends."""

from __future__ import annotations

import signal
import threading
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.fixtures import wait_for
from tests.fixtures_clickhouse import Endpoint, spawn_clickhouse, start_clickhouse
from tests.stream.clickhouse.talk import code, create, post

pytestmark = pytest.mark.slow


def _reaches(numbers: list[int], count: int) -> Callable[[], bool]:
    return lambda: len(numbers) > count


def _insert_until_it_dies(endpoint: Endpoint, first: int, acknowledged: list[int]) -> None:
    at = first
    while True:
        try:
            answer = post(endpoint.url, f"{at},x\n", query="INSERT INTO kept FORMAT CSV")
        except (OSError, HTTPException):
            return
        assert answer.status == 200, answer.body
        acknowledged.append(at)
        at += 1


def test_kill_9_in_the_middle_of_inserts(tmp_path: Path) -> None:
    """Every acknowledged row is there after kill -9, twice in a row; at most one more a time."""
    acknowledged: list[int] = []
    for round_ in range(2):
        endpoint = start_clickhouse(tmp_path / "data")
        if round_ == 0:
            create(endpoint.url, "kept")
        before = len(acknowledged)
        writer = threading.Thread(
            target=_insert_until_it_dies, args=(endpoint, round_ * 1_000_000, acknowledged)
        )
        writer.start()
        wait_for(_reaches(acknowledged, before + 100), 60, "a hundred inserts")
        endpoint.child.process.send_signal(signal.SIGKILL)
        endpoint.child.process.wait()
        writer.join(60)
    endpoint = start_clickhouse(tmp_path / "data")
    try:
        found = {int(row) for row in post(endpoint.url, "SELECT a FROM kept").body.split()}
        assert set(acknowledged) <= found
        assert len(found) <= len(acknowledged) + 2
        assert post(endpoint.url, "SELECT count() FROM kept").body == b"%d\n" % len(found)
    finally:
        endpoint.child.stop()


def test_orderly_restart(tmp_path: Path) -> None:
    """Tables, databases and rows are there again after SIGTERM, under a path with odd characters."""
    where = tmp_path / "a dir, ä+%41"
    first = start_clickhouse(where)
    create(first.url, "t")
    post(first.url, "CREATE DATABASE other")
    numbers = "SELECT number AS n FROM numbers(10)"
    post(first.url, f"CREATE TABLE other.u ENGINE = MergeTree ORDER BY n AS {numbers}")
    post(first.url, "1,x\n", query="INSERT INTO t FORMAT CSV")
    for _ in range(3):
        assert first.child.stop() == 0, first.child.log()
        first = start_clickhouse(where)
    first.child.kill()
    second = start_clickhouse(where)
    try:
        assert post(second.url, "SELECT count() FROM t").body == b"1\n"
        assert post(second.url, "SELECT sum(n) FROM other.u").body == b"45\n"
        assert code(post(second.url, "SELECT * FROM file('/etc/hostname')")) == "497"
    finally:
        second.child.stop()


def test_one_endpoint_a_directory(clickhouse: Endpoint) -> None:
    """A second endpoint on the same directory refuses and names the first."""
    second = spawn_clickhouse(clickhouse.data_dir)
    assert second.child.process.wait(60) != 0
    expected = f"already served by another ClickHouse endpoint (pid {clickhouse.child.pid})"
    assert expected in second.child.log()
    assert post(clickhouse.url, "SELECT 1").body == b"1\n"


def test_taken_port(clickhouse: Endpoint, tmp_path: Path) -> None:
    """A taken port ends in a clear message before any data directory is made."""
    port = int(clickhouse.url.rpartition(":")[2])
    second = spawn_clickhouse(tmp_path / "other", port)
    assert second.child.process.wait(60) != 0
    assert (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another port"
        in second.child.log()
    )
    assert not (tmp_path / "other").exists()


def test_unsuitable_directory(tmp_path: Path) -> None:
    """A path the engine would misread is refused by name."""
    endpoint = spawn_clickhouse(tmp_path / "what?")
    assert endpoint.child.process.wait(60) != 0
    assert "expected a path without ? and &" in endpoint.child.log()


def test_too_large_a_body(tmp_path: Path) -> None:
    """A body over the limit, packed or not, is error 307 and stores nothing; the next one is fine."""
    endpoint = start_clickhouse(tmp_path / "data", body_bytes=1 << 20, spool_bytes=1 << 16)
    try:
        create(endpoint.url, "t")
        insert = "INSERT INTO t FORMAT CSV"
        rows = b"1,%s\n" % (b"x" * 1000) * 2000
        assert code(post(endpoint.url, rows, query=insert)) == "307"
        packed = post(endpoint.url, zlib.compress(rows), {"Content-Encoding": "deflate"}, query=insert)
        assert code(packed) == "307"
        assert b"more than 1048576 bytes; send less at once" in packed.body
        assert post(endpoint.url, rows[: 1003 * 500], query=insert).status == 200
        assert post(endpoint.url, "SELECT count() FROM t").body == b"500\n"
    finally:
        endpoint.child.stop()
