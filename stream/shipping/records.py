"""What a request holds: log records, spans or data points, in their order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from emitter._records import LOGS, METRICS, TRACES

_LISTS: Final = {
    LOGS: ("resource_logs", "scope_logs", "log_records"),
    TRACES: ("resource_spans", "scope_spans", "spans"),
    METRICS: ("resource_metrics", "scope_metrics", "metrics"),
}


def records_of(signal: str, message: Any) -> Iterator[Any]:
    """Each of them; a metric's are its data points."""
    groups, scopes, records = _LISTS[signal]
    for group in getattr(message, groups):
        for scope in getattr(group, scopes):
            for record in getattr(scope, records):
                yield from _points(record) if signal == METRICS else (record,)


def time_of(signal: str, message: Any) -> int:
    """Unix nanoseconds of the first one, 0 without any: a span's is that of its end."""
    for record in records_of(signal, message):
        return int(getattr(record, "time_unix_nano", 0) or getattr(record, "end_time_unix_nano", 0))
    return 0


def _points(metric: Any) -> Any:
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind else ()
