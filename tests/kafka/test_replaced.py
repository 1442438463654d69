"""A topic that is deleted and made again under a trainer that reads it, on Apache Kafka."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

import emitter
from emitter.vocabulary import topics
from emitter.vocabulary.commands import Command
from stream import topics as stream_topics
from tests.emitter import kafka_side
from tests.emitter.receiver import Receiver
from tests.fixtures import free_port, wait_for
from tests.kafka.apache_kafka import ApacheKafka
from tests.keys import SENDER

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_commands_of_the_new_topic_arrive(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands before and three after: each arrives once, and the link notices the topic's new id."""
    run, seen = uuid.uuid4().hex, list[Command]()
    monkeypatch.setenv("TRAINWARDEN_TRUSTED_KEYS", str(SENDER.trust(tmp_path / "trusted_keys")))
    commands = [kafka_side.command(run, "save") for _ in range(5)]
    broker = ApacheKafka(tmp_path, free_port(), free_port())
    broker.format()
    emitter.on("save")(seen.append)
    try:
        broker.start()
        asyncio.run(stream_topics.apply(broker.bootstrap)).check()
        with Receiver() as receiver:
            emitter.init(
                run, run_id=run, endpoint=receiver.url, commands=f"kafka://{broker.bootstrap}",
                resources=False, logs=False, hooks=False,
            )  # fmt: skip
            kafka_side.send(broker.bootstrap, topics.REMEDIATION_COMMANDS, *commands[:2])
            _train_until(seen, 2)
            asyncio.run(kafka_side.made_anew(broker.bootstrap, topics.REMEDIATION_COMMANDS))
            kafka_side.send(broker.bootstrap, topics.REMEDIATION_COMMANDS, *commands[2:])
            _train_until(seen, 5)
            wait_for(lambda: "the topic was replaced" in caplog.text, 60, "the new topic's id to be noticed")
            emitter.shutdown()
    finally:
        emitter.shutdown()
        broker.stop()

    assert {one.id for one in seen} == {one.id for one in commands}
    assert len(seen) == 5


def _train_until(seen: list[Command], enough: int) -> None:
    def step() -> bool:
        emitter.step(len(seen), loss=1.0)
        return len(seen) >= enough

    wait_for(step, 90, f"{enough} commands")
