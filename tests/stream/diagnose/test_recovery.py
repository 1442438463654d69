"""Recovery on a real broker: snapshots in the topic and in files, and what is done without."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from emitter.vocabulary import topics
from stream import events
from stream import topics as administration
from stream.diagnose.inbox import Inbox
from stream.diagnose.keeper import Keeper
from stream.diagnose.recovery import Recovery
from stream.events import Batch, Message
from stream.faustkit.outlet import Outlet
from stream.kafka import reach
from stream.records import Incoming, Outgoing
from stream.rulebook import bundle
from stream.snapshots import form
from stream.snapshots.files import FileShelf
from stream.snapshots.shelf import Shelf
from stream.snapshots.topic import HEAD, HEADER_ID, HEADER_NUMBER, TopicShelf
from tests.fixtures import own_broker, wait_for_async
from tests.stream.diagnose.stories import rule, step
from tests.stream.diagnose.streams import batch
from tests.stream.diagnose.takeovers import encoded_rules

pytestmark = pytest.mark.timeout(420)
RULES = encoded_rules(rule("when: loss > 10\nfor: 40s", name="lasting"))
STEPS = 60


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of one's own, with a partition for each test."""
    with own_broker(tmp_path_factory.mktemp("recovery")) as bootstrap:
        asyncio.run(administration.apply(bootstrap, 12)).check()
        yield bootstrap


class Site:
    """A partition with a log of sixty steps, loss high from step 20, and workers that read it."""

    def __init__(self, kafka: str, number: int, shelf: Shelf, outlet: Outlet) -> None:
        self.kafka, self.number, self.shelf, self.outlet = kafka, number, shelf, outlet
        self.log: list[Incoming] = []

    def inbox(self) -> Inbox:
        return Inbox(bundle.loaded(RULES), RULES)

    async def write(self, count: int = STEPS) -> None:
        """The log, and how it is read back."""
        producer = AIOKafkaProducer(**reach(self.kafka), enable_idempotence=False)
        await producer.start()
        try:
            for number in range(count):
                value = events.encode(self._message(number))
                sent = await producer.send_and_wait(
                    topics.TRAIN_EVENTS, value, partition=self.number, timestamp_ms=1_700_000_000_000 + number
                )
                self.log.append(
                    Incoming(sent.topic, sent.partition, sent.offset, value, timestamp_ms=sent.timestamp)
                )
        finally:
            await producer.stop()

    def _message(self, number: int) -> Message:
        loss = 50.0 if number >= 20 else 1.0
        one: Batch = batch([(0, step(number, seq=number, at=2.0 * number, loss=loss))], number)
        return msgspec.structs.replace(one, run=f"run-{self.number}")

    async def keep(self, inbox: Inbox) -> bool:
        """Take a snapshot of what this worker holds."""
        keeper = Keeper(inbox, self.shelf, _at_once)
        return await keeper.take(self.number, inbox.held[self.number])

    async def taken_over(self, offset: int) -> tuple[Inbox, list[Outgoing]]:
        """Another worker, which is given the records from this one on, and what it says of them."""
        inbox = self.inbox()
        recovery = Recovery(self.kafka, self.shelf, inbox)
        inbox.begin(self.number, await recovery.recover(self.log[offset]))
        return inbox, [made for record in self.log[offset:] for made in inbox.event(record)]


async def _at_once() -> None:
    """What was made is on the broker already."""


def shelf_of(kind: str, kafka: str, outlet: Outlet, folder: Path) -> Shelf:
    """The place for snapshots that is tested."""
    return TopicShelf(kafka, outlet.send) if kind == "topic" else FileShelf(folder)


async def begun(kafka: str, number: int, kind: str, folder: Path) -> AsyncIterator[Site]:
    """A site whose first worker has read half of the log."""
    outlet = Outlet(kafka, 12)
    await outlet.start()
    try:
        site = Site(kafka, number, shelf_of(kind, kafka, outlet, folder), outlet)
        await site.write()
        yield site
    finally:
        await outlet.stop()


def said(caplog: pytest.LogCaptureFixture) -> str:
    """What was logged by us."""
    return "\n".join(one.getMessage() for one in caplog.records if one.name.startswith("stream"))


@pytest.mark.parametrize(("kind", "number"), [("topic", 0), ("files", 1)])
def test_the_newest_whole_snapshot_counts(
    kafka: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, number: int
) -> None:
    """Several were taken, then half of one: the last whole one is used, and the window goes on."""

    async def scenario() -> None:
        async for site in begun(kafka, number, kind, tmp_path):
            inbox = site.inbox()
            for record in site.log[:35]:
                assert inbox.event(record) == []
                if record.offset in (5, 10, 20, 30):
                    assert await site.keep(inbox)
            await site.shelf.put(number, "half", 0, b"of a snapshot")
            with caplog.at_level(logging.INFO):
                _, made = await site.taken_over(36)
            assert len(made) == 1
            whole = site.inbox()
            assert made == [one for record in site.log for one in whole.event(record)]
            assert f"taken over at record 36 from a snapshot at {30}" in said(caplog)

    asyncio.run(scenario())


@pytest.mark.parametrize(("kind", "number"), [("topic", 2), ("files", 3)])
def test_without_a_snapshot_the_topic_is_replayed(
    kafka: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, number: int
) -> None:
    """The log says so once; what the rules look back on is read again."""

    async def scenario() -> None:
        async for site in begun(kafka, number, kind, tmp_path):
            with caplog.at_level(logging.INFO):
                _, made = await site.taken_over(36)
            assert len(made) == 1
            assert said(caplog).count("there is no snapshot to go on from") == 1
            assert "taken over at record 36 from the records since 0" in said(caplog)

    asyncio.run(scenario())


@pytest.mark.parametrize(("kind", "number"), [("topic", 4), ("files", 5)])
def test_a_damaged_snapshot_costs_a_line_in_the_log(
    kafka: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, number: int
) -> None:
    """And a longer replay."""

    async def scenario() -> None:
        async for site in begun(kafka, number, kind, tmp_path):
            inbox = site.inbox()
            for record in site.log[:35]:
                inbox.event(record)
            assert await site.keep(inbox)
            await damage(site, tmp_path)
            with caplog.at_level(logging.INFO):
                _, made = await site.taken_over(36)
            assert len(made) == 1
            assert "it is cut off or damaged" in said(caplog)
            assert "from the records since 0" in said(caplog)

    asyncio.run(scenario())


async def damage(site: Site, folder: Path) -> None:
    """Change a byte of a chunk, where it lies."""
    async for stored in site.shelf.newest(site.number):
        chunk = stored.chunks[0]
        bad = chunk[:9] + bytes([chunk[9] ^ 1]) + chunk[10:]
        if isinstance(site.shelf, FileShelf):
            path = folder / f"{site.number}.snapshot"
            path.write_bytes(path.read_bytes().replace(chunk, bad))
        else:
            headers = [(HEADER_ID, stored.head.id.encode()), (HEADER_NUMBER, b"0")]
            record = Outgoing(topics.TRAIN_SNAPSHOTS, bad, b"0/0", partition=site.number, headers=headers)
            await site.outlet.send([record])


@pytest.mark.parametrize(("kind", "number"), [("topic", 6), ("files", 7)])
def test_a_snapshot_of_another_version_or_life_is_left_alone(
    kafka: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, number: int
) -> None:
    """A newer version's head, and a head whose witness is a record of another life of the topic."""

    async def scenario() -> None:
        async for site in begun(kafka, number, kind, tmp_path):
            inbox = site.inbox()
            for record in site.log[:35]:
                inbox.event(record)
            assert await site.keep(inbox)
            (stored,) = [one async for one in site.shelf.newest(number)]
            foreign = msgspec.structs.replace(stored.head, id="foreign", witness=b"another", last=9_999)
            newer = msgspec.structs.replace(stored.head, id="newer", version=form.VERSION + 1)
            for head, why in (
                (foreign, "gone or another one now"),
                (newer, "it is of version 2, expected 1"),
            ):
                for at, chunk in enumerate(stored.chunks):
                    await site.shelf.put(number, head.id, at, chunk)
                await site.shelf.finish(number, head)
                caplog.clear()
                with caplog.at_level(logging.INFO):
                    _, made = await site.taken_over(36)
                assert len(made) == 1
                assert why in said(caplog)

    asyncio.run(scenario())


def test_files_of_an_earlier_life_of_the_broker(
    kafka: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`up` started again: offsets begin at 0, and the file in the data directory stands for other records."""

    async def scenario() -> None:
        async for before in begun(kafka, 9, "files", tmp_path):
            inbox = before.inbox()
            for record in before.log[:35]:
                inbox.event(record)
            assert await before.keep(inbox)
            (tmp_path / "9.snapshot").rename(tmp_path / "10.snapshot")
        async for after in begun(kafka, 10, "files", tmp_path):
            with caplog.at_level(logging.INFO):
                inbox, made = await after.taken_over(36)
            assert len(made) == 1
            assert list(inbox.held[10].engine.runs) == ["run-10"]
            assert "record 34 of train.events is gone or another one now" in said(caplog)
            with caplog.at_level(logging.INFO):
                caplog.clear()
                inbox, made = await after.taken_over(0)
            assert len(made) == 1
            assert said(caplog) == ""

    asyncio.run(scenario())


def test_slots_take_turns(kafka: str) -> None:
    """After compaction there are two snapshots at most, and the newest is whole at any moment."""
    keys: list[list[str]] = []

    async def noted(records: Sequence[Outgoing]) -> None:
        keys.append([(one.key or b"").decode() for one in records])

    async def scenario() -> None:
        async for site in begun(kafka, 8, "topic", Path()):
            inbox = site.inbox()

            site.shelf = TopicShelf(kafka, noted)
            for record in site.log[:4]:
                inbox.event(record)
                assert await site.keep(inbox)
            assert keys == [["0/0"], ["0/head"], ["1/0"], ["1/head"]] * 2

    asyncio.run(scenario())


def test_a_shelf_that_cannot_be_written_costs_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk or a wrong folder stops no worker; it is said once, not every five seconds."""

    async def scenario() -> None:
        inbox = Inbox(bundle.loaded(RULES), RULES)
        message = batch([(0, step(0, seq=0, loss=1.0))], 0)
        inbox.event(Incoming(topics.TRAIN_EVENTS, 0, 0, events.encode(message)))
        (tmp_path / "file").write_text("in the way")
        keeper = Keeper(inbox, FileShelf(tmp_path / "file"), _at_once, every_s=0.01)
        for _ in range(3):
            await keeper._guarded(0, inbox.held[0])
        assert said(caplog).count("its snapshot cannot be kept") == 1

    assert HEAD == "head"
    asyncio.run(scenario())


def test_the_first_snapshot_does_not_wait_for_its_turn(tmp_path: Path) -> None:
    """Whoever is killed again soon after a takeover has got further than before."""

    async def scenario() -> None:
        inbox, shelf = Inbox(bundle.loaded(RULES), RULES), FileShelf(tmp_path)
        message = batch([(0, step(0, seq=0, loss=1.0))], 0)
        inbox.event(Incoming(topics.TRAIN_EVENTS, 0, 0, events.encode(message)))
        keeping = asyncio.ensure_future(Keeper(inbox, shelf, _at_once, every_s=3600.0).run())

        async def kept() -> list[int]:
            return [one.head.first async for one in shelf.newest(0)]

        assert await wait_for_async(kept, what="the first snapshot") == [0]
        keeping.cancel()

    asyncio.run(scenario())


def test_a_partition_that_went_away_gets_no_snapshot(tmp_path: Path) -> None:
    """Another worker has it, and writes its own."""

    async def scenario() -> None:
        inbox = Inbox(bundle.loaded(RULES), RULES)
        message = batch([(0, step(0, seq=0, loss=1.0))], 0)
        inbox.event(Incoming(topics.TRAIN_EVENTS, 0, 0, events.encode(message)))
        partition = inbox.held[0]

        async def flushed() -> None:
            inbox.keep([])

        assert not await Keeper(inbox, FileShelf(tmp_path), flushed).take(0, partition)
        assert [one async for one in FileShelf(tmp_path).newest(0)] == []

    asyncio.run(scenario())
