"""The way out to Kafka: order, batches, and a broker that goes away."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from emitter.vocabulary import cloudevents
from emitter.vocabulary import topics as vocabulary
from emitter.vocabulary.commands import Command
from stream import topics
from stream.faustkit import outlet as module
from stream.faustkit.outbox import Outbox
from stream.faustkit.outlet import Outlet, partition_of
from stream.records import Outgoing
from tests.fixtures import start_broker
from tests.stream.loop_rig import until

pytestmark = pytest.mark.slow


async def read(bootstrap: str, topic: str, key: bytes, count: int) -> list[tuple[int, bytes]]:
    """The first records with this key: partition and value."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: list[tuple[int, bytes]] = []
    try:
        while len(found) < count:
            message = await asyncio.wait_for(consumer.getone(), 30)
            if message.key == key:
                found.append((message.partition, message.value))
    finally:
        await consumer.stop()
    return found


def test_keys_fall_where_other_clients_put_them() -> None:
    """Values of Kafka's own murmur2 partitioner for 2 and 10 partitions."""
    assert [partition_of(key, 10) for key in (b"run-1", b"run-2", b"a", b"")] == [
        partition_of(key, 10_000_000) % 10 for key in (b"run-1", b"run-2", b"a", b"")
    ]
    # org.apache.kafka.common.utils.UtilsTest: murmur2("21") == -973932308
    assert partition_of(b"21", 2**31) == -973932308 & 0x7FFFFFFF


def _command(number: int, size: int) -> bytes:
    moment = cloudevents.rfc3339(number)
    return Command(str(number), "outlet-order", "save", moment, moment, args={"note": "x" * size}).encode()


def test_records_of_a_partition_stay_in_order_across_batches(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many batches, one record larger than a batch among them."""
    monkeypatch.setattr(module, "BATCH_BYTES", 2000)
    key = b"outlet-order"
    # Commands of a run that nobody has: others read this topic too.
    values = [_command(n, 5000 if n == 50 else 100) for n in range(200)]

    async def scenario() -> list[tuple[int, bytes]]:
        outlet = Outlet(broker, topics.DEFAULT_PARTITIONS)
        await outlet.start()
        try:
            await outlet.send([Outgoing(vocabulary.REMEDIATION_COMMANDS, value, key) for value in values])
            await outlet.send([Outgoing(vocabulary.REMEDIATION_COMMANDS, _command(200, 0), key)])
        finally:
            await outlet.stop()
        return await read(broker, vocabulary.REMEDIATION_COMMANDS, key, len(values) + 1)

    found = asyncio.run(scenario())
    assert {partition for partition, _ in found} == {partition_of(key, topics.DEFAULT_PARTITIONS)}
    assert [value for _, value in found] == [*values, _command(200, 0)]


class Event:
    """Stands for a Faust event: counts acknowledgements."""

    def __init__(self) -> None:
        self.acked = False

    def ack(self) -> None:
        self.acked = True


def test_nothing_is_acknowledged_while_the_broker_does_not_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error says so; when the broker goes on, the record is there and its event acknowledged."""
    monkeypatch.setattr(module, "REQUEST_TIMEOUT_S", 1.0)
    child, bootstrap = start_broker(tmp_path / "broker.log")
    asyncio.run(topics.apply(bootstrap)).check()

    async def scenario() -> None:
        outlet, failures = Outlet(bootstrap, topics.DEFAULT_PARTITIONS), list[BaseException]()
        await outlet.start()
        outbox, event = Outbox(outlet, failures.append), Event()
        child.freeze()
        await outbox.room()
        outbox.put(event, [Outgoing(vocabulary.TRAIN_DIAGNOSES, b"v", b"k")])

        async def complained() -> bool:
            return "did not take 1 records" in caplog.text and "nothing is lost" in caplog.text

        await until(complained, "the error")
        assert not event.acked
        child.process.send_signal(signal.SIGCONT)

        async def acknowledged() -> bool:
            return event.acked

        await until(acknowledged, "the acknowledgement")
        assert failures == []
        await outbox.close()
        await outlet.stop()
        assert (await read(bootstrap, vocabulary.TRAIN_DIAGNOSES, b"k", 1))[0][1] == b"v"

    try:
        with caplog.at_level(logging.ERROR, logger=module.__name__):
            asyncio.run(scenario())
    finally:
        child.kill()


def test_a_flush_that_cannot_work_stops_the_worker(broker: str) -> None:
    """A record for a topic we do not know is a bug, and is not retried for ever."""

    async def scenario() -> list[BaseException]:
        outlet, failures = Outlet(broker, 2), list[BaseException]()
        await outlet.start()
        outbox, event = Outbox(outlet, failures.append), Event()
        await outbox.room()
        outbox.put(event, [Outgoing("no.such.topic", b"v", b"k")])

        async def failed() -> bool:
            return bool(failures)

        await until(failed, "the failure")
        await outbox.close()
        await outlet.stop()
        assert not event.acked
        return failures

    assert [type(error) for error in asyncio.run(scenario())] == [KeyError]


def test_an_outbox_holds_no_more_than_it_may() -> None:
    """Reading stops while the broker is slow, and goes on with each acknowledgement."""

    class Slow:
        def __init__(self) -> None:
            self.gate = asyncio.Event()

        async def send(self, records: object) -> None:
            await self.gate.wait()

    async def scenario() -> None:
        slow = Slow()
        outbox = Outbox(slow, pytest.fail, capacity=2)  # type: ignore[arg-type]
        events, result = [Event(), Event(), Event()], [Outgoing(vocabulary.TRAIN_DIAGNOSES, b"v")]
        for event in events[:2]:
            await outbox.room()
            outbox.put(event, result)
        third = asyncio.ensure_future(outbox.room())
        await asyncio.sleep(0)
        assert not third.done()
        slow.gate.set()
        await asyncio.wait_for(third, 30)
        outbox.put(events[2], [])

        async def all_acked() -> bool:
            return all(event.acked for event in events)

        await until(all_acked, "all acknowledgements")
        await outbox.close()

    asyncio.run(scenario())
