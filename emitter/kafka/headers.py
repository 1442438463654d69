"""Kafka headers whose names are no UTF-8, which would stop a consumer at that record for ever.

Kafka says that a name is UTF-8, brokers do not look, and Go's clients write any bytes. aiokafka raises
UnicodeDecodeError at such a record each time that it comes to it. Overrides ``MemoryRecords`` where the
fetcher of aiokafka finds it: what it cannot read is read again, slowly, with U+FFFD for what is no text.
In a trainer only our own consumer is changed, its program may have others.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import FunctionType, MethodType
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy as SlowBatch
from aiokafka.record.memory_records import MemoryRecords

from emitter._guard import logger

_LENGTH: Final = slice(8, 12)
_BEFORE: Final = 12
"""Bytes of a batch that its length does not count."""


def take_any() -> None:
    """From now on, consumers of this process read records with any names of headers."""
    fetcher.MemoryRecords = _Records


def take_any_in(consumer: Any) -> None:
    """The same for this one, which has been started, and no other."""
    plain = type(consumer._fetcher)._proc_fetch_request
    names = {**plain.__globals__, "MemoryRecords": _Records}
    lenient = FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__, plain.__closure__)
    consumer._fetcher._proc_fetch_request = MethodType(lenient, consumer._fetcher)


class _Records:
    """What a broker answered to a fetch: batches one behind the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._batches = memoryview(data), MemoryRecords(data)
        self.has_next = self._batches.has_next
        self.size_in_bytes = self._batches.size_in_bytes

    def next_batch(self) -> _Batch:
        size = _BEFORE + int.from_bytes(self._data[_LENGTH], "big")
        batch, self._data = self._data[:size], self._data[size:]
        return _Batch(self._batches.next_batch(), batch)


class _Batch:
    """One batch; all but its records is as aiokafka has it."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch, self._data = batch, data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                read += 1
                yield record
        except UnicodeDecodeError as error:
            logger.warning("a header's name is no UTF-8: %s; it is read as far as it is", error)
            yield from islice(_slowly(self._data), read, None)


def _slowly(data: memoryview) -> Iterator[Any]:
    batch = SlowBatch(data)
    batch._maybe_uncompress()
    batch._buffer = _AnyText(batch._buffer)
    return iter(batch)


class _AnyText(bytes):
    """Bytes whose slices are decoded whatever they hold."""

    def __getitem__(self, place: Any) -> Any:
        part = super().__getitem__(place)
        return _AnyText(part) if isinstance(place, slice) else part

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, "replace")
