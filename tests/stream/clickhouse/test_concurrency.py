"""Many clients at once: readers, writers, slow ones, ones that leave."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.fixtures import wait_for
from tests.fixtures_clickhouse import Endpoint, start_clickhouse
from tests.stream.clickhouse.talk import code, create, post

pytestmark = pytest.mark.slow

ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(number * number)"
LONG = "SELECT number, repeat('x', 100) FROM numbers(100000000)"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint that takes two queries and two inserts at a time."""
    endpoint = start_clickhouse(tmp_path_factory.mktemp("small") / "data", queries=2, inserts=2)
    try:
        yield endpoint
    finally:
        endpoint.child.stop()


def begin(url: str, sql: str, query_id: str) -> socket.socket:
    """Send a query and leave its answer unread."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = f"POST /?query_id={quote(query_id)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    connection.sendall(f"{head}Content-Length: {len(sql)}\r\n\r\n{sql}".encode())
    return connection


def is_running(url: str, query_id: str) -> bool:
    asked = f"SELECT count() FROM system.processes WHERE Settings['log_comment'] = '{query_id}'"
    return post(url, asked).body == b"1\n"


def test_readers_while_a_writer_inserts(clickhouse_url: str) -> None:
    """Readers see whole inserts only, and neither side fails."""
    name = f"t_{uuid.uuid4().hex}"
    create(clickhouse_url, name)
    done = threading.Event()

    def write() -> int:
        rows = b"".join(b"%d,x\n" % n for n in range(1000))
        try:
            for _ in range(40):
                assert post(clickhouse_url, rows, query=f"INSERT INTO {name} FORMAT CSV").status == 200
        finally:
            done.set()
        return 40_000

    def read() -> list[int]:
        seen = []
        while not done.is_set():
            answer = post(clickhouse_url, f"SELECT count() FROM {name}")
            assert answer.status == 200, answer.body
            seen.append(int(answer.body))
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        assert pool.submit(write).result(120) == 40_000
        for reader in readers:
            seen = reader.result(60)
            assert seen == sorted(seen)
            assert all(count % 1000 == 0 for count in seen)
    assert post(clickhouse_url, f"SELECT count() FROM {name}").body == b"40000\n"


def test_slow_readers_do_not_stop_inserts(small: Endpoint) -> None:
    """All places of queries held by readers that do not read: inserts go on, one more query is error 202."""
    create(small.url, "slow")
    slow = [begin(small.url, LONG, f"slow {n}") for n in range(2)]
    try:
        heads = [connection.recv(300) for connection in slow]
        assert all(head.startswith(b"HTTP/1.1 200 ") for head in heads)
        for _ in range(5):
            assert post(small.url, "1,x\n", query="INSERT INTO slow FORMAT CSV").status == 200
        refused = post(small.url, "SELECT 1")
        assert (refused.status, code(refused)) == (500, "202")
        assert b"Too many simultaneous queries. Maximum: 2 queries, running: 2" in refused.body
        assert post(small.url, "2,y\n", query="INSERT INTO slow FORMAT CSV", query_id="slow 1").status == 500
    finally:
        for connection in slow:
            connection.close()
    wait_for(lambda: code(post(small.url, "SELECT 1")) is None, what="the places of readers that left")
    assert post(small.url, "SELECT count() FROM slow").body == b"5\n"


def test_a_client_that_leaves_ends_its_query(small: Endpoint) -> None:
    """A query whose client is gone is cancelled in the engine, and its place is free again."""
    connection = begin(small.url, ENDLESS, "leaver")
    wait_for(lambda: is_running(small.url, "leaver"), what="the query to run")
    connection.close()
    wait_for(lambda: not is_running(small.url, "leaver"), what="the query to be cancelled")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: post(small.url, "SELECT sleep(0.1)").status, range(2)))
    assert answers == [200, 200]


def test_kill_and_double_ids(small: Endpoint) -> None:
    """KILL QUERY finds a query by its id in log_comment; an id runs once at a time."""
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(post, small.url, ENDLESS, query_id="victim")
        wait_for(lambda: is_running(small.url, "victim"), what="the query to run")
        assert code(post(small.url, "SELECT 1", query_id="victim")) == "216"
        post(small.url, "KILL QUERY WHERE Settings['log_comment'] = 'victim' ASYNC")
        assert code(killed.result(60)) == "394"


def test_a_client_that_leaves_while_it_sends(small: Endpoint) -> None:
    """An insert cut off in its body stores nothing and holds nothing."""
    create(small.url, "cut")
    parts = urlsplit(small.url)
    for _ in range(4):
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60) as connection:
            head = "POST /?query=INSERT%20INTO%20cut%20FORMAT%20CSV HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            connection.sendall(f"{head}Content-Length: 1000\r\n\r\n1,x\n2,y\n".encode())
    assert post(small.url, "3,z\n", query="INSERT INTO cut FORMAT CSV").status == 200
    assert post(small.url, "SELECT a FROM cut").body == b"3\n"


def test_stop_with_queries_under_way(tmp_path: Path) -> None:
    """SIGTERM lets queries run for a bounded time, then cancels them, and the endpoint ends with 0."""
    endpoint = start_clickhouse(tmp_path / "data", stop_timeout_s=1.0)
    connection = begin(endpoint.url, ENDLESS, "endless")
    try:
        wait_for(lambda: is_running(endpoint.url, "endless"), what="the query to run")
        assert endpoint.child.stop(60) == 0, endpoint.child.log()
    finally:
        connection.close()
        endpoint.child.kill()
