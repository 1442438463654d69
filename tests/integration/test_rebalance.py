"""Workers of both apps that come and go under traffic, two, four, one: nothing is lost, nothing doubled."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from emitter.vocabulary import topics
from tests.fixtures import wait_for_async
from tests.integration import ledger_parts as parts
from tests.integration.ledger_books import audit
from tests.integration.ledger_events import Load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PARTITIONS = 4
SHARED_S = 120.0


async def _share(site: parts.Site, workers: Sequence[parts.Part]) -> None:
    """Wait until these workers hold all partitions of the OTLP logs among them, each its share."""

    async def shared() -> bool:
        held = [await asyncio.to_thread(worker.partitions, topics.OTLP_LOGS) for worker in workers]
        share = PARTITIONS // len(workers)
        together = sorted(itertools.chain.from_iterable(held))
        return together == list(range(PARTITIONS)) and {len(one) for one in held} == {share}

    names = [worker.name for worker in workers]
    await wait_for_async(shared, SHARED_S, f"{names} to share {PARTITIONS} partitions")


async def _come_and_go(site: parts.Site, app: str) -> None:
    """Two workers become four; then one ends in order, two are killed."""
    first, second = site.parts[app], site.parts[f"{app}-1"]
    await _share(site, [first, second])
    more = [site.worker(app, number) for number in (2, 3)]
    for worker in more:
        worker.start()
    await _share(site, [first, second, *more])
    await more[0].stop()
    for worker in (first, more[1]):
        worker.kill()
    await _share(site, [second])


@pytest.mark.parametrize("app", [parts.LOOP, pytest.param(parts.HISTORY, marks=pytest.mark.nightly)])
def test_workers_join_and_leave_under_traffic(tmp_path: Path, app: str) -> None:
    """Scaled: about 9,000 events over 12 seconds; an ordered end and two of kill -9."""
    loops, histories = (2, 1) if app == parts.LOOP else (1, 2)
    with parts.site(tmp_path, loops=loops, histories=histories, partitions=PARTITIONS) as site:
        load = Load(f"moving-{app}", time.time_ns(), runs=4, flushes=12)
        tries, obeyed = asyncio.run(parts.traffic(site, load, lambda: _come_and_go(site, app)))
        print(f"scale: {load}, the sender was answered: {dict(tries)}")
        audit(site.clickhouse, load, obeyed)
