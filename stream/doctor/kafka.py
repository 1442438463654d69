"""Looks at the brokers: do they answer, are the topics right, do the workers keep up, did records die."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from emitter.vocabulary import topics as names
from stream import kafka, lag, topics
from stream.doctor.finding import Finding, error, ok, warning

BROKER, TOPICS, WORKERS, DEAD = "broker", "topics", "workers", "dead letters"
BETWEEN_S: Final = 5.0
"""Workers commit every second or so; one that has not moved for so long is not there."""
_TIMEOUT_S: Final = 20.0
_READ_S: Final = 5.0

_GROUPS: Final = {
    "loop": (lag.LOOP_GROUP, (*names.OTLP_TOPICS, names.TRAIN_EVENTS)),
    "history": (lag.HISTORY_GROUP, lag.HISTORY_TOPICS),
}


async def look(bootstrap: str) -> list[Finding]:
    """Nothing is created or changed; the groups of the workers are only asked."""
    try:
        began = time.perf_counter()
        await asyncio.wait_for(kafka.knock(bootstrap), _TIMEOUT_S)
        found = [ok(BROKER, f"{bootstrap} answers ({(time.perf_counter() - began) * 1e3:.0f} ms)")]
    except (OSError, asyncio.TimeoutError) as problem:
        why = getattr(problem, "strerror", None) or str(problem) or "no answer"
        cure = "start it, or name another with --kafka; clients must reach what it advertises, too"
        return [error(BROKER, f"{bootstrap} does not answer: {why}", cure)]
    try:
        compared = await topics.compare(bootstrap, _TIMEOUT_S)
        found += _topics(compared)
        # Who asks for a topic that is not there may create it, and wrongly.
        if not compared.created and not compared.mismatched:
            found += [await _worker(bootstrap, part, *of) for part, of in _GROUPS.items()]
            found.append(await _dead(bootstrap))
    except topics.TopicsError as problem:
        found.append(error(TOPICS, str(problem), "check `advertised.listeners` of the brokers"))
    except (KafkaError, OSError, asyncio.TimeoutError) as problem:
        found.append(
            error(BROKER, f"it answers, but not all that was asked: {problem!r}", "see the broker's log")
        )
    return found


def _topics(compared: topics.Applied) -> list[Finding]:
    found = [
        error(TOPICS, str(one).partition(";")[0], str(one).partition("; ")[2]) for one in compared.mismatched
    ]
    if compared.created and not found:
        missing = f"missing: {', '.join(compared.created)}"
        return [error(TOPICS, missing, "`trainwarden topics apply` creates them")]
    return found or [ok(TOPICS, f"all {len(compared.kept)} are there, {compared.partitions} partitions")]


async def _worker(bootstrap: str, part: str, group: str, of: Sequence[str]) -> Finding:
    """Behind is no fault, standing still is."""
    ends = await lag.end_offsets(bootstrap, of)
    before = await lag.committed(bootstrap, group, list(ends))
    behind = _behind(ends, before)
    if not behind:
        return ok(WORKERS, f"{part}: has read everything")
    await asyncio.sleep(BETWEEN_S)
    now = await lag.committed(bootstrap, group, list(ends))
    if now != before:
        return ok(WORKERS, f"{part}: {_behind(ends, now)} records before it, and it moves")
    never = all(offset < 0 for offset in now.values())
    said = f"{part}: {behind} records wait and none was read in {BETWEEN_S:g} s"
    cure = f"start one: `trainwarden worker --app {part}`" if never else (
        f"is one running? `trainwarden worker --app {part}`; if so, its log says what holds it up"
    )  # fmt: skip
    return error(WORKERS, f"{said}; none ever ran" if never else said, cure)


def _behind(ends: lag.Offsets, at: lag.Offsets) -> int:
    return sum(max(0, end - max(0, at.get(place, 0))) for place, end in ends.items())


async def _dead(bootstrap: str) -> Finding:
    """How many records could not be read, and why the newest could not."""
    consumer = AIOKafkaConsumer(names.TRAIN_DEADLETTERS, **kafka.reach(bootstrap), group_id=None)
    await consumer.start()
    try:
        places = sorted(consumer.assignment())
        ends = await consumer.end_offsets(places)
        begins = await consumer.beginning_offsets(places)
        dead = sum(ends[place] - begins[place] for place in places)
        if not dead:
            return ok(DEAD, "none")
        newest = await _newest(consumer, {place: end for place, end in ends.items() if end > begins[place]})
    finally:
        await consumer.stop()
    return warning(
        DEAD, f"{dead} records could not be read{newest}",
        f"mend their sender; their bytes are in {names.TRAIN_DEADLETTERS} until they expire",
    )  # fmt: skip


async def _newest(consumer: Any, ends: dict[Any, int]) -> str:
    for place, end in ends.items():
        consumer.seek(place, end - 1)
    records = (await consumer.getmany(*ends, timeout_ms=int(_READ_S * 1e3))).values()
    last = max((one for some in records for one in some), key=lambda one: one.timestamp, default=None)
    if last is None:
        return ""
    headers = {name: value.decode("utf-8", "replace") for name, value in last.headers}
    where = f"{headers.get('topic')} partition {headers.get('partition')} offset {headers.get('offset')}"
    return f"; the newest, {where}, at {headers.get('stage')}: {headers.get('error')}"
