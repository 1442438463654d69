"""Commands over a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import time
import uuid
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

import emitter
from emitter import _api
from emitter.kafka import positions, topic_ids
from emitter.kafka.commands import KafkaLink
from emitter.vocabulary import topics
from emitter.vocabulary.commands import Ack, Command
from stream import topics as stream_topics
from tests.emitter import kafka_side
from tests.emitter.receiver import Receiver
from tests.fixtures import free_port, start_broker, wait_for
from tests.keys import SENDER

DONE = ["received", "scheduled", "running", "succeeded"]


def _init(run: str, bootstrap: str, receiver: Receiver, **settings: Any) -> None:
    emitter.init(
        run, run_id=run, endpoint=receiver.url, commands=f"kafka://{bootstrap}",
        resources=False, logs=False, hooks=False, **settings,
    )  # fmt: skip


def _train_until(done: Sized, enough: int = 1) -> int:
    """Call step() until the list has so many entries; how many steps it took."""
    steps = 0

    def step() -> bool:
        nonlocal steps
        emitter.step(steps, loss=1.0)
        steps += 1
        return len(done) >= enough

    wait_for(step, 60, "the command")
    return steps


def test_command_reaches_the_handler_and_acks_come_back(broker: str, receiver: Receiver) -> None:
    """From the topic to the handler to the topic of acknowledgements, in order, keyed by run."""
    run, seen = uuid.uuid4().hex, list[Command]()
    emitter.on("save")(seen.append)
    _init(run, broker, receiver)
    command = kafka_side.command(run, "save", args={"kind": "forensic"})
    kafka_side.send(broker, topics.REMEDIATION_COMMANDS, command)
    _train_until(seen)

    assert seen == [command]
    assert [ack.state for ack in kafka_side.acks_until(broker, run)] == DONE


def test_command_sent_before_the_start_is_found(broker: str, receiver: Receiver) -> None:
    """A command that was on the topic already is run, unless a predecessor acknowledged its end."""
    run, seen = uuid.uuid4().hex, list[Command]()
    old, new = kafka_side.command(run, "save"), kafka_side.command(run, "save")
    kafka_side.send(broker, topics.REMEDIATION_COMMANDS, old, new)
    ended = Ack(command=old.id, run=run, state="succeeded", time=old.issued, rank=0)
    kafka_side.send(broker, topics.REMEDIATION_ACKS, ended)
    emitter.on("save")(seen.append)
    _init(run, broker, receiver)
    _train_until(seen)
    emitter.shutdown()

    assert seen == [new]
    acks = kafka_side.acks_until(broker, run, final=2)
    assert [ack.state for ack in acks if ack.command == new.id] == DONE


def test_shutdown_flushes_acknowledgements(
    broker: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was acknowledged before the end arrives, without waiting for the deadline."""
    monkeypatch.setenv("TRAINWARDEN_SUPERVISOR", "1")
    run = uuid.uuid4().hex
    _init(run, broker, receiver, shutdown_s=60)
    kafka_side.send(broker, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "restart"))
    with pytest.raises(emitter.Restart):
        _train_until([])
    began = time.monotonic()
    emitter.shutdown()

    assert time.monotonic() - began < 30
    assert [ack.state for ack in kafka_side.acks_until(broker, run)] == DONE


@pytest.mark.parametrize("kind", ["nothing listens", "hangs"])
def test_dead_broker_costs_one_warning(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """Training goes on, one warning is logged, telemetry flows, shutdown is bounded."""
    with socket.create_server(("127.0.0.1", 0)) as server, caplog.at_level(logging.DEBUG):
        port = server.getsockname()[1] if kind == "hangs" else free_port()
        _init("dead", f"127.0.0.1:{port}", receiver, shutdown_s=3)
        if kind == "nothing listens":
            wait_for(lambda: "cannot read commands from" in caplog.text, what="the warning")
        emitter.step(1, loss=1.0)
        wait_for(lambda: receiver.records("train.step"), what="telemetry")
        began = time.monotonic()
        emitter.shutdown()

    assert time.monotonic() - began < 30
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == (1 if kind == "nothing listens" else len(warnings))
    assert {record.name for record in warnings} <= {"emitter"}


def test_broker_that_dies_does_not_hold_the_end_back(receiver: Receiver, tmp_path: Path) -> None:
    """With the broker gone, shutdown is over within its deadline and nothing is raised."""
    run, seen = uuid.uuid4().hex, list[Command]()
    emitter.on("save")(seen.append)
    child, bootstrap = start_broker(tmp_path / "broker.log")
    try:
        asyncio.run(stream_topics.apply(bootstrap)).check()
        _init(run, bootstrap, receiver, shutdown_s=3)
        kafka_side.send(bootstrap, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save"))
        _train_until(seen)
    finally:
        child.kill()
    began = time.monotonic()
    emitter.shutdown()

    assert time.monotonic() - began < 30


def test_topics_that_come_later_are_found(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A trainer that starts before the topics exist says so once, creates none, and obeys when they do."""
    run, seen = uuid.uuid4().hex, list[Command]()
    emitter.on("save")(seen.append)
    child, bootstrap = start_broker(tmp_path / "broker.log")
    try:
        _init(run, bootstrap, receiver)
        wait_for(lambda: "topic remediation.acks does not exist" in caplog.text, what="the warning")
        assert asyncio.run(_topics(bootstrap)) == set()
        asyncio.run(stream_topics.apply(bootstrap)).check()
        kafka_side.send(bootstrap, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save"))
        _train_until(seen)
        emitter.shutdown()
    finally:
        child.kill()
    assert caplog.text.count("cannot read commands from") == 1


async def _topics(bootstrap: str) -> set[str]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        return set(await consumer.topics())
    finally:
        await consumer.stop()


@pytest.mark.slow
def test_acknowledgements_that_cannot_be_read_do_not_hold_commands_up(
    receiver: Receiver, tmp_path: Path
) -> None:
    """Tansu counts, but never gives out, what is produced to it before the topic exists."""
    run, seen = uuid.uuid4().hex, list[Command]()
    emitter.on("save")(seen.append)
    child, bootstrap = start_broker(tmp_path / "broker.log")

    with contextlib.closing(asyncio.new_event_loop()) as loop:
        producer = loop.run_until_complete(_produce_first(bootstrap))
        child.kill()
        child, _ = start_broker(tmp_path / "broker.log", int(bootstrap.rpartition(":")[2]))
        loop.run_until_complete(_produce_too_early(producer))
    try:
        asyncio.run(stream_topics.apply(bootstrap)).check()
        _init(run, bootstrap, receiver)
        kafka_side.send(bootstrap, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save"))
        _train_until(seen)
        emitter.shutdown()
    finally:
        child.kill()
    assert len(seen) == 1


async def _produce_first(bootstrap: str) -> AIOKafkaProducer:
    await stream_topics.apply(bootstrap)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=False)
    await producer.start()
    await producer.send_and_wait(topics.REMEDIATION_ACKS, b"first", partition=0)
    return producer


async def _produce_too_early(producer: AIOKafkaProducer) -> None:
    """The producer remembers the topics of the broker before."""
    await producer.send_and_wait(topics.REMEDIATION_ACKS, b"second", partition=0)
    await producer.stop()


@pytest.mark.slow
def test_link_outlives_what_the_client_throws(broker: str, receiver: Receiver) -> None:
    """aiokafka cancels waiting calls when it closes a connection; that ends no link."""
    run, seen = uuid.uuid4().hex, list[Command]()
    emitter.on("save")(seen.append)
    _init(run, broker, receiver)
    assert _api._session is not None
    link = _api._session.link
    assert isinstance(link, KafkaLink)
    wait_for(lambda: link._connected, what="the connection")
    assert link._thread is not None
    assert link._task is not None
    link._thread.loop.call_soon_threadsafe(link._task.cancel)
    kafka_side.send(broker, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save"))
    _train_until(seen)

    assert [ack.state for ack in kafka_side.acks_until(broker, run)] == DONE


@pytest.mark.slow
def test_broker_that_restarts_is_found_again(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The embedded broker forgets everything when it restarts; commands sent afterwards still arrive."""
    run, seen = uuid.uuid4().hex, list[Command]()
    emitter.on("save")(seen.append)
    child, bootstrap = start_broker(tmp_path / "broker.log")
    try:
        asyncio.run(stream_topics.apply(bootstrap)).check()
        _init(run, bootstrap, receiver)
        kafka_side.send(bootstrap, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save"))
        _train_until(seen)
        # An acknowledgement still under way would reach the new broker before its topics do.
        kafka_side.acks_until(bootstrap, run)
        child.kill()
        child, _ = start_broker(tmp_path / "broker.log", int(bootstrap.rpartition(":")[2]))
        asyncio.run(stream_topics.apply(bootstrap)).check()
        seen.clear()
        command = kafka_side.command(run, "save")
        kafka_side.send(bootstrap, topics.REMEDIATION_COMMANDS, command)
        _train_until(seen)

        assert seen == [command]
        acks = kafka_side.acks_until(bootstrap, run, command=command)
        assert [ack.state for ack in acks if ack.command == command.id] == DONE
        emitter.shutdown()
    finally:
        child.kill()
    assert [record for record in caplog.records if record.name.startswith("aiokafka")] == []


@pytest.mark.slow
def test_quiet_topic_is_not_taken_for_another(
    broker: str, receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With commands of many runs in the topic, whose senders' clocks differ, and nothing new for a long time,
    the link stays as it is."""
    run, seen = uuid.uuid4().hex, list[Command]()
    emitter.on("save")(seen.append)
    asyncio.run(_send_with_clocks_apart(broker, run))
    looks: list[bytes | None] = []
    monkeypatch.setattr(positions, "WATCH_EVERY_S", 0.1)
    monkeypatch.setattr(positions, "topic_id", _counted(topic_ids.topic_id, looks))
    _init(run, broker, receiver)
    _train_until(seen)
    at_first = len(looks)
    wait_for(lambda: len(looks) > at_first + 40, 60, "the topic to be looked at")

    assert [record.getMessage() for record in caplog.records if record.name == "emitter"] == []
    assert set(looks) == {looks[0]}
    assert looks[0] not in (None, topic_ids.NO_ID)


async def _send_with_clocks_apart(bootstrap: str, run: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=False)
    await producer.start()
    try:
        for number in range(40):
            one = kafka_side.command(run if number == 39 else uuid.uuid4().hex, "save")
            when = int(time.time() * 1000) - 1000 * number
            await producer.send_and_wait(
                topics.REMEDIATION_COMMANDS, one.encode(), key=one.run.encode(), timestamp_ms=when,
                headers=list(SENDER.headers(one.encode()).items()),
            )  # fmt: skip
    finally:
        await producer.stop()


def _counted(ask: Callable[..., Any], looks: list[bytes | None]) -> Callable[..., Any]:
    async def asked(*about: Any) -> bytes | None:
        looks.append(await ask(*about))
        return looks[-1]

    return asked


@pytest.mark.slow
def test_topic_made_anew_is_read_from_its_beginning(
    bare: str, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """A topic that was deleted and made again, and has grown past the old one meanwhile, is another topic."""
    run, seen = uuid.uuid4().hex, list[Command]()
    emitter.on("save")(seen.append)
    asyncio.run(stream_topics.apply(bare)).check()
    _init(run, bare, receiver)
    kafka_side.send(bare, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save"))
    _train_until(seen)
    seen.clear()
    command = kafka_side.command(run, "save")
    asyncio.run(kafka_side.made_anew(bare, topics.REMEDIATION_COMMANDS))
    kafka_side.send(bare, topics.REMEDIATION_COMMANDS, command, kafka_side.command(run, "save", id="last"))
    _train_until(seen, 2)

    assert {one.id for one in seen} == {command.id, "last"}


def test_missing_extra_is_named(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without aiokafka one warning says what to install, and telemetry works."""
    monkeypatch.setitem(sys.modules, "aiokafka", None)
    monkeypatch.delitem(sys.modules, "emitter.kafka.commands", raising=False)
    _init("no-extra", "127.0.0.1:1", receiver)

    assert "pip install 'trainwarden[kafka]'" in caplog.text
    assert _api._session is not None
    assert _api._session.link is None


def test_only_rank_zero_listens(receiver: Receiver) -> None:
    """One process of a run reads commands; the other ranks open no connection."""
    _init("rank-1", "127.0.0.1:1", receiver, rank=1, world_size=2)

    assert _api._session is not None
    assert _api._session.link is None
