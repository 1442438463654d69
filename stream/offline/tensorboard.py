"""Scalars of a TensorBoard event file, put together to steps."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

from emitter.vocabulary import events
from stream.events import Value
from stream.offline.flat import is_eval, name_of
from stream.offline.opening import Opened
from stream.offline.points import Notes, Point, Points
from stream.offline.tfrecords import read_events

_PACKED: Final = {1: "<f", 2: "<d"}
"""DT_FLOAT and DT_DOUBLE as TensorFlow writes a single value."""


def read(source: Opened, notes: Notes) -> Points:
    """A step (and an eval) of all scalars that follow each other with the same step. Raises ReadError."""
    del notes  # a broken record ends the file
    open_ones: dict[str, Point] = {}
    for event in read_events(source):
        for one in event.summary.value:
            number = _number(one)
            if number is None:
                continue
            kind = events.EVAL if is_eval(one.tag) else events.STEP
            point, name = open_ones.get(kind), name_of(one.tag)
            if point is not None and (point.step != event.step or name in point.values):
                yield from _flushed(open_ones)
                point = open_ones.get(kind)
            if point is None:
                time = int(event.wall_time * 1e9)
                point = open_ones[kind] = Point(kind, {}, step=event.step, time=time)
            point.values[name] = number
    yield from _flushed(open_ones)


def _flushed(open_ones: dict[str, Point]) -> Iterator[Point]:
    """Give out what is complete, the step before its eval."""
    for kind in (events.STEP, events.EVAL):
        if kind in open_ones:
            yield open_ones.pop(kind)


def _number(one: Any) -> Value:
    if one.HasField("simple_value"):
        return float(one.simple_value)
    tensor = one.tensor
    for values in (tensor.float_val, tensor.double_val):
        if len(values) == 1:
            return float(values[0])
    packed = _PACKED.get(tensor.dtype)
    if packed and len(tensor.tensor_content) == struct.calcsize(packed):
        number: float = struct.unpack(packed, tensor.tensor_content)[0]
        return number
    return None
