"""The other side of the command channel, for tests: sends commands, reads acknowledgements."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from emitter.vocabulary import cloudevents, commands, topics
from emitter.vocabulary.commands import Ack, Command
from stream import topics as stream_topics
from tests.fixtures import read_topic, wait_for_async
from tests.keys import SENDER


def command(run: str, action: str, **fields: Any) -> Command:
    """A command of now, good for ten minutes."""
    now_ns = time.time_ns()
    defaults = {
        "id": uuid.uuid4().hex,
        "issued": cloudevents.rfc3339(now_ns),
        "expires": cloudevents.rfc3339(now_ns + 600 * 10**9),
    }
    return Command(run=run, action=action, **{**defaults, **fields})


def send(bootstrap: str, topic: str, *messages: Command | Ack) -> None:
    """Produce CloudEvents, keyed by run and signed by SENDER."""
    asyncio.run(_send(bootstrap, topic, messages))


async def _send(bootstrap: str, topic: str, messages: tuple[Command | Ack, ...]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=False)
    await producer.start()
    try:
        for message in messages:
            value = message.encode()
            headers = list(SENDER.headers(value).items())
            await producer.send_and_wait(topic, value, key=message.run.encode(), headers=headers)
    finally:
        await producer.stop()


def acks_until(
    bootstrap: str, run: str, final: int = 1, *, command: Command | None = None, timeout: float = 60.0
) -> list[Ack]:
    """The run's acknowledgements, once so many of them are final, those of one command where given."""

    def enough(records: list[Any]) -> bool:
        found = [commands.decode_ack(record.value) for record in records]
        ended = [ack for ack in found if ack.state in commands.FINAL_STATES]
        return sum(command is None or ack.command == command.id for ack in ended) >= final

    records = read_topic(
        bootstrap, topics.REMEDIATION_ACKS, enough, lambda record: record.key == run.encode(), timeout
    )
    return [commands.decode_ack(record.value) for record in records]


async def made_anew(bootstrap: str, topic: str) -> None:
    """Delete one of our topics with what is in it, and make it again."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])
        await wait_for_async(lambda: _gone(admin, topic), 60, "the topic to go")
    finally:
        await admin.close()
    (await stream_topics.apply(bootstrap)).check()


async def _gone(admin: AIOKafkaAdminClient, topic: str) -> bool:
    return topic not in await admin.list_topics()
