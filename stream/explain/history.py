"""The events of a run, rebuilt from history a page at a time: what the sink stored, in the order of time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from emitter.vocabulary import events
from emitter.vocabulary.attributes import PHASE
from stream.explain.errors import NoRunError
from stream.explain.stored import epoch_of, point_of, step_of, values_of
from stream.history import runs
from stream.history.ledger import Query
from stream.offline.points import Point
from stream.rulelang.model import Rule, RuleSet

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

PAGE: Final = 50_000
"""Rows asked for at once."""
_PLAIN: Final = ("gauge", "sum")
"""Kinds of metrics whose points are one value; without it they are none."""
_DEVICE: Final = "hw.id"
_NONE: Final = -1
_ENDED: Final = "SELECT toUnixTimestamp64Nano(last_time) FROM train_runs_latest WHERE run = {run:String}"
_WHO: Final = "toUnixTimestamp64Nano(time) AS at, attempt, rank, node, role, emitter, seq"
_PAGED: Final = (
    " FROM {table} WHERE run = {{run:String}} AND time >= fromUnixTimestamp64Nano({{since:Int64}})"
    " ORDER BY time, emitter, seq{then} LIMIT {page}"
)

Row = Sequence[Any]


def find_run(client: Client, name: str) -> str:
    """The id of the run of this id or name, the newest where several share it. Raises NoRunError."""

    def ask(query: Query) -> list[Mapping[str, Any]]:
        return list(client.query(query.sql, parameters=dict(query.parameters)).named_results())

    row = runs.find(ask, name)
    if row is None:
        raise NoRunError(name, runs.names(ask))
    return str(row["run"])


class History:
    """One run as a recording: only the kinds of events that these rules look at."""

    timed = True
    lines = 0

    def __init__(self, client: Client, run: str, rules: RuleSet, page: int = PAGE) -> None:
        self._client = client
        self._run = run
        self._page = page
        self._wanted = _wanted(rules.rules)
        found = client.query(_ENDED, parameters={"run": run}).result_rows
        self.ended: int | None = int(found[0][0]) if found else None

    def __iter__(self) -> Iterator[Point]:
        readers: Mapping[str, Callable[[], Iterator[Point]]] = {
            events.STEP: lambda: self._scalars("train_steps", events.STEP),
            events.EVAL: lambda: self._scalars("train_evals", events.EVAL),
            events.RESOURCE: self._resources,
            events.HEARTBEAT: self._heartbeats,
        }
        sources = [read() for event, read in readers.items() if event in self._wanted]
        spans = sorted(self._wanted & set(events.SPANS))
        sources += [self._spans(spans)] if spans else []
        others = sorted(self._wanted - set(readers) - set(events.SPANS) - {events.METRIC})
        sources += [self._logs([*others, events.LIFECYCLE])]
        sources += [self._metrics()] if events.METRIC in self._wanted else []
        return heapq.merge(*sources, key=lambda point: point.order)

    def _scalars(self, table: str, event: str) -> Iterator[Point]:
        rows = self._rows(
            f"SELECT {_WHO}, step, name, value" + _PAGED.format(table=table, then=", name", page=self._page),
            0,
        )
        for row, same in _records(rows, lambda row: row[:8]):
            yield _point(event, row, row[7], {name: value for *_, name, value in same})

    def _resources(self) -> Iterator[Point]:
        rows = self._rows(
            f"SELECT {_WHO}, device, name, value"
            + _PAGED.format(table="train_resources", then=", device, name", page=self._page),
            0,
        )
        for row, same in _records(rows, lambda row: row[:8]):
            values: dict[str, Any] = {name: value for *_, name, value in same}
            yield _point(events.RESOURCE, row, _NONE, {**values, **({_DEVICE: row[7]} if row[7] else {})})

    def _heartbeats(self) -> Iterator[Point]:
        query = f"SELECT {_WHO}, step, phase, progress_age"
        for row in self._rows(query + _PAGED.format(table="train_heartbeats", then="", page=self._page), 0):
            values = {PHASE: row[8]} | ({events.PROGRESS_AGE: row[9]} if row[9] is not None else {})
            yield _point(events.HEARTBEAT, row, row[7], values)

    def _logs(self, names: list[str]) -> Iterator[Point]:
        query = (
            "SELECT toUnixTimestamp64Nano(Timestamp) AS at, attempt, rank, node, role, emitter, seq,"
            " EventName, SeverityNumber, Body, LogAttributes FROM otel_logs"
            " WHERE run = {run:String} AND EventName IN {names:Array(String)}"
            " AND Timestamp >= fromUnixTimestamp64Nano({since:Int64})"
            f" ORDER BY Timestamp, emitter, seq LIMIT {self._page}"
        )
        for row in self._rows(query, 0, names=names):
            point = _told(row, row[10])
            point.severity, point.body = row[8], row[9]
            yield point

    def _spans(self, names: list[str]) -> Iterator[Point]:
        """Spans in the order in which they ended: before that nobody could know of them."""
        query = (
            "SELECT toInt64(toUnixTimestamp64Nano(Timestamp) + Duration) AS at, attempt, rank, node, role,"
            " emitter, SpanId, SpanName, Duration, StatusCode, SpanAttributes, StatusMessage FROM otel_traces"
            " WHERE run = {run:String} AND SpanName IN {names:Array(String)} AND at >= {since:Int64}"
            f" ORDER BY at, emitter, SpanId LIMIT {self._page}"
        )
        for row in self._rows(query, 0, names=names):
            point = _told(row, row[10])
            point.time, point.end = row[0] - row[8], row[0]
            point.values["duration"] = row[8] / 1e9
            point.status, point.body = row[9].lower(), row[11] or None
            yield point

    def _metrics(self) -> Iterator[Point]:
        query = (
            f"SELECT {_WHO}, name, value, attributes, flags, kind, count, sum, min, max, quantiles,"
            " quantile_values"
        )
        paged = _PAGED.format(
            table="train_metrics", then=", name, mapKeys(attributes), mapValues(attributes)", page=self._page
        )
        for row in self._rows(query + paged, 0):
            value, attributes, flags, kind = row[8:12]
            if flags & 1 or (value is None and kind in _PLAIN):
                continue
            distribution = dict(zip(("count", "sum", "min", "max"), row[12:16], strict=True))
            quantiles = zip(row[16], row[17], strict=True)
            point = _point(events.METRIC, row, _NONE, point_of(attributes, value, distribution, quantiles))
            point.metric = row[7]
            yield point

    def _rows(self, query: str, since: int, **parameters: Any) -> Iterator[Row]:
        """All rows of a query by time, a page at a time; a page goes on where the last one's time began."""
        skip: set[tuple[Any, ...]] = set()
        while True:
            asked = {"run": self._run, "since": since, **parameters}
            page = self._client.query(query, parameters=asked).result_rows
            yield from (row for row in page if _identity(row) not in skip)
            if len(page) < self._page:
                return
            if page[-1][0] == since:
                # More rows of one nanosecond than a page holds: what is left of them is passed by.
                since += 1
                skip = set()
                continue
            since = page[-1][0]
            skip = {_identity(row) for row in page if row[0] == since}


def _identity(row: Row) -> tuple[Any, ...]:
    return tuple(str(cell) for cell in row)


def _records(rows: Iterable[Row], key: Callable[[Row], Any]) -> Iterator[tuple[Row, list[Row]]]:
    """Rows of one record that follow each other, with the first of them."""
    open_ones: list[Row] = []
    for row in rows:
        if open_ones and key(row) != key(open_ones[0]):
            yield open_ones[0], open_ones
            open_ones = []
        open_ones.append(row)
    if open_ones:
        yield open_ones[0], open_ones


def _point(event: str, row: Row, step: int, values: dict[str, Any]) -> Point:
    at, attempt, rank, node, role = row[:5]
    epoch = values.pop("epoch", None)
    point = Point(event, values, step if step != _NONE else None, time=at)
    point.epoch = epoch if isinstance(epoch, float) else None
    point.attempt, point.rank = attempt, rank if rank != _NONE else None
    point.node, point.role = node or None, role or None
    point.order = (attempt, at)
    return point


def _told(row: Row, attributes: Mapping[str, str]) -> Point:
    """A record with attributes as texts; ``row[7]`` names its event."""
    step = step_of(attributes)
    point = _point(row[7], row, _NONE if step is None else step, values_of(row[7], attributes))
    point.epoch = epoch_of(attributes)
    return point


def _wanted(rules: Iterable[Rule]) -> set[str]:
    """The events that these rules look at."""
    found: set[str] = set()
    for rule in rules:
        found.add(rule.on)
        found |= {spec.event for spec in (rule.program.windows if rule.program else ()) if spec.event}
        if rule.absent is not None:
            found |= {rule.absent.of, events.HEARTBEAT} | (
                {rule.absent.after} if rule.absent.after else set()
            )
    return found
