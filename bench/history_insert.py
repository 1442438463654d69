"""Rows per second into the embedded ClickHouse through the sink's writer, against a raw Arrow insert.

Both go over HTTP to the same endpoint process, 10,000 rows of train_steps at a time, batches prebuilt.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from bench.row import Row
from stream.history import connect
from stream.history.migrate import migrate
from stream.sink.writer import Writer

_ROWS = 10_000
_BATCHES = 60
_WARM_UP = 5


@contextlib.contextmanager
def endpoint() -> Iterator[tuple[str, int]]:
    """A ClickHouse endpoint without data: its URL and the id of its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "stream.cli",
            "-q",
            "clickhouse",
            "--data-dir",
            folder,
            "--port",
            str(port),
        ]
        child = subprocess.Popen(command)
        try:
            connect(url, wait_s=60).close()
            yield url, child.pid
        finally:
            os.kill(child.pid, signal.SIGTERM)
            child.wait(30)


def _rows(batch: int) -> pa.Table:
    base = 1_700_000_000_000_000_000 + batch * _ROWS * 10**6
    index = range(_ROWS)

    def text(value: str) -> pa.Array:
        return pa.array([value] * _ROWS).dictionary_encode()

    return pa.table(
        {
            "run": text("bench"),
            "attempt": pa.array([0] * _ROWS, pa.uint16()),
            "rank": pa.array([i % 64 for i in index], pa.int32()),
            "time": pa.array([base + i * 10**6 for i in index], pa.timestamp("ns", "UTC")),
            "step": pa.array([batch * _ROWS + i for i in index], pa.int64()),
            "name": text("loss"),
            "value": pa.array([2.0 + (i * 7919 % 1000) / 1e4 for i in index], pa.float64()),
            "emitter": text("e1"),
            "seq": pa.array([batch * _ROWS + i for i in index], pa.int64()),
        }
    )


def _rates(inserts: Sequence[Callable[[int, pa.Table], object]]) -> list[float]:
    """Rows per second of each; batches take turns, so that what else runs here slows all alike."""
    took = [0.0] * len(inserts)
    for number in range(_WARM_UP + _BATCHES):
        rows = _rows(number)
        for place, insert in enumerate(inserts):
            start = time.perf_counter()
            insert(number, rows)
            if number >= _WARM_UP:
                took[place] += time.perf_counter() - start
    return [_BATCHES * _ROWS / seconds for seconds in took]


def measure() -> list[Row]:
    """The writer with its tokens and roll-ups, against insert_arrow into a table without any."""
    with endpoint() as (url, _):
        migrate(url)
        writer, client = Writer(url), connect(url)
        client.command("CREATE TABLE raw AS train_steps ENGINE = MergeTree ORDER BY (run, name, rank, time)")
        ours, peer = _rates([
            lambda number, rows: writer.insert("train_steps", rows, str(number)),
            lambda _, rows: client.insert_arrow("raw", rows),
        ])  # fmt: skip
        writer.close()
        client.close()
    return [Row("history insert, 10,000-row batches", ours, peer, "rows/s", "raw insert_arrow", ">= 0.4x")]
