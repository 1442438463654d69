"""The tables the sink writes, as Arrow schemas; a test holds them equal to ``deploy/clickhouse``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

Row = tuple[Any, ...]
"""One row, in the order of its table's schema. Times are Unix nanoseconds, maps lists of pairs."""

LOW: Final = pa.dictionary(pa.int32(), pa.string())
TIME: Final = pa.timestamp("ns", tz="UTC")
MAP: Final = pa.map_(pa.string(), pa.string())
STRINGS: Final = pa.list_(pa.string())
COUNTS: Final = pa.list_(pa.uint64())
NUMBERS: Final = pa.list_(pa.float64())

SOURCE: Final = (("src_topic", LOW), ("src_partition", pa.uint16()), ("src_offset", pa.uint64()))
SENDER: Final = (("emitter", LOW), ("seq", pa.int64()), *SOURCE)
WHO: Final = (
    ("run", LOW), ("attempt", pa.uint16()), ("rank", pa.int32()), ("node", LOW), ("role", LOW),
    ("time", TIME),
)  # fmt: skip
_SCALARS: Final = (*WHO, ("step", pa.int64()), ("name", LOW), ("value", pa.float64()), *SENDER)

OTEL_LOGS: Final = "otel_logs"
OTEL_TRACES: Final = "otel_traces"
STEPS: Final = "train_steps"
EVALS: Final = "train_evals"
RESOURCES: Final = "train_resources"
METRICS: Final = "train_metrics"
HEARTBEATS: Final = "train_heartbeats"
DIAGNOSES: Final = "train_diagnoses"
COMMANDS: Final = "train_commands"
ACKS: Final = "train_acks"
DECISIONS: Final = "train_decisions"
INCIDENTS: Final = "train_incident_changes"
CONTROL: Final = "train_control"
RUNS: Final = "train_runs"

SCHEMAS: Final = {
    OTEL_LOGS: pa.schema(
        [
            ("Timestamp", TIME), ("TraceId", pa.string()), ("SpanId", pa.string()),
            ("TraceFlags", pa.uint8()),
            ("SeverityText", LOW), ("SeverityNumber", pa.uint8()), ("ServiceName", LOW),
            ("Body", pa.string()),
            ("ResourceSchemaUrl", LOW), ("ResourceAttributes", MAP), ("ScopeSchemaUrl", LOW),
            ("ScopeName", pa.string()), ("ScopeVersion", LOW), ("ScopeAttributes", MAP),
            ("LogAttributes", MAP), ("EventName", pa.string()), *SOURCE,
        ]
    ),
    OTEL_TRACES: pa.schema(
        [
            ("Timestamp", TIME), ("TraceId", pa.string()), ("SpanId", pa.string()),
            ("ParentSpanId", pa.string()), ("TraceState", pa.string()), ("SpanName", LOW),
            ("SpanKind", LOW),
            ("ServiceName", LOW), ("ResourceAttributes", MAP), ("ScopeName", pa.string()),
            ("ScopeVersion", pa.string()), ("SpanAttributes", MAP), ("Duration", pa.uint64()),
            ("StatusCode", LOW), ("StatusMessage", pa.string()),
            ("Events.Timestamp", pa.list_(TIME)), ("Events.Name", STRINGS),
            ("Events.Attributes", pa.list_(MAP)),
            ("Links.TraceId", STRINGS), ("Links.SpanId", STRINGS), ("Links.TraceState", STRINGS),
            ("Links.Attributes", pa.list_(MAP)), *SOURCE,
        ]
    ),
    STEPS: pa.schema(_SCALARS),
    EVALS: pa.schema(_SCALARS),
    RESOURCES: pa.schema([*WHO, ("device", LOW), ("name", LOW), ("value", pa.float64()), *SENDER]),
    METRICS: pa.schema(
        [
            *WHO, ("service", LOW), ("scope", LOW), ("name", LOW), ("unit", LOW), ("kind", LOW),
            ("temporality", LOW), ("monotonic", pa.bool_()), ("start", TIME), ("flags", pa.uint32()),
            ("attributes", MAP), ("resource", MAP), ("value", pa.float64()), ("count", pa.uint64()),
            ("sum", pa.float64()), ("min", pa.float64()), ("max", pa.float64()),
            ("bucket_counts", COUNTS),
            ("explicit_bounds", NUMBERS), ("scale", pa.int32()), ("zero_count", pa.uint64()),
            ("positive_offset", pa.int32()), ("positive_counts", COUNTS), ("negative_offset", pa.int32()),
            ("negative_counts", COUNTS), ("quantiles", NUMBERS), ("quantile_values", NUMBERS), *SENDER,
        ]
    ),
    HEARTBEATS: pa.schema(
        [*WHO, ("step", pa.int64()), ("phase", LOW), ("progress_age", pa.float64()), *SENDER]
    ),
    DIAGNOSES: pa.schema(
        [
            ("id", pa.string()), ("rule", LOW), ("category", LOW), ("severity", LOW), ("state", LOW),
            *WHO,
            ("step", pa.int64()), ("epoch", pa.float64()), ("file", pa.string()), ("line", pa.int64()),
            ("rule_version", LOW), ("summary", pa.string()), ("evidence", pa.string()),
            ("suggestions", STRINGS), ("then", STRINGS), *SOURCE,
        ]
    ),
    COMMANDS: pa.schema(
        [
            ("id", pa.string()), ("run", LOW), ("attempt", pa.uint16()), ("action", LOW),
            ("args", pa.string()),
            ("target", pa.string()), ("diagnosis", pa.string()), ("rule", LOW), ("summary", pa.string()),
            ("issued", TIME), ("expires", TIME), *SOURCE,
        ]
    ),
    ACKS: pa.schema(
        [
            ("command", pa.string()), ("run", LOW), ("attempt", pa.uint16()), ("rank", pa.int32()),
            ("executor", LOW), ("state", LOW), ("reason", pa.string()), ("step", pa.int64()),
            ("time", TIME),
            ("duration", pa.float64()), ("detail", pa.string()), *SOURCE,
        ]
    ),
    DECISIONS: pa.schema(
        [
            ("id", pa.string()), ("decision", LOW), ("run", LOW), ("attempt", pa.uint16()), ("time", TIME),
            ("incident", pa.string()), ("diagnosis", pa.string()), ("rule", LOW), ("rule_version", LOW),
            ("action", LOW), ("position", pa.int64()), ("command", pa.string()), ("reason", pa.string()),
            ("run_name", LOW), ("severity", LOW), ("author", LOW), ("key", LOW), ("detail", pa.string()),
            *SOURCE,
        ]
    ),
    INCIDENTS: pa.schema(
        [
            ("id", pa.string()), ("seq", pa.uint32()), ("run", LOW), ("run_name", LOW),
            ("attempt", pa.uint16()), ("state", LOW), ("time", TIME), ("began", TIME), ("ended", TIME),
            ("outcome", pa.string()), ("rule", LOW), ("category", LOW), ("severity", LOW),
            ("summary", pa.string()), ("lost_steps", pa.int64()), ("lost_seconds", pa.float64()),
            ("gpu_seconds", pa.float64()), ("cause", pa.string()), ("symptoms", pa.string()),
            ("timeline", pa.string()), ("actions", pa.string()), *SOURCE,
        ]
    ),
    CONTROL: pa.schema(
        [
            ("id", pa.string()), ("kind", LOW), ("author", LOW), ("time", TIME), ("command", pa.string()),
            ("reason", pa.string()), ("silence", pa.string()), ("run_mode", pa.string()), *SOURCE,
        ]
    ),
    RUNS: pa.schema(
        [
            ("run", LOW), ("attempt", pa.uint16()), ("role", LOW), ("rank", pa.int32()),
            ("run_name", pa.string()), ("node", pa.string()), ("world_size", pa.uint32()),
            ("started", TIME),
            ("last_time", TIME), ("last_step", pa.int64()),
            ("lifecycle", pa.struct([("time", TIME), ("state", pa.string())])),
        ]
    ),
}  # fmt: skip


def arrow(table: str, rows: Sequence[Row]) -> pa.Table:
    """The rows as Arrow. Raises ArrowException, TypeError, ValueError or OverflowError for a bad value."""
    schema = SCHEMAS[table]
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
