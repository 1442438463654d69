"""Rules that change under a running worker, over a real broker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from emitter.vocabulary import topics
from stream import events
from stream.faustkit.consume import Host
from stream.faustkit.outlet import Outlet
from stream.records import Outgoing
from stream.rulebook import agent as rulebook
from stream.rulebook import bundle, inforce
from stream.rulebook.bundle import Bundle
from tests.stream.loop_rig import RULES, Ends, Rank, Worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

TOPICS = (topics.TRAIN_DIAGNOSES, topics.TRAIN_EVENTS, topics.TRAIN_RULES)


def _rewrite(folder: Path, old: str, new: str) -> None:
    file = folder / "rules" / "rig.yaml"
    text = file.read_text()
    assert old in text
    # Written beside and moved into place, as editors and config maps do.
    fresh = file.with_suffix(".new")
    fresh.write_text(text.replace(old, new))
    fresh.replace(file)


def _switches(ends: Ends, text: str) -> set[int]:
    """The partitions on which rules with this text came into force."""
    found: set[int] = set()
    for record in ends.collected[topics.TRAIN_EVENTS]:
        message = events.decode(record.value)
        if isinstance(message, events.Rules) and text in str(bundle.decode(message.bundle).texts):
            found.add(record.partition)
    return found


async def _fires(ends: Ends, rank: Rank, step: int, norm: float) -> list[dict[str, Any]]:
    """The rules that fire on one step, once its echo shows that it was judged."""
    await ends.send(topics.OTLP_LOGS, rank.step(step, norm), rank.emitter)
    await ends.send(topics.OTLP_LOGS, rank.step(step + 1, 1e9), rank.emitter)
    run = rank.run
    await ends.wait(
        lambda: [one for one in ends.data(topics.TRAIN_DIAGNOSES, run) if one["evidence"]["grad_norm"] == 1e9
                 or one["step"] == step],
        "a diagnosis",
    )  # fmt: skip
    return [one for one in ends.data(topics.TRAIN_DIAGNOSES, run) if one["state"] == "firing"]


def test_a_changed_rule_holds_from_a_recorded_offset(own_topics: str, tmp_path: Path) -> None:
    """A new limit is picked up without a restart; a broken file leaves it."""

    async def scenario() -> None:
        worker = Worker(own_topics, tmp_path)
        try:
            worker.wait_ready()
            async with Ends(own_topics, *TOPICS) as ends:
                await _story(ends, worker)
        finally:
            worker.child.stop()

    async def _story(ends: Ends, worker: Worker) -> None:
        first = Rank(f"reload-{uuid.uuid4().hex[:8]}")
        (one,) = await _fires(ends, first, 5, 50.0)
        assert one["step"] == 5

        _rewrite(tmp_path, "grad_norm > 20", "grad_norm > 222")
        await ends.wait(lambda: _switches(ends, "grad_norm > 222") == {0, 1}, "the switch")
        second = Rank(f"reload-{uuid.uuid4().hex[:8]}")
        (one,) = await _fires(ends, second, 5, 50.0)
        assert one["step"] == 6

        _rewrite(tmp_path, "grad_norm > 222", "grad_nrom > 300")
        await ends.wait(lambda: "grad_nrom" in worker.child.log(), "the refusal in the worker's log")
        third = Rank(f"reload-{uuid.uuid4().hex[:8]}")
        (one,) = await _fires(ends, third, 5, 250.0)
        assert one["step"] == 5
        assert not _switches(ends, "grad_nrom")

    asyncio.run(scenario())


def test_every_worker_follows_whoever_changed(own_topics: str, tmp_path: Path) -> None:
    """Two workers share the partitions; a change in the files of one holds on all of them."""

    async def scenario() -> None:
        folders = [tmp_path / "a", tmp_path / "b"]
        for folder in folders:
            folder.mkdir()
        workers = [Worker(own_topics, folder, name=folder.name) for folder in folders]
        try:
            for worker in workers:
                worker.wait_ready()
            async with Ends(own_topics, *TOPICS) as ends:
                await ends.wait(
                    lambda: all(w.partitions().get(topics.TRAIN_EVENTS) for w in workers), "sharing"
                )
                _rewrite(folders[1], "grad_norm > 20", "grad_norm > 234")
                await ends.wait(lambda: _switches(ends, "grad_norm > 234") == {0, 1}, "the switches")
                for _ in range(6):  # runs on both partitions
                    rank = Rank(f"follow-{uuid.uuid4().hex[:8]}")
                    (one,) = await _fires(ends, rank, 5, 50.0)
                    assert one["step"] == 6
        finally:
            for worker in workers:
                worker.child.stop()

    asyncio.run(scenario())


def test_only_what_is_not_in_force_is_published(own_topics: str) -> None:
    """The same files again write nothing to train.rules; changed ones do, and are then in force."""

    async def scenario() -> None:
        outlet = Outlet(own_topics, 2)
        await outlet.start()
        try:
            host = Host(outlet)
            for limit in (20, 20, 30):
                ours = Bundle({"rig.yaml": RULES.replace("grad_norm > 20", f"grad_norm > {limit}")})
                before, length = await inforce.read(own_topics), await _length(own_topics)
                await rulebook.publish(host, ours, before)
                new = before is None or before.digest != ours.digest
                assert (await _length(own_topics) > length) is new
                after = await inforce.read(own_topics)
                assert after is not None
                assert after.digest == ours.digest
            assert new
        finally:
            await outlet.stop()

    asyncio.run(scenario())


def test_who_dies_in_the_middle_publishes_again(own_topics: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the switches and the packs: the next worker finds its rules not yet in force."""
    ours = Bundle({"rig.yaml": RULES.replace("grad_norm > 20", "grad_norm > 41")})

    async def scenario() -> None:
        outlet = Outlet(own_topics, 2)
        await outlet.start()
        try:
            with monkeypatch.context() as patch:
                patch.setattr(Outlet, "send", _once(Outlet.send))
                with pytest.raises(_KilledError):
                    await rulebook.publish(Host(outlet), ours, None)
            before = await inforce.read(own_topics)
            assert before is None or before.digest != ours.digest
            await rulebook.publish(Host(outlet), ours, before)
            after = await inforce.read(own_topics)
            assert after is not None
            assert after.digest == ours.digest
        finally:
            await outlet.stop()

    asyncio.run(scenario())


class _KilledError(Exception):
    """Stands for the kill."""


def _once(send: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """The first call goes through, the next one never happens."""
    sent: list[object] = []

    async def instead(outlet: Outlet, records: Sequence[Outgoing]) -> None:
        if sent:
            raise _KilledError
        sent.append(records)
        await send(outlet, records)

    return instead


def test_a_topic_that_cannot_be_read_in_time_holds_nobody_up(
    own_topics: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker says so and begins with its own rules."""
    asyncio.run(_publish(own_topics, Bundle({"rig.yaml": RULES})))
    monkeypatch.setattr(inforce, "PATIENCE_S", -1.0)
    assert asyncio.run(inforce.read(own_topics)) is None
    assert "not readable to its end" in caplog.text


async def _length(broker: str) -> int:
    place = TopicPartition(topics.TRAIN_RULES, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker)
    await consumer.start()
    try:
        return int((await consumer.end_offsets([place]))[place])
    finally:
        await consumer.stop()


async def _publish(broker: str, bundle: Bundle) -> None:
    outlet = Outlet(broker, 2)
    await outlet.start()
    try:
        await rulebook.publish(Host(outlet), bundle, None)
    finally:
        await outlet.stop()
