"""Records whose headers have names that are no UTF-8."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Final

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from emitter.kafka import headers
from emitter.vocabulary import topics
from stream.ledger.topics import whole
from stream.topics import apply
from tests import raw_headers
from tests.fixtures import read_topic
from tests.stream.loop_rig import Worker

NAMES: Final = st.one_of(st.binary(max_size=20), st.text(max_size=5).map(str.encode))
HEADERS: Final = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=30)), max_size=4)


@given(st.lists(st.tuples(st.binary(max_size=20), HEADERS), min_size=1, max_size=5), st.sampled_from([0, 1]))
def test_any_headers_are_read(records: list[raw_headers.Value], codec: int) -> None:
    """Whatever the names are, compressed or not: every record of every batch, with its value and headers."""
    data = bytes(raw_headers.builder(records, codec).build())
    found = []
    batches = headers._Records(data + data)
    while batches.has_next():
        batch = batches.next_batch()
        assert batch.next_offset == len(records)
        found += [(record.value, list(record.headers)) for record in batch]
    expected = [
        (value, [(raw.decode("utf-8", "replace"), content) for raw, content in pairs])
        for value, pairs in records
    ]
    assert found == expected * 2


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_worker_goes_on_behind_it(bare: str, tmp_path: Path) -> None:
    """The record itself is taken, and so are those before and behind it."""
    asyncio.run(apply(bare)).check()
    worker, runs = Worker(bare, tmp_path), [uuid.uuid4().hex for _ in range(4)]
    try:
        worker.wait_ready()
        asyncio.run(_write(bare, runs))
        batches = read_topic(
            bare, topics.TRAIN_EVENTS, timeout=120, enough=lambda found: len(found) >= len(runs),
            wanted=lambda record: record.key is not None and record.key.decode() in runs,
        )  # fmt: skip
        assert sorted(record.key.decode() for record in batches) == sorted(runs)
        assert "a header's name is no UTF-8" in worker.child.log()
        assert worker.child.stop() == 0
    finally:
        worker.child.kill()


async def _values(broker: str) -> list[bytes | None]:
    values: list[raw_headers.Value] = [(b"before", []), (b"at", [raw_headers.NO_TEXT]), (b"behind", [])]
    await raw_headers.send(broker, topics.REMEDIATION_INTENTS, values)
    return [value async for _, value in whole(broker, topics.REMEDIATION_INTENTS)]


def test_the_ledger_is_read_behind_it(bare: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every consumer that goes by our settings: nobody has to ask for it."""
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)
    asyncio.run(apply(bare)).check()
    assert asyncio.run(_values(bare)) == [b"before", b"at", b"behind"]


async def _write(broker: str, runs: list[str]) -> None:
    names: list[list[raw_headers.Header]] = [[], [raw_headers.NO_TEXT], []]
    records = [(_request(run), pairs) for run, pairs in zip(runs, names, strict=False)]
    await raw_headers.send(broker, topics.OTLP_LOGS, records)
    await raw_headers.send(broker, topics.OTLP_LOGS, [(_request(runs[-1]), [])])


def _request(run: str) -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="train.run.id").value.string_value = run
    group.scope_logs.add().log_records.add(time_unix_nano=1)
    return request.SerializeToString()


def test_it_is_needed() -> None:
    """aiokafka still cannot; when it can, this module can go."""
    data = bytes(raw_headers.builder([(b"v", [(b"\xff", None)])]).build())
    with pytest.raises(UnicodeDecodeError):
        list(MemoryRecords(data).next_batch())
