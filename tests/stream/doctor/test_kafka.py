"""What is said of brokers, topics, workers and dead letters; a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from emitter.vocabulary import topics as names
from stream import topics
from stream.doctor import Finding, Verdict, kafka
from tests.fixtures import free_port

Header = tuple[str, bytes]


async def _write(bootstrap: str, topic: str, value: bytes, headers: Sequence[Header] = ()) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, headers=list(headers))
    finally:
        await producer.stop()


def _look(bootstrap: str) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for one in asyncio.run(kafka.look(bootstrap)):
        found.setdefault(one.check, []).append(one)
    return found


def test_nobody_listens() -> None:
    """One line, with the address."""
    address = f"127.0.0.1:{free_port()}"
    ((found,),) = _look(address).values()
    assert (found.verdict, found.check) == (Verdict.error, "broker")
    assert found.said.startswith(f"{address} does not answer: ")


async def _create(bootstrap: str, topic: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()


def test_topics_that_are_missing_or_wrong(bare: str) -> None:
    """Are named with their cure, and none is created by asking."""
    for _ in range(2):
        found = _look(bare)
        assert set(found) == {"broker", "topics"}
        (missing,) = found["topics"]
        assert missing.verdict is Verdict.error
        assert missing.said.startswith("missing: otlp_logs, ")
        assert missing.cure == "`trainwarden topics apply` creates them"
    asyncio.run(_create(bare, names.REMEDIATION_INTENTS, 3))
    (wrong,) = _look(bare)["topics"]
    assert (wrong.verdict, wrong.said) == (
        Verdict.error, "topic remediation.intents: expected 1 partitions, found 3",
    )  # fmt: skip
    assert wrong.cure.startswith("stop the workers, delete the topic and apply again")


def test_workers_that_never_ran_and_letters_that_died(bare: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing there: all is well. Records that nobody reads, and one that nobody could read, are told."""
    monkeypatch.setattr(kafka, "BETWEEN_S", 0.2)
    asyncio.run(topics.apply(bare)).check()
    found = _look(bare)
    assert [one.said for one in found["topics"]] == [f"all {len(names.TOPICS)} are there, 2 partitions"]
    assert [one.said for one in found["dead letters"]] == ["none"]
    assert [one.said for one in found["workers"]] == [
        "loop: has read everything", "history: has read everything",
    ]  # fmt: skip

    asyncio.run(_write(bare, names.OTLP_LOGS, b"not OTLP"))
    values = (names.OTLP_LOGS, "1", "7", "ingest", "expected an OTLP request")
    headers = [(name, value.encode()) for name, value in zip(names.DEADLETTER_HEADERS, values, strict=True)]
    asyncio.run(_write(bare, names.TRAIN_DEADLETTERS, b"not OTLP", headers))
    found = _look(bare)
    assert [(one.verdict, one.said) for one in found["workers"]] == [
        (Verdict.error, "loop: 1 records wait and none was read in 0.2 s; none ever ran"),
        (Verdict.error, "history: 1 records wait and none was read in 0.2 s; none ever ran"),
    ]
    (dead,) = found["dead letters"]
    assert (dead.verdict, dead.said) == (
        Verdict.warning,
        "1 records could not be read; the newest, otlp_logs partition 1 offset 7, at ingest: "
        "expected an OTLP request",
    )
