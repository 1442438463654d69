"""Records of one shape, read by offsets instead of attribute by attribute, which is several times as fast.

A trainer's steps differ only in numbers. From one record we learn where the numbers lie in its bytes; a
record whose other bytes are all the same means the same, with other numbers. Anything else (text, nesting,
a body) is left to the general way. Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from emitter.vocabulary import attributes
from emitter.vocabulary import events as vocabulary
from stream.events import Event, Value

Names = Callable[[dict[str, Value]], dict[str, Value]]

# Wire types, and the field numbers of LogRecord, KeyValue and AnyValue that matter here.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_TIME, _BODY, _ATTRIBUTE, _OBSERVED = 1, 5, 6, 11
_KEY, _VALUE = 1, 2
_INT, _DOUBLE = 3, 4

# Longer varints are negative or huge: rare, and left to the general way.
_LONGEST_VARINT: Final = 5
_ATTEMPTS: Final = 64
_EVENT_NAMES: Final = 64
# Bytes of records per sender; what is remembered of one takes some seven times as much.
_ROOM: Final = 32 * 1024

EPOCH_VALUE: Final = "epoch"
_OWN: Final = frozenset({_TIME, _OBSERVED, attributes.SEQ, attributes.STEP, attributes.EPOCH})


class Layouts:
    """What was learnt from one sender: layouts by event name and length of the record."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._room = _Room(_ROOM)
        self._known: dict[str, _Known] = {}

    def read(self, record: LogRecord, resource: int) -> Event | None:
        """The event of the record; None where the general way is needed, as it is the first time."""
        known = self._known.get(record.event_name)
        if known is None:
            if len(self._known) >= _EVENT_NAMES:
                return None
            known = self._known[record.event_name] = _Known(self._names, self._room)
        return known.read(record, resource)


class _Room:
    """How many bytes may still be learnt from."""

    def __init__(self, left: int) -> None:
        self.left = left


class _Known:
    """The layouts of one event name. It stops learning where there is no end of shapes."""

    def __init__(self, names: Names, room: _Room) -> None:
        self._names, self._room = names, room
        self._attempts = 0
        self._by_length: dict[int, list[Layout]] = {}

    def read(self, record: LogRecord, resource: int) -> Event | None:
        may_learn = self._attempts < _ATTEMPTS
        if not may_learn and not self._by_length:
            return None
        data = record.SerializeToString()
        for layout in self._by_length.get(len(data), ()):
            event = layout.read(data, resource)
            if event is not None:
                return event
        if may_learn and len(data) <= self._room.left:
            self._attempts += 1
            learnt = self._learn(data, record)
            if learnt is not None:
                self._room.left -= len(data)
                self._by_length.setdefault(len(data), []).append(learnt)
        return None

    def _learn(self, data: bytes, record: LogRecord) -> Layout | None:
        numbers = numbers_of(data)
        if numbers is None:
            return None
        logged: dict[str, Value] = {str(number.name): None for number in numbers if number.name not in _OWN}
        canonical = list(self._names(logged))
        # An epoch among the values changes places; the general way knows how.
        return None if EPOCH_VALUE in canonical else Layout(data, numbers, record, canonical)


class Number(NamedTuple):
    """One number in the bytes: an attribute's name or a field of the record, and where it lies."""

    name: str | int
    offset: int
    size: int
    form: str


class Layout:
    """Where the numbers of records of one shape lie."""

    def __init__(self, data: bytes, numbers: list[Number], record: LogRecord, canonical: list[str]) -> None:
        form, end = "<", 0
        for number in numbers:
            form += f"{number.offset - end}s{number.form}"
            end = number.offset + number.size
        self._unpack = struct.Struct(f"{form}{len(data) - end}s").unpack
        self._fixed = self._unpack(data)[::2]
        self._varints = [index for index, number in enumerate(numbers) if number.form.endswith("s")]
        self._name = record.event_name or vocabulary.LOG
        self._severity = record.severity_number
        places = {number.name: index for index, number in enumerate(numbers)}
        self._time = places.get(_TIME, places.get(_OBSERVED))
        self._seq = places.get(attributes.SEQ)
        self._step = places.get(attributes.STEP)
        self._epoch = places.get(attributes.EPOCH)
        values = [index for name, index in places.items() if name not in _OWN]
        self._values = list(zip(canonical, values, strict=True))

    def read(self, data: bytes, resource: int) -> Event | None:
        """The event in these bytes; None where they have another shape."""
        parts = self._unpack(data)
        if parts[::2] != self._fixed:
            return None
        numbers: list[Any] = list(parts[1::2])
        for index in self._varints:
            number = numbers[index] = _varint(numbers[index])
            if number < 0:
                return None
        return Event(
            self._name,
            0 if self._time is None else numbers[self._time],
            resource,
            None if self._seq is None else numbers[self._seq],
            None if self._step is None else numbers[self._step],
            None if self._epoch is None else numbers[self._epoch],
            self._severity,
            None,
            {name: numbers[index] for name, index in self._values},
        )


class _GroupError(ValueError):
    """A field that protobuf calls a group: none of OTLP's, but one that a reader must let pass."""


def numbers_of(data: bytes) -> list[Number] | None:
    """The numbers of a record in the order of its bytes; None where it holds more than numbers."""
    try:
        return _numbers_of(data)
    except _GroupError:
        return None


def _numbers_of(data: bytes) -> list[Number] | None:
    numbers: list[Number] = []
    for field, wire, start, end in _fields(data, 0, len(data)):
        if field == _BODY and end > start:  # the Collector writes a body without a value where there is none
            return None
        if field in (_TIME, _OBSERVED) and wire == _FIXED64:
            numbers.append(Number(field, start, 8, "Q"))
        elif field == _ATTRIBUTE:
            number = _attribute(data, start, end)
            if number is None:
                return None
            numbers.append(number)
    plain = len({number.name for number in numbers}) == len(numbers)
    return numbers if plain and _suits(numbers) else None


def _suits(numbers: list[Number]) -> bool:
    """Whether seq, step and epoch have the types they should have."""
    forms = {number.name: number.form for number in numbers}
    integers = all(forms.get(name, "s").endswith("s") for name in (attributes.SEQ, attributes.STEP))
    return integers and forms.get(attributes.EPOCH, "d") == "d"


def _attribute(data: bytes, start: int, end: int) -> Number | None:
    parts = {field: (low, high) for field, _, low, high in _fields(data, start, end)}
    if set(parts) != {_KEY, _VALUE}:
        return None
    values = list(_fields(data, *parts[_VALUE]))
    if len(values) != 1:
        return None
    field, wire, low, high = values[0]
    name = data[slice(*parts[_KEY])].decode()
    if field == _DOUBLE and wire == _FIXED64:
        return Number(name, low, 8, "d")
    if field == _INT and wire == _VARINT and high - low <= _LONGEST_VARINT:
        return Number(name, low, high - low, f"{high - low}s")
    return None


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, wire type, start, end) of each field's content in valid protobuf. Raises _GroupError."""
    while start < end:
        tag_end = _varint_end(data, start)
        tag, start = _varint(data[start:tag_end]), tag_end
        wire = tag & 7
        if wire == _BYTES:
            size_end = _varint_end(data, start)
            size, start = _varint(data[start:size_end]), size_end
        elif wire == _VARINT:
            size = _varint_end(data, start) - start
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise _GroupError(wire)
        yield tag >> 3, wire, start, start + size
        start += size


def _varint_end(data: bytes, start: int) -> int:
    while data[start] >= 128:
        start += 1
    return start + 1


def _varint(data: bytes) -> int:
    """The number in these bytes, -1 where they are not exactly one varint."""
    value, last = 0, len(data) - 1
    for place, byte in enumerate(data):
        if (byte < 128) != (place == last):
            return -1
        value |= (byte & 127) << (7 * place)
    return value
