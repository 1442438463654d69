"""Building blocks for tests of takeovers: a log, a worker's partition that reads it, its snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emitter.vocabulary import topics
from stream import events
from stream.diagnose.engine import Engine
from stream.diagnose.partition import Partition
from stream.diagnose.replay import Replay
from stream.diagnose.taking import Taking
from stream.events import Message
from stream.progress import Place
from stream.records import Incoming, Outgoing
from stream.rulebook import bundle
from stream.rulebook.bundle import Bundle
from stream.snapshots import form
from stream.snapshots.form import Head

BORN_MS = 1_700_000_000_000


def encoded_rules(*texts: str) -> bytes:
    """The bundle of these rules, as it travels."""
    body = "\n".join(f"  {line}" for text in texts for line in text.splitlines())
    return Bundle({"test.yaml": f"pack: test\nrules:\n{body}\n"}).encode()


def log_of(messages: Sequence[Message], born_ms: int = BORN_MS) -> list[Incoming]:
    """The messages as records of one partition."""
    return [
        Incoming(topics.TRAIN_EVENTS, 0, offset, events.encode(message), timestamp_ms=born_ms + 7 * offset)
        for offset, message in enumerate(messages)
    ]


def fresh(rules: bytes) -> Partition:
    """A partition before its first record."""
    return Partition(rules, Engine(bundle.loaded(rules)))


def read(partition: Partition, records: Sequence[Incoming]) -> list[Outgoing]:
    """What a worker makes of these records, as its inbox does it."""
    return [
        made
        for record in records
        if partition.progress.place(record) is not Place.REPEATED
        for made in partition.take(record)
    ]


class Taken:
    """A snapshot and the chunks it consists of."""

    def __init__(self, partition: Partition, between: Callable[[], object] = lambda: None) -> None:
        """``between`` is called after each piece: more records may be read there."""
        taking, self.chunks = Taking(partition), list[bytes]()
        while (some := taking.next()) is not None:
            self._put(taking, some)
            between()
        self._put(taking, taking.packer.rest())
        self.head: Head = taking.head()

    def _put(self, taking: Taking, some: object) -> None:
        for chunk in some:  # type: ignore[attr-defined]
            packed = form.pack(chunk)
            assert taking.packer.count(packed) == len(self.chunks)
            self.chunks.append(packed)

    def taken_over(self, log: Sequence[Incoming], offset: int) -> Partition:
        """The partition of another worker, which is given the records from ``offset`` on."""
        head = form.decode_head(form.encode_head(self.head))
        replay = Replay(form.assemble(head, self.chunks))
        goes_on = max(offset, head.last + 1)
        for record in log[head.first : goes_on]:
            replay.take(record)
        return replay.done(goes_on)
