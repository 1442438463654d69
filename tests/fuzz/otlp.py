"""OTLP bytes through all three readers: ingest, the rows of the history, and the gateway."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from emitter.vocabulary import topics
from stream import events
from stream.gateway.signals import SIGNALS, Signal
from stream.gateway.split import messages_of
from stream.ingest.messages import ingest
from stream.otlp import parse, resources
from stream.otlp.events import _from_record as from_record
from stream.otlp.parse import OtlpError
from stream.placements import Placed
from stream.records import BadRecordError, Incoming, Outgoing
from stream.sink.collect import ADDERS
from stream.sink.recent import Recent
from stream.sink.records import Record
from stream.sink.rows import Rows
from tests.fuzz.messages import fill
from tests.fuzz.mutation import mutated
from tests.fuzz.samples import NEIGHBOUR, SEEDS, as_json

HOSTS: Final = {"node-7": {"placed": Placed("placed")}}
ROWS_EVERY: Final = 40
_SMALL: Final = 3000


class Otlp:
    """``check`` raises for what must not happen; ``finish`` says what can only be said at the end."""

    def __init__(self) -> None:
        self._rows, self._recent, self._kept = Rows(), Recent(), 0
        self.check((topics.OTLP_LOGS, b""))
        self.finish()  # loads what is loaded only once, so that no case seems slow

    def make(self, numbers: Random) -> tuple[str, bytes]:
        """A topic and what may lie on it."""
        signal = numbers.choice(SIGNALS)
        way = numbers.random()
        if way < 0.25:
            return signal.topic, fill(numbers, signal.request()).SerializeToString()
        seeds = SEEDS[signal.topic]
        if way < 0.35:
            data = fill(numbers, signal.request()).SerializeToString()
            return signal.topic, mutated(numbers, [data, *seeds])
        if way < 0.40:
            return signal.topic, mutated(numbers, [as_json(fill(numbers, signal.request()))])
        return signal.topic, mutated(numbers, seeds)

    def check(self, case: tuple[str, bytes]) -> None:
        """Raises for what must not happen."""
        topic, payload = case
        taken = self._ingest(topic, payload)
        self._history(topic, payload, taken)
        self._gateway(next(signal for signal in SIGNALS if signal.topic == topic), payload)

    def finish(self) -> None:
        """The rows of what came since the last time can be built, and no neighbour is missing."""
        found = self._rows.arrow()
        stored = found["otel_logs"].column("Body").to_pylist().count(NEIGHBOUR) if "otel_logs" in found else 0
        assert stored == self._kept, f"{self._kept} good records, {stored} of them in history"
        assert all(table.num_rows for table in found.values())
        self._rows, self._recent, self._kept = Rows(), Recent(), 0

    def _ingest(self, topic: str, payload: bytes) -> bool:
        try:
            made = ingest(Incoming(topic, 0, 1, payload), 2, HOSTS)
        except BadRecordError as error:
            return not str(error)  # there is always a message
        for one in made:
            self._batch(one)
        if topic == topics.OTLP_LOGS:
            self._both_ways(parse.parse_logs(payload))
        return True

    def _both_ways(self, request: Any) -> None:
        for group in request.resource_logs:
            source = resources.sender(group.resource, None)
            for scope in group.scope_logs:
                for record in scope.log_records:
                    slow = from_record(record, source, 0)
                    fast = source.layouts.read(record, 0) or slow
                    assert _bytes(fast) == _bytes(slow), (fast, slow)

    def _batch(self, one: Outgoing) -> None:
        assert len(one.value) <= topics.MAX_MESSAGE_BYTES
        batch = events.decode(one.value)
        if isinstance(batch, events.Batch):
            assert one.key == batch.run.encode()
            assert batch.run
            assert all(0 <= event.resource < len(batch.resources) for event in batch.events)

    def _history(self, topic: str, payload: bytes, taken: bool) -> None:
        ADDERS[topics.OTLP_LOGS](_record(topics.OTLP_LOGS, SEEDS[NEIGHBOUR][0]), self._rows, self._recent)
        try:
            ADDERS[topic](_record(topic, payload), self._rows, self._recent)
        except OtlpError:
            assert not taken, "ingest takes it, history does not"
        self._kept += 1
        if self._kept == ROWS_EVERY:
            self.finish()

    def _gateway(self, signal: Signal, payload: bytes) -> None:
        for read in (signal.from_json, lambda data: parse.parse(signal.request, data)):
            try:
                request: Any = read(payload)
            except OtlpError:
                continue
            whole = request.SerializeToString() if read is signal.from_json else payload
            self._split(signal, request, whole)

    def _split(self, signal: Signal, request: Any, payload: bytes) -> None:
        had = _count(signal, request)
        for limit in (1_000_000, _SMALL):
            copy = signal.request()
            copy.CopyFrom(request)
            made = messages_of(signal, copy, payload, limit)
            assert all(len(value) <= limit for value in made.values)
            kept = sum(_count(signal, parse.parse(signal.request, value)) for value in made.values)
            assert kept + made.rejected == had, (kept, made.rejected, had)
            assert made.rejected == 0 or made.reason


def _record(topic: str, payload: bytes) -> Record:
    return Record(topic, 0, 1, 1_700_000_000_000_000_000, payload)


def _count(signal: Signal, request: Any) -> int:
    """Log records, spans or data points; a metric without a point counts as nothing."""
    found = 0
    for group in getattr(request, signal.groups):
        for scope in getattr(group, signal.scopes):
            for record in getattr(scope, signal.records):
                found += _points(record) if signal.records == "metrics" else 1
    return found


def _points(metric: Any) -> int:
    kind = metric.WhichOneof("data")
    return len(getattr(metric, kind).data_points) if kind else 0


def _bytes(event: events.Event) -> bytes:
    # As it is written: a NaN is itself there.
    return events.encode(events.Batch(events.VERSION, "r", events.Source("t", 0, 0, 0), [], [event]))
