"""Topic otlp_logs to rows: numbers into typed tables, everything else into otel_logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from emitter.vocabulary import attributes, events
from emitter.vocabulary.supervision import SUPERVISOR_ROLE
from stream.otlp import anyvalue, resources
from stream.otlp.parse import parse_logs
from stream.sink import point_rows, tables
from stream.sink.recent import Recent
from stream.sink.records import Record, Who, int64, moment, within
from stream.sink.rows import Rank, Rows
from stream.sink.tables import Row

Pairs = list[tuple[str, str]]

_DEVICE: Final = "hw.id"
_EPOCH_NAME: Final = "epoch"
_NUMBERS: Final = frozenset({float, int, bool})


def add_logs(record: Record, rows: Rows, recent: Recent) -> None:
    """The log records of one request. Raises OtlpError where the bytes are none."""
    for group in parse_logs(record.value).resource_logs:
        _Group(record, rows, group).add(recent)


def numbers(values: dict[str, anyvalue.Scalar]) -> dict[str, float]:
    """The values that are numbers, as floats; booleans are 0 and 1, texts are left out."""
    return {name: float(value) for name, value in values.items() if type(value) in _NUMBERS}  # type: ignore[arg-type]


def pairs(attributes_: object) -> Pairs:
    """Attributes as text, sorted by key as the Collector's exporter does."""
    return sorted(anyvalue.strings(attributes_).items())  # type: ignore[arg-type]


class _Group:
    """The records of one sender in one Kafka record."""

    def __init__(self, record: Record, rows: Rows, group: ResourceLogs) -> None:
        self.record, self.rows, self.group = record, rows, group
        self.sender = resources.sender(group.resource, None)
        self.who = Who.of(self.sender.resource)
        self.resource_pairs: Pairs | None = None
        self.rank: Rank | None = None
        self.typed: dict[str, Callable[[LogRecord, int, dict[str, anyvalue.Scalar]], None]] = {
            events.STEP: self._step, events.EVAL: self._eval, events.RESOURCE: self._resource,
            events.HEARTBEAT: self._heartbeat,
        }  # fmt: skip

    def add(self, recent: Recent) -> None:
        for scope in self.group.scope_logs:
            for log in scope.log_records:
                if log.event_name == events.BEACON:
                    continue
                values = anyvalue.scalars(log.attributes)
                seq = int64(anyvalue.integer(values.get(attributes.SEQ)))
                if recent.new(self.who.emitter, seq):
                    self._one(log, scope, values)
                else:
                    self.rows.duplicates += 1

    def _one(self, log: LogRecord, scope: ScopeLogs, values: dict[str, anyvalue.Scalar]) -> None:
        time = moment(log.time_unix_nano, log.observed_time_unix_nano, self.record.time)
        self._sign_of_life(log, time, values)
        store = self.typed.get(log.event_name)
        if store is not None:
            store(log, time, values)
        elif log.event_name == events.METRIC and point_rows.is_point(values):
            self.rows.add(tables.METRICS, self._point(scope, time, values))
        else:
            self.rows.add(tables.OTEL_LOGS, self._log(log, scope, time))

    def _sign_of_life(self, log: LogRecord, time: int, values: dict[str, anyvalue.Scalar]) -> None:
        # A supervisor is no rank: what it says of the run is in its records.
        if not self.who.run or self.sender.resource.role == SUPERVISOR_ROLE:
            return
        if self.rank is None:
            resource = self.sender.resource
            world_size = within(resource.world_size, 0, 2**32 - 1, 0)
            self.rank = self.rows.rank(self.who, resource.run_name or "", world_size)
        self.rank.saw(time, int64(anyvalue.integer(values.get(attributes.STEP))))
        if log.event_name == events.LIFECYCLE:
            state = anyvalue.text(values.get(events.LIFECYCLE_STATE)) or ""
            self.rank.lifecycle = max(self.rank.lifecycle, (time, state))

    def _sent(self, values: dict[str, anyvalue.Scalar]) -> Row:
        return (self.who.emitter, int64(anyvalue.integer(values.get(attributes.SEQ))), *self.record.source)

    def _numbers(self, values: dict[str, anyvalue.Scalar]) -> dict[str, float]:
        own = attributes.RECORD_ATTRIBUTES
        logged = {name: value for name, value in values.items() if name not in own}
        found = numbers(self.sender.canonical(logged))
        epoch = anyvalue.number(values.get(attributes.EPOCH))
        if epoch is not None:
            found.setdefault(_EPOCH_NAME, epoch)
        return found

    def _step(self, log: LogRecord, time: int, values: dict[str, anyvalue.Scalar]) -> None:
        self._scalars(tables.STEPS, time, values)

    def _eval(self, log: LogRecord, time: int, values: dict[str, anyvalue.Scalar]) -> None:
        self._scalars(tables.EVALS, time, values)

    def _scalars(self, table: str, time: int, values: dict[str, anyvalue.Scalar]) -> None:
        step = int64(anyvalue.integer(values.get(attributes.STEP)))
        head = (*self.who.at(time), step, *self._sent(values))
        self.rows.add_scalars(table, head, self._numbers(values))

    def _resource(self, log: LogRecord, time: int, values: dict[str, anyvalue.Scalar]) -> None:
        head = (*self.who.at(time), anyvalue.text(values.pop(_DEVICE, None)) or "", *self._sent(values))
        self.rows.add_scalars(tables.RESOURCES, head, self._numbers(values))

    def _heartbeat(self, log: LogRecord, time: int, values: dict[str, anyvalue.Scalar]) -> None:
        step = int64(anyvalue.integer(values.get(attributes.STEP)))
        phase = anyvalue.text(values.get(attributes.PHASE)) or ""
        age = anyvalue.number(values.get(events.PROGRESS_AGE))
        self.rows.add(tables.HEARTBEATS, (*self.who.at(time), step, phase, age, *self._sent(values)))

    def _point(self, scope: ScopeLogs, time: int, values: dict[str, anyvalue.Scalar]) -> Row:
        record = self.record
        fixed = {
            **vars(self.who), "time": time, "service": self.sender.resource.service or "",
            "scope": scope.scope.name, "resource": self._resource_pairs(),
            "seq": int64(anyvalue.integer(values.get(attributes.SEQ))),
            "src_topic": record.topic, "src_partition": record.partition, "src_offset": record.offset,
        }  # fmt: skip
        return point_rows.row({**point_rows.told(values), **fixed})

    def _resource_pairs(self) -> Pairs:
        if self.resource_pairs is None:
            self.resource_pairs = pairs(self.group.resource.attributes)
        return self.resource_pairs

    def _log(self, log: LogRecord, scope: ScopeLogs, time: int) -> Row:
        about: InstrumentationScope = scope.scope
        return (
            time, log.trace_id.hex(), log.span_id.hex(), log.flags & 0xFF, log.severity_text,
            within(log.severity_number, 0, 255, 0), self.sender.resource.service or "",
            anyvalue.text(anyvalue.scalar(log.body)) or "", self.group.schema_url, self._resource_pairs(),
            scope.schema_url, about.name, about.version, pairs(about.attributes), pairs(log.attributes),
            log.event_name, *self.record.source,
        )  # fmt: skip
