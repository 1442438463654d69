"""Each way in which a row could be lost or stored twice, on a real engine: one test for one hazard."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from emitter.vocabulary import topics
from stream.otlp.beacon import beacon_request
from stream.sink.collect import ADDERS
from stream.sink.cuts import Limits
from stream.sink.records import Record
from stream.sink.writer import Writer
from tests.stream.sink.build import RESOURCE, T0, logs, spans, step
from tests.stream.sink.feeding import QUICK, WAIT_S, Sink, check_once, sent, store


class Deaf:
    """Inserts, and never tells: the sink dies between insert and acknowledgement. ``tables``: how many."""

    def __init__(self, url: str, tables: int) -> None:
        self._writer, self._left = Writer(url), tables
        self.reached, self.released = threading.Event(), threading.Event()

    def insert(self, table: str, rows: pa.Table, token: str) -> int:
        if self._left:
            self._left -= 1
            self._writer.insert(table, rows, token)
            if self._left:
                return 0
        self.reached.set()
        self.released.wait(WAIT_S)
        return 0


async def die_within(url: str, source: str, records: list[Record], tables: int) -> None:
    """A sink that stores these records as far as so many tables, and dies unheard."""
    deaf = Deaf(url, tables)
    sink = Sink(url, source, writer=deaf)
    await sink.feed(records)
    assert await asyncio.to_thread(deaf.reached.wait, WAIT_S)
    await sink.kill()
    deaf.released.set()
    assert sink.heard.stored == []


@pytest.fixture
def no_tokens(database: Client) -> Iterator[None]:
    """ClickHouse forgets every insert at once: what is stored once then is so by what sinks wrote down."""
    tables = ("train_steps", "train_runs", "otel_logs", "train_steps_1m")
    for table in tables:
        database.command(f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 0")
    yield
    for table in tables:
        database.command(f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 10000")


@pytest.mark.parametrize("tables", [0, 1, 2])
def test_a_moved_boundary(history_url: str, database: Client, tables: int) -> None:
    """Our clock closed a batch, then the sink died in it; more came, which would now be of the same batch."""
    run = f"moved-{tables}"
    first = [sent(run, number, ms=0) for number in range(5)]
    later = [sent(run, number, ms=0) for number in range(5, 9)]

    async def play() -> None:
        await die_within(history_url, run, first, tables)
        await store(history_url, run, first + later)

    asyncio.run(play())
    check_once(database, run, range(9))


def test_a_resend_after_a_restart_and_on_another_partition(history_url: str, database: Client) -> None:
    """History knows (emitter, number) of every table, also of what left no row, and the ids of spans."""
    run = "resent"
    resource = {**RESOURCE, "train.run.id": run, "train.emitter.id": run}
    kinds: list[tuple[str, dict[str, object]]] = [
        ("train.step", {"loss": 1.0}), ("train.eval", {"loss": 1.0}), ("train.heartbeat", {}),
        ("train.resource", {"x": 1}), ("train.log", {}), ("train.step", {"note": "text"}),
        ("metric", {"metric.name": "m", "value": 1.0}),
    ]  # fmt: skip
    request = logs(
        *({"event": name, "attributes": {"train.seq": n, **more}} for n, (name, more) in enumerate(kinds)),
        resource=resource,
    )
    span = spans(Span(trace_id=b"t" * 16, span_id=b"span-one", name="s", start_time_unix_nano=T0),
                 resource=resource)  # fmt: skip
    places = [(topics.OTLP_LOGS, request), (topics.OTLP_SPANS, span)]
    tables = ("train_steps", "train_evals", "train_heartbeats", "train_resources", "train_metrics",
              "otel_logs", "otel_traces")  # fmt: skip

    def counted() -> dict[str, object]:
        return {str(t): database.command(f"SELECT count() FROM {t} WHERE run = '{run}'") for t in tables}

    async def play() -> None:
        await store(history_url, run, [Record(topic, 0, 0, T0, value) for topic, value in places])
        once = counted()
        again = await store(history_url, run, [Record(topic, 1, 0, T0, value) for topic, value in places])
        assert counted() == once
        assert again.duplicates == len(kinds) + 1
        assert all(once[table] for table in tables if table != "train_metrics")

    asyncio.run(play())


def test_the_same_resend_in_two_sinks_at_once(history_url: str, database: Client) -> None:
    """Both copies of each record are read at once by two sinks: who wrote it down first stores it."""
    run, count = "parallel", 30

    async def play() -> None:
        sinks = [Sink(history_url, run) for _ in range(2)]
        for number in range(count):
            await asyncio.gather(
                *(s.feed([sent(run, number, partition=p, emitter=run)]) for p, s in enumerate(sinks))
            )
        counts = [await sink.stored(count) for sink in sinks]
        assert sum(each.duplicates for each in counts) == count
        for sink in sinks:
            await sink.kill()

    asyncio.run(play())
    check_once(database, run, range(count))


def test_a_number_older_than_a_sink_remembers(
    history_url: str, database: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An emitter's spool is sent again long after: history is asked what the sink's own memory lost."""
    monkeypatch.setattr("stream.sink.recent.WINDOW", 64)
    run = "spooled"
    records = [sent(run, n, emitter=run) for n in (*range(3), 500)]
    again = [sent(run, n, emitter=run, offset=600 + n, ms=6_000) for n in range(5)]

    async def play() -> None:
        sink = Sink(history_url, run)
        await sink.feed(records)
        await sink.stored(4)
        await sink.feed(again)
        assert (await sink.stored(9)).duplicates == 3
        await sink.kill()

    asyncio.run(play())
    check_once(database, run, [*range(5), 500])


def test_a_producer_that_repeats_itself(history_url: str, database: Client) -> None:
    """The same bytes at two offsets, in one batch and in another one: de-duplicated by (emitter, number)."""
    run = "repeated"
    twice = [sent(run, 0, emitter=run, offset=o, ms=ms) for o, ms in [(0, 0), (1, 0), (2, 500)]]

    counts = asyncio.run(store(history_url, run, twice))

    check_once(database, run, [0])
    assert counts.duplicates == 2


def test_events_that_ingest_publishes_again_are_not_read() -> None:
    """An ingest that crashed repeats itself on train.events; history reads what ingest reads."""
    assert topics.TRAIN_EVENTS not in ADDERS
    assert {topics.OTLP_LOGS, topics.OTLP_SPANS, topics.OTLP_METRICS} <= set(ADDERS)


def test_offsets_that_begin_again(history_url: str, database: Client) -> None:
    """An embedded broker restarted: the same offsets hold other records. None is dropped, none doubled."""
    run = "reborn"

    async def play() -> None:
        await store(history_url, run, [sent(run, n, offset=n) for n in range(4)])
        new = [sent(run, 100 + n, offset=n) for n in range(6)]
        counts = await store(history_url, run, new)
        assert counts.replayed == 0
        assert (await store(history_url, run, new)).replayed == len(new)

    asyncio.run(play())
    check_once(database, run, [*range(4), *range(100, 106)])


@pytest.mark.usefixtures("no_tokens")
def test_offsets_reset_to_the_earliest(history_url: str, database: Client) -> None:
    """All is read again, after ClickHouse forgot the tokens: what was stored is told, and skipped unread."""
    run = "reset"
    records = [sent(run, n, ms=n * 30) for n in range(12)]

    async def play() -> None:
        sink = Sink(history_url, run)
        await sink.feed(records)
        await sink.stored(len(records))
        await sink.told()
        await sink.kill()
        more = [sent(run, n, ms=n * 30) for n in range(12, 15)]
        counts = await store(history_url, run, records + more)
        assert (counts.replayed, counts.records) == (12, 3)

    asyncio.run(play())
    check_once(database, run, range(15))


@pytest.mark.usefixtures("no_tokens")
@pytest.mark.parametrize("gone", ["first", "last"])
def test_a_planned_batch_of_which_a_part_is_gone(history_url: str, database: Client, gone: str) -> None:
    """Kafka's retention took the first records of a batch that was inserted, or the log was cut short."""
    run = f"gone-{gone}"
    records = [sent(run, n, ms=0) for n in range(6)]
    left = records[3:] if gone == "first" else records[:3]
    ends = None if gone == "first" else {(topics.OTLP_LOGS, 0): 3}

    async def play() -> None:
        await die_within(history_url, run, records, 2)
        await store(history_url, run, left, ends=ends)

    asyncio.run(play())
    check_once(database, run, range(6))


def test_a_sink_that_wakes_after_another_took_over(history_url: str, database: Client) -> None:
    """It stood still before an insert. Its insert is dropped, and what it would cut next is not its own."""
    run = "zombie"
    records = [sent(run, n, ms=n * 20) for n in range(12)]

    class Frozen:
        def __init__(self) -> None:
            self.stands, self.wakes = threading.Event(), threading.Event()
            self._writer = Writer(history_url)

        def insert(self, table: str, rows: pa.Table, token: str) -> int:
            self.stands.set()
            assert self.wakes.wait(WAIT_S)
            return self._writer.insert(table, rows, token)

    async def play() -> None:
        frozen = Frozen()
        zombie = Sink(history_url, run, writer=frozen)
        await zombie.feed(records[:3])
        assert await asyncio.to_thread(frozen.stands.wait, WAIT_S)
        await zombie.feed(records[3:8])
        # Another one cuts what the first has not written down yet by other limits.
        heir = Sink(history_url, run, limits=Limits(batch_bytes=600, span_s=0.05, grace_s=0.01))
        await heir.feed(records)
        await heir.stored(len(records))
        frozen.wakes.set()
        counts = await zombie.stored(8)
        assert counts.superseded >= 1
        await zombie.kill()
        await heir.kill()

    asyncio.run(play())
    check_once(database, run, range(12))


def test_two_sinks_that_both_believe_to_own_a_partition(history_url: str, database: Client) -> None:
    """However their turns fall, every record is stored once."""
    run = "rivals"
    records = [sent(run, n, ms=n * 7) for n in range(60)]

    async def play() -> None:
        rivals = [Sink(history_url, run, limits=QUICK), Sink(history_url, run, limits=Limits(span_s=0.03))]
        for start in range(0, len(records), 6):
            await asyncio.gather(*(rival.feed(records[start : start + 6]) for rival in rivals))
            await asyncio.sleep(0)
        for rival in rivals:
            await rival.stored(len(records))
        for rival in rivals:
            await rival.kill()

    asyncio.run(play())
    check_once(database, run, range(60))


def test_a_resend_waits_for_who_holds_it(history_url: str, database: Client, monkeypatch: Any) -> None:
    """The first copy was written down by a sink that died before its insert: the second copy is stored."""
    monkeypatch.setattr("stream.sink.settle.PATIENCE_S", 1.0)
    run = "orphan"

    async def play() -> None:
        await die_within(history_url, run, [sent(run, 0, partition=0, emitter=run)], 0)
        await store(history_url, run, [sent(run, 0, partition=1, emitter=run)])
        check_once(database, run, [0])
        await store(history_url, run, [sent(run, 0, partition=0, emitter=run)])

    asyncio.run(play())
    check_once(database, run, [0])


def test_a_replay_does_not_change_what_a_run_counts(history_url: str, database: Client) -> None:
    """train_runs is merged from maxima and minima: the same records again, in any batches, say the same."""
    run = "merged"
    sender = {**RESOURCE, "train.run.id": run, "train.emitter.id": run}
    ended = {"event": "train.lifecycle", "time": T0 + 9, "attributes": {"train.seq": 3, "state": "finished"}}
    requests = [logs(step(n, time=T0 + n), resource=sender) for n in range(3)] + [
        logs(ended, resource=sender)
    ]
    records = [Record(topics.OTLP_LOGS, 0, n, T0, value) for n, value in enumerate(requests)]
    other = [Record(topics.OTLP_LOGS, 1, n, T0 + n * 10**8, value) for n, value in enumerate(requests)]
    query = f"SELECT * FROM train_runs_latest WHERE run = '{run}'"

    async def play() -> None:
        await store(history_url, run, records)
        before = database.query(query).result_rows
        await store(history_url, run, other)
        assert database.query(query).result_rows == before

    asyncio.run(play())


def test_beacons_leave_nothing_behind_and_stop_nobody(history_url: str, database: Client) -> None:
    """They are acknowledged and not written down; steps between them are stored once, whoever reads again."""
    run = "beacons"

    def read(first: int, count: int) -> list[Record]:
        beacon = beacon_request(T0, "gateway", "test")
        return [
            sent(run, at) if at % 20 == 7 else Record(topics.OTLP_LOGS, 0, at, T0 + at * 10_000_000, beacon)
            for at in range(first, first + count)
        ]

    def planned() -> set[int]:
        rows = database.query(f"SELECT first_offset FROM trainwarden_batches WHERE source = '{run}'")
        return {row[0] for row in rows.result_rows}

    async def play() -> None:
        await store(history_url, run, read(100, 7))
        assert not planned()
        await die_within(history_url, run, read(107, 1), tables=1)
        await store(history_url, run, read(100, 30))
        batches = planned()
        assert len(batches) == 2
        assert 107 in batches
        await store(history_url, run, read(130, 15))
        assert planned() == batches
        await store(history_url, run, read(100, 60))

    asyncio.run(play())
    check_once(database, run, (107, 127, 147))
