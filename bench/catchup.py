"""How many times faster than it was made half an hour of data is read by workers that start behind.

The records of 64 ranks (a step a second, a heartbeat each half minute, a gateway's beacons), written to the
broker in one go with their times; then one loop worker and one history worker start. Counted from their
start, so importing and joining are inside.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.row import Row
from stream import lag
from tests.integration import backlog
from tests.integration import ledger_parts as parts
from tests.integration.backlog import Backlog

OTHERS: Final = 6
RANKS: Final = 8
LIMIT_S: Final = 600.0


def measure() -> list[Row]:
    """The factors of both workers, and of the events."""
    with (
        tempfile.TemporaryDirectory() as folder,
        parts.site(Path(folder), without=(parts.LOOP, parts.HISTORY), rules=backlog.RULES) as site,
    ):
        made = Backlog(time.time_ns(), ranks=RANKS, others=OTHERS)
        asyncio.run(backlog.write(site.kafka, made.records()))
        rows = []
        for name, group in ((parts.LOOP, lag.LOOP_GROUP), (parts.HISTORY, lag.HISTORY_GROUP)):
            began = time.monotonic()
            site.parts[name].start()
            asyncio.run(_read(site.kafka, group))
            took_s = time.monotonic() - began
            site.parts[name].kill()
            what = f"{name} worker 30 min behind, {made.events:,} events of 64 ranks, from its start"
            rows.append(Row(what, backlog.MINUTES * 60 / took_s, 1.0, "s/s", "as fast as it is made", "> 1"))
        return rows


async def _read(kafka: str, group: str) -> None:
    """Wait until the group has committed all that lay on the OTLP topics and what the loop made of it."""
    names = lag.HISTORY_TOPICS[:3]
    ends = await lag.end_offsets(kafka, names)
    left = await lag.wait_until_read(kafka, group, ends, LIMIT_S)
    if left:
        raise RuntimeError(f"{group}: {left} records were not read within {LIMIT_S:g} s")
    if group == lag.LOOP_GROUP:
        ends = await lag.end_offsets(kafka, ["train.events"])
        await lag.wait_until_read(kafka, group, ends, LIMIT_S)
