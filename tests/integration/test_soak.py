"""Memory of both workers while runs come and end: what is over is forgotten."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

import psutil
import pytest

from emitter.vocabulary import topics
from stream import events, lag
from stream.diagnose.engine import Engine
from stream.ingest.messages import ingest
from stream.records import Incoming
from stream.rulelang import load_texts
from tests.integration import ledger_parts as parts
from tests.integration.ledger_books import Books
from tests.integration.ledger_events import RULES, Load

pytestmark = pytest.mark.slow

FLUSHES = 20
GROWTH_MIB = 64
"""What the second half of a soak may add: caches that still fill, and what the allocator keeps."""


def _memory_mib(site: parts.Site) -> dict[str, float]:
    found = {}
    for name in (parts.LOOP, parts.HISTORY):
        child = site.parts[name].child
        assert child is not None
        found[name] = psutil.Process(child.pid).memory_info().rss / 2**20
    return found


def _caught_up(site: parts.Site) -> bool:
    groups = (lag.LOOP_GROUP, lag.HISTORY_GROUP)

    async def left() -> int:
        ends = await lag.end_offsets(site.kafka, lag.HISTORY_TOPICS[:3])
        # Beacons come for ever: a few records are always on their way.
        return max([await lag.wait_until_read(site.kafka, group, ends, 60.0) for group in groups])

    return asyncio.run(left()) == 0


def _soak(folder: Path, rounds: int, pace: float) -> list[dict[str, float]]:
    """Rounds of 8 runs of 8 ranks that begin and end; what the workers weigh after each."""
    weighed = []
    with parts.site(folder) as site:
        for number in range(rounds):
            load = Load(f"soak-{number}", time.time_ns(), flushes=FLUSHES, pace=pace)
            asyncio.run(parts.traffic(site, load))
            assert _caught_up(site)
            weighed.append(_memory_mib(site))
            print(f"round {number + 1} of {rounds}: {load}: {weighed[-1]}", flush=True)
            books = Books(site.clickhouse, load)
            assert books.stored() == load.total
    return weighed


def _bounded(weighed: list[dict[str, float]]) -> None:
    half = len(weighed) // 2
    for name in (parts.LOOP, parts.HISTORY):
        settled = max(one[name] for one in weighed[:half])
        assert max(one[name] for one in weighed[half:]) <= settled + GROWTH_MIB, weighed


def test_what_an_engine_keeps_of_runs_that_end_is_bounded() -> None:
    """Scaled: 30 runs of 8 ranks, a new one every five minutes of the ticks' clock, in one process."""
    engine, offsets, sizes = Engine(load_texts({"ledger.yaml": RULES})), itertools.count(), []
    for number in range(30):
        load = Load(f"soak-{number}", 1_800_000_000_000_000_000 + number * 300_000_000_000, runs=1, flushes=2)
        for request in load.requests:
            record = Incoming(topics.OTLP_LOGS, 0, next(offsets), request.body)
            for made in ingest(record, 1):
                batch = events.decode(made.value)
                assert isinstance(batch, events.Batch)
                engine.process(batch)
        engine.process(events.Tick(events.VERSION, 0, next(offsets), 1, load.start_ns + 10_000_000_000))
        sizes.append(len(engine.snapshot()))
    print(f"30 runs, {load.total} events each; state after 10, 20, 30: {sizes[9]}, {sizes[19]}, {sizes[29]}")
    assert max(sizes[20:]) <= 1.1 * max(sizes[10:20])


@pytest.mark.nightly
@pytest.mark.timeout(5400)
def test_workers_do_not_grow_over_an_hour(tmp_path: Path) -> None:
    """In full: an hour in which 8 runs of 64 ranks begin and end every 25 seconds or so."""
    _bounded(_soak(tmp_path, rounds=144, pace=1.0))
