"""Loop workers that are killed in the middle of a window: another one says what the first would have said."""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from emitter.vocabulary import topics
from stream import events, lag
from stream import topics as administration
from stream.diagnose.engine import Engine
from stream.faustkit.outlet import partition_of
from stream.rulelang import load_packs
from stream.snapshots.files import FileShelf
from stream.snapshots.shelf import Shelf
from stream.snapshots.topic import TopicShelf
from tests.fixtures import APACHE, ENV_TEST_KAFKA, own_broker
from tests.stream.loop_rig import Ends, Rank, Worker, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

SECOND = 1_000_000_000
PACK = """
pack: recovery
rules:
  - id: lasting-loss
    category: loss_spike
    summary: "Loss {loss:.3g} (step {step})"
    on: train.step
    by: [run, rank]
    when: loss > 10
    for: 200s
  - id: slower
    category: throughput_drop
    summary: "{tokens_per_second:.0f} a second against {usual:.0f} (step {step})"
    on: train.step
    by: [run, rank]
    let: {usual: "mean(tokens_per_second, over='10m')", seen: "count(tokens_per_second, over='10m')"}
    when: seen > 50 and tokens_per_second < 0.8 * usual
"""


class Story:
    """One run of 100 steps, ten seconds of event time apart: high loss from step 60, slow from step 90 on."""

    def __init__(self, born_ns: int) -> None:
        self.run, self._born_ns = f"run-{uuid.uuid4().hex[:8]}", born_ns
        self._rank = Rank(self.run, clock=lambda: self._now)
        self._now = born_ns

    async def tell(self, ends: Ends, steps: Sequence[int], loss: float = 50.0) -> None:
        """Send these steps; ``loss`` is that from step 60 on."""
        for step in steps:
            self._now = self._born_ns + step * 10 * SECOND
            values = {"loss": loss if step >= 60 else 1.0, "tokens_per_second": 50.0 if step >= 90 else 100.0}
            record = self._rank.logs(("train.step", step, values))
            await ends.send(topics.OTLP_LOGS, record, self._rank.emitter)


def said(ends: Ends, run: str) -> set[tuple[str, str, str, str]]:
    """What was published about a run: rule, state, time and id."""
    return {(d["rule"], d["state"], d["time"], d["id"]) for d in ends.data(topics.TRAIN_DIAGNOSES, run)}


async def undisturbed(kafka: str, rules: Path, run: str) -> set[tuple[str, str, str, str]]:
    """What an engine says that reads the whole partition of this run from its beginning."""
    (number,) = {partition_of(run.encode(), 2)}
    place = TopicPartition(topics.TRAIN_EVENTS, number)
    engine, found = Engine(load_packs([rules])), set()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        await consumer.seek_to_beginning(place)
        while await consumer.position(place) < end:
            for record in (await consumer.getmany(place, timeout_ms=200)).get(place, []):
                message = events.decode(record.value)
                if not isinstance(message, events.Rules):
                    found |= {
                        (d.rule, d.state, d.time, d.id) for d in engine.process(message) if d.run == run
                    }
    finally:
        await consumer.stop()
    return found


async def read_so_far(kafka: str) -> None:
    """Until the workers have read, published and committed all that is there now."""
    for names in (topics.OTLP_TOPICS, (topics.TRAIN_EVENTS,)):
        ends = await lag.end_offsets(kafka, names)
        assert await lag.wait_until_read(kafka, lag.LOOP_GROUP, ends, 60.0) == 0


def begin(kafka: str, folder: Path, name: str) -> Worker:
    """A worker with the pack above beside the rig's own."""
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "recovery.yaml").write_text(PACK)
    return Worker(kafka, folder, name=name)


async def snapshot_of_now(kafka: str, data_dir: Path, number: int) -> None:
    """Until a snapshot stands for all that this partition of the events holds now."""
    (end,) = [
        at for place, at in (await lag.end_offsets(kafka, (topics.TRAIN_EVENTS,))).items()
        if place.partition == number
    ]  # fmt: skip

    async def kept() -> bool:
        async for stored in shelf(kafka, data_dir).newest(number):
            if stored.head.first >= end - 1:
                return True
        return False

    await until(kept, "a snapshot")


def shelf(kafka: str, data_dir: Path) -> Shelf:
    """Where a worker with this data directory keeps its snapshots."""
    if os.environ.get(ENV_TEST_KAFKA) == APACHE:
        return TopicShelf(kafka, _never)
    return FileShelf(data_dir / "snapshots")


async def _never(records: object) -> None:
    raise AssertionError("tests only read")


@pytest.mark.parametrize(
    "same_disk", [True, pytest.param(False, marks=pytest.mark.nightly)], ids=["same-disk", "another-machine"]
)
def test_killed_and_moved_in_the_middle_of_windows(tmp_path: Path, same_disk: bool) -> None:
    """kill -9 within `for: 200s` and `over='10m'`, then a move and a stop: same diagnoses, ids, event times.

    On the embedded broker a worker on another machine finds no snapshot and replays the topic.
    """
    story = Story(born_ns=1_700_000_000 * SECOND)
    number = partition_of(story.run.encode(), 2)
    names = ["first"] * 3 if same_disk else ["first", "second", "third"]
    workers: list[Worker] = []

    async def one_more(kafka: str) -> Worker:
        worker = begin(kafka, tmp_path, names[len(workers)])
        workers.append(worker)
        await asyncio.get_running_loop().run_in_executor(None, worker.wait_ready)
        return worker

    async def scenario(kafka: str) -> None:
        first = await one_more(kafka)
        async with Ends(kafka, topics.TRAIN_DIAGNOSES, topics.TRAIN_DEADLETTERS) as ends:
            await story.tell(ends, range(65))
            await read_so_far(kafka)
            await snapshot_of_now(kafka, tmp_path / names[0], number)
            await story.tell(ends, range(65, 70))
            await read_so_far(kafka)
            assert said(ends, story.run) == set()
            first.child.kill()
            await story.tell(ends, range(70, 75))
            second = await one_more(kafka)
            await story.tell(ends, range(75, 79))
            await read_so_far(kafka)
            assert said(ends, story.run) == set()
            assert_taken_over(second, number, same_disk)
            third = await one_more(kafka)
            both = (second, third)
            await ends.wait(lambda: all(len(held(one)) == 1 for one in both), "one partition for each", 120)
            await story.tell(ends, range(79, 95))
            await ends.wait(lambda: len(said(ends, story.run)) == 2, "both diagnoses")
            holder, other = both if held(second) == [number] else both[::-1]
            assert await asyncio.get_running_loop().run_in_executor(None, holder.child.stop) == 0
            await ends.wait(lambda: len(held(other)) == 2, "both partitions at the other", 120)
            await story.tell(ends, range(95, 100))
            await story.tell(ends, [100], loss=1.0)
            await ends.wait(lambda: len(said(ends, story.run)) == 3, "the end of the lasting one")
            await read_so_far(kafka)
            found = said(ends, story.run)
            assert {(rule, state) for rule, state, *_ in found} == {
                ("lasting-loss", "firing"), ("slower", "firing"), ("lasting-loss", "resolved"),
            }  # fmt: skip
            assert found == await undisturbed(kafka, tmp_path / "rules", story.run)
            assert ends.collected[topics.TRAIN_DEADLETTERS] == []
            assert await asyncio.get_running_loop().run_in_executor(None, other.child.stop) == 0

    with own_broker(tmp_path) as kafka:
        asyncio.run(administration.apply(kafka, 2)).check()
        try:
            asyncio.run(scenario(kafka))
        finally:
            for worker in workers:
                worker.child.kill()


def held(worker: Worker) -> list[int]:
    """The partitions of the events that it holds."""
    return worker.partitions().get(topics.TRAIN_EVENTS, [])


def assert_taken_over(worker: Worker, number: int, same_disk: bool) -> None:
    """From a snapshot where there is one that this worker can read."""
    none = not same_disk and os.environ.get(ENV_TEST_KAFKA) != APACHE
    how = "the records since" if none else "a snapshot at"
    pattern = rf"train.events\[{number}\]: taken over at record \d+ from {how}"
    assert re.search(pattern, worker.child.log()), worker.child.log()
