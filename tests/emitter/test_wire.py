"""OTLP bytes: what was logged is what any reader of OTLP finds, field by field, however it was encoded."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1 import trace_pb2

from emitter._clock import Clock
from emitter._intake import Intake
from emitter._packer import BODY_LIMIT, RECORD_LIMIT, REQUEST_LIMIT, Packer
from emitter._queue import Queue
from emitter._records import LOGS, TRACES, Item, Log, Payload, Span
from emitter._values import INT_MAX, INT_MIN
from emitter.otlp import decode, encoder, wire
from emitter.otlp.columns import FEWEST, Columns
from emitter.otlp.encoder import Encoder
from stream import events
from stream.ingest.messages import ingest
from stream.records import Incoming
from tests.emitter.receiver import attributes

UTF8 = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.floats() | st.integers(INT_MIN, INT_MAX) | UTF8 | st.booleans()
TIMES = st.integers(0, 2**63)
RESOURCE = {"train.run.id": "run-1", "train.emitter.id": "e" * 32, "train.rank": 3}


def request_of(*parts: bytes, records: int | None = None) -> bytes:
    return Encoder(RESOURCE).payload(LOGS, parts, len(parts) if records is None else records).body


def parsed(body: bytes) -> list[LogRecord]:
    """The records, as OpenTelemetry's own classes read them."""
    (group,) = ExportLogsServiceRequest.FromString(body).resource_logs
    (scoped,) = group.scope_logs
    return list(scoped.log_records)


def same(one: Any, other: Any) -> bool:
    """Equal in type and value, and a NaN is a NaN."""
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("d", one) == struct.pack("d", other) or (math.isnan(one) and math.isnan(other))
    return type(one) is type(other) and bool(one == other)


def all_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return list(one) == list(other) and all(same(one[name], other[name]) for name in one)


@given(
    st.builds(Log, st.integers(0, INT_MAX), TIMES, UTF8, st.dictionaries(UTF8, VALUES, max_size=8),
              st.none() | UTF8, st.sampled_from([0, 5, 9, 13, 17, 21, 24]))
)  # fmt: skip
def test_log_records_are_read_by_opentelemetry_field_by_field(record: Log) -> None:
    """Every kind of attribute, body, severity and time comes out of the SDK's own classes as it went in."""
    (found,) = parsed(request_of(encoder.log(record)))

    assert (found.time_unix_nano, found.observed_time_unix_nano) == (record.time_ns, record.time_ns)
    assert (found.event_name, found.severity_number) == (record.name, record.severity)
    assert all_same(attributes(found), record.attributes)
    assert found.HasField("body") is (record.body is not None)
    assert found.body.string_value == (record.body or "")
    assert (found.trace_id, found.flags, found.dropped_attributes_count) == (b"", 0, 0)


def test_severity_has_its_text() -> None:
    """The names of the log data model stand beside the numbers."""
    made = [encoder.log(Log(0, 1, "n", {}, None, number)) for number in (5, 9, 13, 17, 21)]

    assert [record.severity_text for record in parsed(request_of(*made))] == [
        "DEBUG", "INFO", "WARN", "ERROR", "FATAL",
    ]  # fmt: skip


@given(
    st.builds(Span, UTF8, st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1),
              st.none() | st.integers(0, 2**64 - 1), TIMES, TIMES,
              st.dictionaries(UTF8, VALUES, max_size=6), st.none() | UTF8)
)  # fmt: skip
def test_spans_are_read_by_opentelemetry_field_by_field(made: Span) -> None:
    """Ids, times, attributes and status come out of the SDK's own classes as they went in."""
    body = Encoder(RESOURCE).payload(TRACES, [encoder.span(made)], 1).body
    (found,) = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans

    assert (found.name, found.start_time_unix_nano, found.end_time_unix_nano) == (
        made.name, made.start_ns, made.end_ns,
    )  # fmt: skip
    assert found.trace_id == made.trace_id.to_bytes(16, "big")
    assert found.span_id == made.span_id.to_bytes(8, "big")
    assert found.parent_span_id == (b"" if made.parent_id is None else made.parent_id.to_bytes(8, "big"))
    assert (found.kind, found.flags) == (trace_pb2.Span.SPAN_KIND_INTERNAL, 0x101)
    expected = trace_pb2.Status.STATUS_CODE_OK if made.error is None else trace_pb2.Status.STATUS_CODE_ERROR
    assert (found.status.code, found.status.message) == (expected, made.error or "")
    assert all_same(attributes(found), made.attributes)
    assert decode.spans(body) == [made] or "nan" in str(made.attributes)


def test_resource_and_scope_are_sent_with_each_request() -> None:
    """The resource's attributes keep their kinds; the scope says who we are."""
    (group,) = ExportLogsServiceRequest.FromString(request_of()).resource_logs

    assert attributes(group.resource) == RESOURCE
    assert group.scope_logs[0].scope.name == "trainwarden.emitter"
    assert decode.resource(request_of()) == RESOURCE


NAMES = st.lists(
    UTF8.filter(lambda name: name not in ("train.step", "train.epoch", "train.seq")),
    min_size=2, max_size=12, unique=True,
)  # fmt: skip


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Steps of one shape, and sometimes one among them that is not."""
    names = draw(NAMES)
    kinds = [draw(st.sampled_from([st.floats(), st.integers(0, 2**56 - 1)])) for _ in names]
    with_epoch, count = draw(st.booleans()), draw(st.integers(FEWEST, 9))
    seq, made = draw(st.integers(0, 2**40)), []
    for number in range(count):
        values: dict[str, Any] = {name: draw(kind) for name, kind in zip(names, kinds, strict=True)}
        epoch = draw(st.floats() | st.integers(0, 100)) if with_epoch else None
        made.append((draw(st.integers(0, 2**40)), seq + number, "train.step", draw(st.integers(0, 2**56 - 1)),
                     epoch, values))  # fmt: skip
    if draw(st.booleans()):
        odd = draw(st.integers(0, count - 1))
        made[odd][5][draw(UTF8)] = draw(VALUES | st.none() | st.integers())
    return made


class Given(Intake):
    """Leaves rows the numbers that they have."""

    def __init__(self, rows: list[Any]) -> None:
        super().__init__(Queue(0))
        self._rows = rows

    def take(self, most: int) -> list[Any]:
        """The next rows as they are."""
        taken, self._rows = self._rows[:most], self._rows[most:]
        return taken


def packed(waiting: list[Any], batch_size: int = 512) -> tuple[list[Payload], Queue]:
    """All requests that these queue items become."""
    queue = Queue(10**6)
    packer = Packer(queue, Encoder(RESOURCE), Clock(lambda: 10**18, lambda: 0), batch_size, Given(waiting))
    found = []
    while (payload := packer.request(LOGS)) is not None:
        found.append(payload)
    assert packer.left == 0
    return found, queue


@settings(max_examples=200)
@given(rows())
def test_fast_way_says_the_same_as_the_general_one(waiting: list[tuple[Any, ...]]) -> None:
    """Steps encoded together are, for any reader of OTLP, the steps encoded one by one."""
    together, queue = packed(waiting)
    one_by_one, other_queue = packed([Item(*row) for row in waiting])  # never taken for hot

    assert [payload.records for payload in together] == [len(waiting)]
    fast, slow = parsed(together[0].body), parsed(one_by_one[0].body)
    assert [record.SerializeToString(deterministic=True) for record in fast] == [
        record.SerializeToString(deterministic=True) for record in slow
    ]
    assert queue.totals == other_queue.totals
    assert len(decode.logs(together[0].body)) == len(waiting)


def sorted_copy(record: LogRecord) -> LogRecord:
    """The same record with its attributes in the order of their names, which means nothing."""
    pairs = sorted(record.attributes, key=lambda pair: pair.key)
    copy = LogRecord.FromString(record.SerializeToString())
    del copy.attributes[:]
    copy.attributes.extend(pairs)
    return copy


def plain(count: int, **values: Any) -> list[tuple[Any, ...]]:
    values = values or {"loss": 0.5, "grad_norm": 1.5}
    return [(number, number, "train.step", number, None, dict(values)) for number in range(count)]


def test_fast_way_is_taken() -> None:
    """Plain steps are laid out as columns: all records of a block have one length, a multiple of eight."""
    found = Columns(0).block(plain(10, loss=0.5, tokens=12, lr=1e-3))

    assert found is not None
    data, length = found
    assert (len(data), length % 8) == (10 * length, 0)


@pytest.mark.parametrize("width", range(2, 40))
def test_every_length_is_filled_up(width: int) -> None:
    """However long the names are, the records parse and hold what was logged."""
    values = {f"{'n' * number}": float(number) for number in range(width)}
    found = parsed(packed(plain(5, **{"a": 1.0, "b" * width: 2.0}, **values))[0][0].body)

    assert [attributes(record)["b" * width] for record in found] == [2.0] * 5
    assert {record.dropped_attributes_count for record in found} == {0}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: (*row[:5], {**row[5], "loss": "text"}),
        lambda row: (*row[:5], {**row[5], "loss": 1}),
        lambda row: (*row[:5], {**row[5], "loss": True}),
        lambda row: (*row[:5], {"grad_norm": 1.0, "loss": 0.5}),
        lambda row: (*row[:5], {**row[5], "more": 1.0}),
        lambda row: (*row[:5], {"loss": 0.5}),
        lambda row: (*row[:3], "three", *row[4:]),
        lambda row: (*row[:3], -3, *row[4:]),
        lambda row: (*row[:4], 0.5, row[5]),
        lambda row: (*row[:2], "train.other", *row[3:]),
        lambda row: (*row[:5], {**row[5], "loss": 2**60}),
        lambda row: (*row[:5], {**row[5], "loss": None}),
        lambda row: (*row[:5], {**row[5], "nested": {"a": 1.0}}),
        lambda row: (*row, "a body", 9),
        lambda row: Item(*row[:6])._replace(body="a body", severity=9),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 3, 9])
def test_one_odd_record_changes_no_other(spoil: Callable[[Any], Any], place: int) -> None:
    """Whichever record differs in whatever way, all arrive in order, each with its own values."""
    waiting: list[Any] = plain(10)
    waiting[place] = spoil(waiting[place])
    found = parsed(packed(waiting)[0][0].body)
    expected = parsed(packed([Item(*row) for row in waiting])[0][0].body)

    assert [sorted_copy(record) for record in found] == [sorted_copy(record) for record in expected]
    assert [attributes(record)["train.seq"] for record in found] == list(range(10))


def test_names_whose_own_code_raises_cost_themselves_only() -> None:
    """A key that cannot be compared or printed does not stop the records around it."""

    class Key(str):
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("no")

    waiting: list[Any] = plain(10)
    waiting[4][5][Key("odd")] = 1.0
    found = parsed(packed(waiting)[0][0].body)

    assert [attributes(record)["train.seq"] for record in found] == list(range(10))


def test_names_that_cannot_be_printed_cost_their_record_its_values() -> None:
    """A key whose own code raises is one counted error; the record arrives with its own numbers."""

    class Key:
        def __str__(self) -> str:
            raise RuntimeError("no")

    waiting: list[Any] = plain(5)
    waiting[2][5][Key()] = 1.0
    requests, queue = packed(waiting)

    assert [attributes(record)["train.seq"] for record in parsed(requests[0].body)] == list(range(5))
    assert queue.totals == {"bad_value": 1}


def test_alternating_shapes_stay_in_order() -> None:
    """Every tenth step logs more: both shapes go the fast way, and the order is kept."""
    waiting = plain(100)
    for row in waiting[::10]:
        row[5]["eval"] = 2.0
    found = parsed(packed(waiting)[0][0].body)

    assert [attributes(record)["train.step"] for record in found] == list(range(100))
    assert ["eval" in attributes(record) for record in found] == [step % 10 == 0 for step in range(100)]


def test_stream_reads_what_was_sent() -> None:
    """Our own ingest decodes fast and general records to the same events."""
    waiting = [
        (10**9 + n, n, "train.step", n, 0.5, {"loss": 1.0 / (n + 1), "tokens": n * 1000}) for n in range(50)
    ]
    fast, slow = packed(waiting)[0][0].body, packed([Item(*row) for row in waiting])[0][0].body
    decoded = [
        [
            (event.name, event.time, event.seq, event.step, event.epoch, event.values)
            for outgoing in ingest(Incoming("otlp_logs", 0, 0, body), partitions=1)
            for event in _batch(outgoing.value).events
        ]
        for body in (fast, slow)
    ]

    assert decoded[0] == decoded[1]
    assert [event[2] for event in decoded[0]] == list(range(50))
    assert decoded[0][3][5]["tokens"] == 3000


def _batch(value: bytes) -> events.Batch:
    message = events.decode(value)
    assert isinstance(message, events.Batch)
    return message


def test_requests_stay_below_the_limit() -> None:
    """Wide steps and long texts are spread over requests that each fit a Kafka message; none is lost."""
    wide = plain(600, **{f"metric/{number:03}": float(number) for number in range(100)})
    texts = [Item(1, 600 + number, "train.log", 1, None, {}, "é" * 30000, 9) for number in range(60)]
    requests, queue = packed([*wide, *texts], batch_size=10**6)

    assert len(requests) > 3
    assert all(len(request.body) <= REQUEST_LIMIT + 1000 for request in requests)
    found = [attributes(record)["train.seq"] for request in requests for record in parsed(request.body)]
    assert found == list(range(660))
    assert queue.totals == {}


def test_batch_size_bounds_a_request() -> None:
    """No request holds more records than the setting allows."""
    requests, _ = packed(plain(1000), batch_size=100)

    assert [request.records for request in requests] == [100] * 10
    assert all(len(parsed(request.body)) == 100 for request in requests)


@pytest.mark.parametrize(
    ("item", "kept"),
    [
        (Item(1, 7, "train.log", 3, None, {"a": 1}, "x" * 100_000), {"a": 1}),
        (
            Item(1, 7, "train.step", 3, None, {f"k{n}": "y" * 4000 for n in range(200)}),
            {},
        ),
        (Item(1, 7, "train.step", 3, None, {"k" * 400_000: 1.0, "a": 1}), {"a": 1}),
        (Item(1, 7, "n" * 400_000, 3, None, {"a": 1}), {"a": 1}),
    ],
)
def test_huge_record_is_cut_and_counted(item: Item, kept: dict[str, Any]) -> None:
    """What is longer than a record may be is cut, keeps its own numbers, and is counted once."""
    requests, queue = packed([item, *plain(3)])
    (request,) = requests
    found = parsed(request.body)

    assert queue.totals == {"cut": 1}
    assert len(request.body) < RECORD_LIMIT + 2000
    assert len(found) == 4
    assert {"train.step": 3, "train.seq": 7, **kept}.items() <= attributes(found[0]).items()


@given(st.integers(-(2**63), 2**64 - 1))
def test_varint_is_what_protobuf_writes(number: int) -> None:
    """Numbers of all sizes, negative ones as protobuf's int64 has them."""
    from google.protobuf.internal.encoder import _EncodeVarint  # type: ignore[attr-defined]

    expected: list[bytes] = []
    _EncodeVarint(expected.append, number & (2**64 - 1))
    assert wire.varint(number) == b"".join(expected)


@example(b"\r\0\0\0\0")
@given(st.binary(max_size=60))
def test_decoder_of_other_bytes_raises_value_error_only(data: bytes) -> None:
    """Bytes that are no request of ours end in ValueError, or in nothing."""
    for read in (decode.logs, decode.spans, decode.resource):
        try:
            read(data)
        except ValueError:
            continue


def test_page_names_the_limits() -> None:
    """docs/otlp.md says how long requests, records and texts may be."""
    page = (Path(__file__).parents[2] / "docs" / "otlp.md").read_text()

    assert f"{REQUEST_LIMIT:,} bytes" in page
    assert f"{RECORD_LIMIT // 1024} KiB" in page
    assert f"{BODY_LIMIT:,} characters" in page
