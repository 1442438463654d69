"""From what waits in the queue to requests: values converted, encoded, and packed below a size limit."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from emitter._clock import Clock
from emitter._guard import guard
from emitter._intake import Intake
from emitter._queue import BAD_VALUE, CUT, INTERNAL, Queue
from emitter._records import LOGS, TRACES, Item, Log, Payload
from emitter._values import INT_MAX, INT_MIN, Attribute, clip, flatten, scalar
from emitter.otlp import encoder as otlp
from emitter.otlp import wire
from emitter.otlp.columns import FEWEST, Columns, key_of
from emitter.otlp.encoder import Encoder
from emitter.vocabulary import attributes

BODY_LIMIT: Final = 32768
REQUEST_LIMIT: Final = 900_000
"""Bytes: a request becomes one Kafka message, and those end at 1 MB."""

RECORD_LIMIT: Final = 256 * 1024
"""Bytes of one record; what is longer is cut."""

SLICE: Final = 256
"""Records encoded in one go, a fifth of a millisecond; then other threads may run."""

_HOT: Final = 6
"""Fields of a step's row."""

_OWN: Final[tuple[str, ...]] = (attributes.STEP, attributes.EPOCH, attributes.SEQ)


class Block(NamedTuple):
    """Encoded records, as fields of ScopeLogs or ScopeSpans."""

    data: bytes | bytearray
    records: int


class Packer:
    """Takes from the queue; what it has taken and not handed out yet is ``left``."""

    def __init__(
        self, queue: Queue, encoder: Encoder, clock: Clock, batch_size: int, intake: Intake | None = None
    ) -> None:
        self._queue, self._encoder, self._clock, self.batch_size = queue, encoder, clock, batch_size
        self._intake = intake or Intake(queue)
        self._columns = Columns(clock.unix_ns(0))
        self._blocks: dict[str, deque[Block]] = {LOGS: deque(), TRACES: deque()}

    @property
    def left(self) -> int:
        """Records that are encoded and wait for the next request."""
        return sum(block.records for blocks in self._blocks.values() for block in blocks)

    def request(self, signal: str) -> Payload | None:
        """The next request of this signal; None when nothing waits."""
        blocks, taken = self._blocks[signal], list[Block]()
        try:
            size = records = 0
            while records < self.batch_size:
                if not blocks and not self._fill(signal, self.batch_size - records):
                    break
                if taken and size + len(blocks[0].data) > REQUEST_LIMIT:
                    break
                block = blocks.popleft()
                taken.append(block)
                size, records = size + len(block.data), records + block.records
            return (
                self._encoder.payload(signal, [block.data for block in taken], records) if records else None
            )
        except BaseException:
            blocks.extendleft(reversed(taken))
            raise

    def _fill(self, signal: str, most: int) -> bool:
        """Encode the next slice; False when the queue is empty."""
        most, blocks = min(SLICE, most), self._blocks[signal]
        while not blocks and (rows := self._take(signal, most)):
            blocks.extend(self._safely(self._logs if signal == LOGS else _spans, rows))
        return bool(blocks)

    def _take(self, signal: str, most: int) -> list[Any]:
        queue = self._queue
        spans = queue.spans
        rows = (
            self._intake.take(most)
            if signal == LOGS
            else [spans.popleft() for _ in range(min(len(spans), most))]
        )
        if len(rows) == most and len(queue.items if signal == LOGS else spans) < self.batch_size:
            time.sleep(0)  # lets go of the interpreter between two slices; not while the queue grows
        return rows

    def _safely(self, encode: Callable[[list[Any]], Iterable[Block]], rows: list[Any]) -> Iterable[Block]:
        """The rows' blocks. A row that cannot be encoded, a bug of ours, is counted, and only that one."""
        try:
            return encode(rows)
        except Exception:
            if len(rows) > 1:
                return [block for row in rows for block in self._safely(encode, [row])]
            self._queue.lose(INTERNAL)
            with guard:
                raise
            return []

    def _logs(self, rows: list[Any]) -> list[Block]:
        return self._uniform(rows) or self._mixed(rows)

    def _uniform(self, rows: list[Any]) -> list[Block]:
        """One block where all rows are of one shape; nothing otherwise."""
        if len(rows) < FEWEST or {*map(type, rows)} != {tuple}:
            return []
        found = self._columns.block(rows)
        if found is None:
            return []
        data, length = found
        if len(data) <= RECORD_LIMIT:
            return [Block(data, len(rows))]
        return [Block(data[start : start + length], 1) for start in range(0, len(data), length)]

    def _mixed(self, rows: list[Any]) -> list[Block]:
        """One block a row, in order; rows of one shape are still encoded together."""
        groups: dict[Any, list[int]] = {}
        for place, row in enumerate(rows):
            groups.setdefault(_shape(row), []).append(place)
        made: dict[int, Block] = {}
        for places in groups.values():
            blocks = self._uniform([rows[place] for place in places]) if len(groups) > 1 else []
            if len(blocks) == 1:
                length = len(blocks[0].data) // len(places)
                blocks = [
                    Block(blocks[0].data[start : start + length], 1)
                    for start in range(0, length * len(places), length)
                ]
            blocks = blocks or [Block(self._one(Item(*rows[place])), 1) for place in places]
            made |= zip(places, blocks, strict=True)
        return [made[place] for place in range(len(rows))]

    def _one(self, item: Item) -> bytes:
        record = self._convert(item)
        data = otlp.log(record)
        if len(data) <= RECORD_LIMIT and len(item.body or "") <= BODY_LIMIT:
            return data
        self._queue.lose(CUT)
        return data if len(data) <= RECORD_LIMIT else otlp.log(_cut(record))

    def _convert(self, item: Item) -> Log:
        try:
            values, bad = flatten(item.values or {})
        except Exception:  # noqa: BLE001 - a name's own code may raise anything
            values, bad = {}, 1
        bad += _place(values, attributes.STEP, item.step, int)
        bad += _place(values, attributes.EPOCH, item.epoch, float)
        values[attributes.SEQ] = item.seq
        if bad:
            self._queue.lose(BAD_VALUE, bad)
        body = None if item.body is None else clip(item.body, BODY_LIMIT)
        return Log(item.seq, self._clock.unix_ns(item.monotonic_ns), item.name, values, body, item.severity)


def _spans(rows: list[Any]) -> list[Block]:
    return [Block(b"".join(map(otlp.span, rows)), len(rows))]


def _shape(row: Any) -> Any:
    """Rows with the same answer may be of one shape; None for those that are not worth a try."""
    if type(row) is not tuple or len(row) != _HOT or type(row[5]) is not dict:
        return None
    try:
        key = key_of(row)
        hash(key)
    except Exception:  # noqa: BLE001 - a name's own code may raise anything
        return None
    return key


def _cut(record: Log) -> Log:
    """The record with as many of its values as fit, and its own numbers."""
    kept: dict[str, Attribute] = {name: record.attributes[name] for name in _OWN if name in record.attributes}
    room = RECORD_LIMIT - len(wire.text(record.body or "")) - 8192
    for name, value in record.attributes.items():
        size = len(wire.attributes(b"2", {name: value}))
        if name not in kept and size <= room:
            kept[name], room = value, room - size
    return record._replace(name=clip(record.name, 1024), attributes=kept)


def _place(values: dict[str, Attribute], name: str, value: Any, kind: type[int] | type[float]) -> int:
    """Put step or epoch in as a number; 1 where that cannot be."""
    if value is None:
        return 0
    try:
        number = kind(scalar(value))
        if not INT_MIN <= number <= INT_MAX and kind is int:
            return 1
        values[name] = number
    except Exception:  # noqa: BLE001 - a value's own code may raise anything
        return 1
    return 0
