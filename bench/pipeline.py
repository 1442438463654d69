"""Events per second and core through real workers on the embedded broker, beside the obvious ways to do it.

Ours are ``trainwarden worker`` processes with the packs that ship: ``otlp_logs`` to diagnoses (ingest and
diagnose together), ``train.events`` to diagnoses (diagnose by itself), and ``otlp_logs`` to rows in the
embedded ClickHouse. Each starts on empty topics; its CPU time is read when it is ready, and when its group
has committed all that was then written. Requests hold 100 records of ``train.step`` with six values, of
eight runs.

The peers read the same from the same broker: aiokafka and protobuf to dicts (no rule at all), a Faust agent
with a Table write for each event, quix-streams with a window of ten seconds; the last two a JSON event a
message, as their users do. All of them take turns, and the medians are told.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import psutil
from aiokafka import AIOKafkaProducer

from bench.history_insert import endpoint
from bench.row import Row
from bench.steps import incoming, records, requests
from emitter.vocabulary import topics
from stream import broker, lag
from stream import topics as administration
from stream.faustkit.outlet import partition_of
from stream.history.migrate import migrate
from stream.ingest.messages import ingest
from stream.ports import choose
from stream.records import Headers

PARTITIONS: Final = 4
RUNS: Final = 8
STEPS: Final = 25_000
"""Of each run."""
PLAIN_STEPS: Final = 30_000
"""Of the peers with one event a message, in all: they take that long."""
_READY_S: Final = 120.0
_READ_S: Final = 300.0
_PLAIN_TOPIC: Final = "bench.events"
TURNS: Final = 5
"""A machine that others share changes its speed within minutes; ours and the peers take turns."""
ALONE: Final = "train.events to diagnoses, a worker"
"""The row that has targets; ingest and history are reported beside it."""
_FLOOR: Final = "aiokafka, protobuf to dicts"
_FAUST: Final = "Faust, a Table write per event"
_TARGETS: Final = {_FLOOR: ">= 0.6x", _FAUST: ">= 25x"}


@dataclass(frozen=True)
class Written:
    """Records of one topic: partition, bytes and headers."""

    topic: str
    records: list[tuple[int, bytes, Headers]]


@contextmanager
def _broker() -> Iterator[str]:
    """A broker with all topics, without data."""
    command = broker.command(choose(["bench"], "auto")["bench"])
    with subprocess.Popen(command.argv, env=command.env, stdout=subprocess.DEVNULL) as child:
        try:
            asyncio.run(broker.wait_ready(command.bootstrap))
            asyncio.run(administration.apply(command.bootstrap, PARTITIONS)).check()
            yield command.bootstrap
        finally:
            child.terminate()


@contextmanager
def _worker(kafka: str, *options: str) -> Iterator[psutil.Process]:
    """A worker that has its partitions."""
    port = choose(["bench"], "auto")["bench"]
    with tempfile.TemporaryDirectory() as folder:
        argv = [
            sys.executable, "-m", "stream.cli", "--quiet", "worker", "--kafka", kafka, "--mode", "shadow",
            "--health-port", str(port), "--data-dir", folder, *options,
        ]  # fmt: skip
        with subprocess.Popen(argv) as child:
            try:
                _wait_ready(child, port)
                yield psutil.Process(child.pid)
            finally:
                child.kill()


def _wait_ready(child: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _READY_S
    while time.monotonic() < end:
        assert child.poll() is None, f"the worker ended with {child.returncode}"
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return
        time.sleep(0.2)
    raise TimeoutError(f"the worker was not ready within {_READY_S:g} s")


async def _write(kafka: str, written: Written) -> None:
    """All of it is on the broker."""
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, enable_idempotence=False, acks="all", max_batch_size=512 * 1024
    )
    await producer.start()
    try:
        waiting = [
            await producer.send(written.topic, value, partition=place, headers=headers)
            for place, value, headers in written.records
        ]
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _rate(kafka: str, group: str, written: Written, *processes: psutil.Process) -> tuple[float, float]:
    """Events per second of CPU time of these processes, and per second on the wall."""
    before, begun = sum(map(_spent, processes)), time.monotonic()
    asyncio.run(_write(kafka, written))
    ends = asyncio.run(lag.end_offsets(kafka, [written.topic]))
    left = asyncio.run(lag.wait_until_read(kafka, group, ends, _READ_S))
    assert not left, f"{group}: {left} records of {written.topic} were not read within {_READ_S:g} s"
    count = RUNS * STEPS
    return count / (sum(map(_spent, processes)) - before), count / (time.monotonic() - begun)


def _made() -> tuple[Written, Written]:
    """The same events as OTLP requests and as what ingest makes of them."""
    raw, ready = [], []
    steps = records(STEPS)
    for number in range(RUNS):
        run = f"bench-{number}"
        payloads = requests(steps, run)
        raw += [(number % PARTITIONS, payload, Headers()) for payload in payloads]
        place = partition_of(run.encode(), PARTITIONS)
        ready += [(place, made.value, made.headers) for one in incoming(payloads) for made in ingest(one, 1)]
    return Written(topics.OTLP_LOGS, raw), Written(topics.TRAIN_EVENTS, ready)


def _ours(raw: Written, ready: Written) -> Iterator[tuple[str, tuple[float, float]]]:
    with _broker() as kafka, _worker(kafka) as process:
        yield ALONE, _rate(kafka, lag.LOOP_GROUP, ready, process)
    with _broker() as kafka, _worker(kafka) as process:
        yield "otlp_logs to diagnoses, a worker", _rate(kafka, lag.LOOP_GROUP, raw, process)
    with _broker() as kafka, endpoint() as (url, engine):
        migrate(url)
        with _worker(kafka, "--app", "history", "--clickhouse", url) as process:
            yield (
                "otlp_logs to history, worker and engine",
                _rate(kafka, lag.HISTORY_GROUP, raw, process, psutil.Process(engine)),
            )


def _told(argv: Sequence[str]) -> float:
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, timeout=_READ_S)
    return float(json.loads(done.stdout.splitlines()[-1])["rate"])


def _plain_events() -> Written:
    names = ("loss", "grad_norm", "learning_rate", "tokens_per_second", "step_time", "data_time")
    steps = records(PLAIN_STEPS)
    found = [
        {"run": "bench", "step": one["train.step"], **{name: one[name] for name in names}} for one in steps
    ]
    return Written(_PLAIN_TOPIC, [(0, json.dumps(event).encode(), []) for event in found])


def _peers(raw: Written) -> dict[str, float]:
    module = [sys.executable, "-m"]
    plain = [_PLAIN_TOPIC, str(PLAIN_STEPS)]
    with _broker() as kafka, tempfile.TemporaryDirectory() as folder:
        asyncio.run(_write(kafka, raw))
        asyncio.run(_write(kafka, _plain_events()))
        quix = [sys.executable, "-m", "uv", "run", "--quiet", "--script", "bench/peers/quix_window.py"]
        return {
            _FLOOR: _told([*module, "bench.peers.decode_loop", kafka, raw.topic, str(RUNS * STEPS)]),
            _FAUST: _told([*module, "bench.peers.faust_table", kafka, *plain, str(Path(folder) / "faust")]),
            "quix-streams, a 10 s window": _told([*quix, kafka, *plain, str(Path(folder) / "quix")]),
        }


def measure() -> list[Row]:
    """Events per second and core of each of ours beside the peers; on the wall in brackets; medians."""
    raw, ready = _made()
    peers: defaultdict[str, list[float]] = defaultdict(list)
    ours: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(TURNS):
        for peer, rate in _peers(raw).items():
            peers[peer].append(rate)
        for what, rates in _ours(raw, ready):
            ours[what].append(rates)
    rows = []
    for what, found in ours.items():
        rate, wall = (median(part) for part in zip(*found, strict=True))
        for peer, theirs in peers.items():
            target = _TARGETS.get(peer, "") if what == ALONE else ""
            rows.append(Row(f"{what} ({wall:,.0f}/s on the wall)", rate, median(theirs), "1/s", peer, target))
    return rows


if __name__ == "__main__":
    from bench.__main__ import print_table

    os.environ.setdefault("COLUMNS", "160")
    print_table(measure())
