"""The fast way for hot events: records of one shape differ in numbers only, so their bytes are laid out once.

A block of n records starts as n copies of a template. Each number has the same place and the same eight bytes
in every record (a double; an integer as a varint padded to eight bytes, which every protobuf reader takes),
and the template's length is a multiple of eight, so one strided copy puts a whole column in its place.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from emitter.otlp import wire
from emitter.vocabulary import attributes

Row = tuple[int, int, str, Any, Any, dict[str, Any]]
"""Monotonic ns, sequence number, event name, step, epoch, values: what ``step()`` appends."""

FEWEST: Final = 4
"""Rows; for fewer the general way is as fast."""

WIDEST: Final = 128
_SHAPES: Final = 64
_PLACES: Final = 4096
_OPENING: Final = 4

_OWN: Final = frozenset({attributes.SEQ, attributes.STEP, attributes.EPOCH})


class _Spread(dict[int, int]):
    """What to add to an integer so that its bytes are its padded varint, by the integer without its low bits.

    ValueError for integers that do not fit into the 56 bits of eight bytes.
    """

    def __missing__(self, high: int) -> int:
        if not 0 <= high < 1 << 49:
            raise ValueError("an integer of 56 bits")
        value = high << 7
        padded = sum((value >> 7 * place & 127 | 128) << 8 * place for place in range(7)) | value >> 49 << 56
        if len(self) >= _PLACES:
            self.clear()
        self[high] = padded - value
        return padded - value


class Columns:
    """Blocks of rows of one shape. Shapes are learnt from the first row; their number is bounded."""

    def __init__(self, offset_ns: int) -> None:
        self._offset_ns = offset_ns
        self._shapes: dict[Any, _Shape | None] = {}
        self._spread = _Spread()

    def block(self, rows: Sequence[Row]) -> tuple[bytearray, int] | None:
        """All rows as fields of ScopeLogs, and the length of each; None where they are not of one shape."""
        try:
            shape = self._shape(rows[0])
            if shape is None:
                return None
            return shape.block(rows, self._offset_ns, self._spread), shape.length
        except Exception:  # noqa: BLE001 - another shape, or a name or value whose own code raises
            return None

    def _shape(self, row: Row) -> _Shape | None:
        key = key_of(row)
        try:
            return self._shapes[key]
        except KeyError:
            pass
        if len(self._shapes) >= _SHAPES:
            self._shapes.clear()
        made = _Shape(row) if _suits(row) else None
        self._shapes[key] = made
        return made


def key_of(row: Row) -> tuple[Any, ...]:
    """Equal for rows of one shape."""
    values = row[5]
    return (row[2], row[4] is None, *values, *map(type, values.values()))


def _suits(row: Row) -> bool:
    """Whether rows like this one hold numbers only."""
    values = row[5]
    return (
        1 < len(values) <= WIDEST
        and all(type(name) is str and name not in _OWN for name in values)
        and all(type(value) is float or type(value) is int for value in values.values())
    )


class _Shape:
    """One layout: event name, names and kinds of the values, with or without an epoch."""

    def __init__(self, row: Row) -> None:
        values = row[5]
        self._name, self._width, self._epoch = row[2], len(values), row[4] is not None
        self._get = itemgetter(*values)
        self._kinds = [type(value) for value in values.values()]
        self._integers = [place for place, kind in enumerate(self._kinds) if kind is int]
        own = [(attributes.STEP, int), *([(attributes.EPOCH, float)] if self._epoch else [])]
        slots = [*zip(values, self._kinds, strict=True), *own, (attributes.SEQ, int)]
        self._template, self._places = _template(self._name, slots)
        self.length = len(self._template)

    def block(self, rows: Sequence[Row], offset_ns: int, spread: Mapping[int, int]) -> bytearray:
        """The rows' bytes. Raises where a row is of another shape."""
        count = len(rows)
        times, numbers, names, steps, epochs, values = zip(*rows, strict=True)
        flat = [*chain.from_iterable(map(self._get, values))]
        same = [*map(type, flat)] == self._kinds * count and {*map(len, values)} == {self._width}
        if not same or names.count(self._name) != count or {*map(type, steps)} != {int}:
            raise ValueError("another shape")
        integers = [flat[place :: self._width] for place in self._integers]
        padded = [_padded(column, spread) for column in (*integers, steps, numbers)]
        doubles = [*self._epochs(epochs), *flat]
        first = [time + offset_ns for time in times]
        packed = struct.pack(
            f"<{(1 + len(padded)) * count}Q{len(doubles)}d", *first, *chain.from_iterable(padded), *doubles
        )
        return self._filled(count, memoryview(packed).cast("Q"))

    def _epochs(self, epochs: tuple[Any, ...]) -> tuple[Any, ...]:
        if self._epoch and {*map(type, epochs)} <= {float, int}:
            return epochs
        if self._epoch or epochs.count(None) != len(epochs):
            raise ValueError("another shape")
        return ()

    def _filled(self, count: int, packed: memoryview) -> bytearray:
        """Copies of the template with the columns in their places."""
        columns = [packed[start : start + count] for start in range(0, len(packed), count)]
        integers, own = len(self._integers), 3 + len(self._integers)
        # time, integers, step, seq, epoch where there is one; then the values row by row
        values = packed[(own + self._epoch) * count :]
        taken = [values[place :: self._width] for place in range(self._width)]
        for place, column in zip(self._integers, columns[1:], strict=False):
            taken[place] = column
        sources = [columns[0], columns[0], *taken, columns[1 + integers]]
        sources += [columns[own]] if self._epoch else []
        sources.append(columns[2 + integers])
        block = bytearray(self._template) * count
        whole, stride = memoryview(block), self.length // 8
        for place, source in zip(self._places, sources, strict=True):
            end = len(block) - (len(block) - place) % 8
            whole[place:end].cast("Q")[::stride] = source
        return block


def _padded(numbers: Sequence[int], spread: Mapping[int, int]) -> list[int]:
    """Each number with its bytes as a padded varint. Numbers without gaps, as most are, need no loop."""
    first, last = numbers[0], numbers[-1]
    if last - first != len(numbers) - 1 or [*range(first, last + 1)] != [*numbers]:
        return [number + spread[number >> 7] for number in numbers]
    padded: list[int] = []
    for high in range(first >> 7, (last >> 7) + 1):
        low, end, add = max(first, high << 7), min(last + 1, (high + 1) << 7), spread[high]
        padded += range(low + add, end + add)
    return padded


def _template(name: str, slots: Sequence[tuple[str, type]]) -> tuple[bytes, list[int]]:
    """A record without its numbers, and their places: time, observed time, then the slots."""
    heads = [b"\t", b"Y", *(_head(*slot) for slot in slots)]
    tail = wire.string(b"b", name)
    length = sum(len(head) + 8 for head in heads) + len(tail)
    filler = _filler(-(_OPENING + length) % 8)
    parts, places, at = [_opening(length + len(filler))], [], _OPENING
    for head in heads:
        places.append(at + len(head))
        parts += [head, bytes(8)]
        at = places[-1] + 8
    return b"".join([*parts, tail, filler]), places


def _head(name: str, kind: type) -> bytes:
    """A KeyValue up to its number: the value is a tag and eight bytes."""
    key = wire.string(b"\n", name)
    return b"2" + wire.varint(len(key) + 11) + key + b"\x12\t" + (b"!" if kind is float else b"\x18")


def _opening(length: int) -> bytes:
    """The record's tag and its length, as a varint that is three bytes long whatever the length."""
    return bytes((0x12, length & 127 | 128, length >> 7 & 127 | 128, length >> 14))


def _filler(size: int) -> bytes:
    """Bytes without a meaning: dropped_attributes_count is 0, written as long as needed."""
    if size == 0:
        return b""
    return b"8" + b"\x80" * ((size - 2) % 8) + b"\0"
