"""The short cut for records of one shape."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from stream.otlp import events
from stream.otlp.layout import Layouts
from stream.otlp.resources import Sender, sender

NAMES = ["loss", "train/loss", "lr", "x", "train.seq", "train.step", "train.epoch", "epoch", ""]


def _fresh() -> Sender:
    """A sender that has learnt nothing yet."""
    return Sender(sender(Resource(), None).resource, {})


def _record(values: list[tuple[str, Any]], **fields: Any) -> LogRecord:
    record = LogRecord(**fields)
    for name, value in values:
        target = record.attributes.add(key=name).value
        if isinstance(value, float):
            target.double_value = value
        elif isinstance(value, int):
            target.int_value = value
        elif value is not None:
            target.string_value = value
    return record


shapes = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["int", "float", "text", "none"])), max_size=5
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "time_unix_nano": st.integers(0, 2**64 - 1),
        "observed_time_unix_nano": st.integers(0, 2**64 - 1),
        "severity_number": st.sampled_from([0, 9, 17]),
        "event_name": st.sampled_from(["", "train.step", "other"]),
        "flags": st.sampled_from([0, 1]),
        "body": st.sampled_from([AnyValue(), AnyValue(string_value="")]),
    },
)
values = {
    "int": st.sampled_from([0, 1, 127, 128, 16383, 16384, 2**34, 2**35, 2**62, -1]) | st.integers(0, 300),
    "float": st.floats(allow_nan=False),
    "text": st.sampled_from(["", "a", "b"]),
    "none": st.none(),
}


@settings(max_examples=100)
@given(st.data())
def test_both_ways_give_the_same_event(data: st.DataObject) -> None:
    """Whatever was learnt from the records before, the short cut agrees with the general way."""
    source = _fresh()
    known = data.draw(st.lists(shapes, min_size=1, max_size=3))
    for _ in range(data.draw(st.integers(2, 8))):
        shape = data.draw(st.sampled_from(known))
        record = _record([(name, data.draw(values[kind])) for name, kind in shape], **data.draw(fields))
        short = source.layouts.read(record, 3)
        assert short is None or short == events._from_record(record, source, 3)


@pytest.mark.parametrize("body", [{}, {"body": AnyValue()}], ids=["sent by us", "written by a Collector"])
def test_the_second_record_of_a_shape_takes_the_short_cut(body: dict[str, Any]) -> None:
    """After one record, those that differ only in numbers are read by offsets."""
    source = _fresh()
    first = _record([("train.seq", 1), ("lr", 0.5)], time_unix_nano=7, event_name="train.step", **body)
    second = _record([("train.seq", 9), ("lr", 2.5)], time_unix_nano=8, event_name="train.step", **body)
    assert source.layouts.read(first, 0) is None
    event = source.layouts.read(second, 0)
    assert event is not None
    assert (event.seq, event.time, event.values) == (9, 8, {"learning_rate": 2.5})


@pytest.mark.parametrize(
    "record",
    [
        _record([("x", "text")]),
        _record([("x", -1)]),
        _record([("x", None)]),
        _record([("", 1.0)]),
        _record([("x", 1.0), ("x", 2.0)]),
        _record([("train/epoch", 1.0)]),
        _record([("train.step", 1.0)]),
        _record([("train.epoch", 1)]),
        _record([], body={"string_value": "line"}),
    ],
)
def test_other_records_never_take_it(record: LogRecord) -> None:
    """Text, nesting, doubled names and unusual types stay with the general way."""
    source = _fresh()
    assert [source.layouts.read(record, 0) for _ in range(3)] == [None] * 3


def test_a_number_followed_by_an_unknown_field_is_not_a_longer_number() -> None:
    """Bytes of the same length with a field of a later version inside are left to the general way."""
    source = _fresh()
    assert source.layouts.read(_record([("x", 0x3FFFF)]), 0) is None
    assert source.layouts.read(_record([("x", 0x2FFFF)]), 0) is not None
    record = _record([("x", 5)])
    record.attributes[0].value.MergeFromString(b"\x78\x01")
    assert len(record.SerializeToString()) == len(_record([("x", 0x3FFFF)]).SerializeToString())
    assert source.layouts.read(record, 0) is None
    assert events._from_record(record, source, 0).values == {"x": 5}


def test_learning_ends_where_shapes_do_not_repeat() -> None:
    """A sender without end of event names and shapes costs no memory without end."""
    layouts = Layouts(lambda values: values)
    for number in range(500):
        assert layouts.read(_record([(f"metric-{number}", 1.0)], event_name="e"), 0) is None
        assert layouts.read(_record([("x", 1.0)], event_name=f"e-{number}"), 0) is None
    assert sum(len(known._by_length) for known in layouts._known.values()) < 300


def test_a_sender_without_end_of_shapes_is_not_remembered_without_end() -> None:
    """What is learnt from one sender is bounded in bytes, whatever it sends; the events are the same."""
    source = _fresh()
    for number in range(2000):
        names = [(f"metric-{number}-{index}", 0.5) for index in range(number % 40)]
        record = _record(names, event_name=f"event-{number % 70}", time_unix_nano=1)
        expected = events._from_record(record, _fresh(), 0)
        assert (source.layouts.read(record, 0) or expected) == expected
    learnt = [
        layout
        for known in source.layouts._known.values()
        for layouts in known._by_length.values()
        for layout in layouts
    ]
    assert learnt
    assert sum(len(part) for layout in learnt for part in layout._fixed) <= 32 * 1024


def test_a_long_resource_is_read_anew() -> None:
    """Its attributes are there, and it takes no place among the senders that are remembered."""
    long, short = Resource(), Resource()
    for resource, text in ((long, "x" * 40_000), (short, "x")):
        resource.attributes.add(key="k").value.string_value = text
    assert sender(long, None) is not sender(long, None)
    assert sender(short, None) is sender(short, None)
    assert sender(long, None).resource.attributes["k"] == "x" * 40_000
