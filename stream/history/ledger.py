"""The ledger from ClickHouse: queries for whoever can run them, and what their rows say.

Plain data: the command line runs them with clickhouse-connect, the viewer with its own read-only store.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from emitter.vocabulary import cloudevents
from stream.ledger import book as books
from stream.ledger.book import Book, Record, command_id

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Query:
    """SQL with ``{name:Type}`` for its parameters. ``kind``: what records its rows are."""

    kind: str
    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


Run = Callable[[Query], Iterable[Row]]
"""Asks ClickHouse; rows by column name."""

_SOURCE: Final = ("src_topic", "src_partition", "src_offset")
_TIMES: Final = {
    books.DECISION: ("train_decisions", ("time",)),
    books.INCIDENT: ("train_incidents", ("time", "began", "ended")),
    books.COMMAND: ("train_commands", ("issued", "expires")),
    books.ACK: ("train_acks", ("time",)),
    books.DIAGNOSIS: ("train_diagnoses", ("time",)),
    books.WORD: ("train_control", ("time",)),
}
_NS: Final = "_ns"
_JSON: Final = frozenset([
    "args", "target", "detail", "evidence", "cause", "symptoms", "timeline", "actions", "cost", "silence",
    "run_mode",
])  # fmt: skip
_NONE: Final = -1
MOST: Final = 2_000
"""Rows of one answer."""


def select(kind: str, where: str, parameters: Mapping[str, Any] | None = None, limit: int = MOST) -> Query:
    """The newest rows of one kind for which this holds."""
    table, times = _TIMES[kind]
    stamps = ", ".join(f"toUnixTimestamp64Nano({name}) AS {name}{_NS}" for name in times)
    # Incidents are a view: one row each already.
    left_out, final = (times, "") if kind == books.INCIDENT else ((*times, *_SOURCE), " FINAL")
    # Of one moment: as they lie in their topic.
    order = f"{times[0]} DESC" + ("" if kind == books.INCIDENT else ", src_offset DESC")
    sql = (
        f"SELECT * EXCEPT ({', '.join(left_out)}), {stamps} FROM {table}{final}"
        f" WHERE {where} ORDER BY {order} LIMIT {limit}"
    )
    return Query(kind, sql, parameters or {})


def record_of(kind: str, row: Row) -> Record:
    """A row as the record that it was made of."""
    record = {name: _value(name, value) for name, value in row.items() if not name.endswith(_NS)}
    for name, value in row.items():
        if name.endswith(_NS):
            record[name.removesuffix(_NS)] = None if value is None else cloudevents.rfc3339(int(value))
    if kind == books.COMMAND:
        record["reason"] = {name: record.pop(name, None) for name in ("diagnosis", "rule", "summary")}
    if kind == books.INCIDENT:
        record["cost"] = {
            name: record.pop(name, None) for name in ("lost_steps", "lost_seconds", "gpu_seconds")
        }
    if kind == books.DECISION:
        _whole_command(record)
    return record


def _whole_command(record: Record) -> None:
    """What waits for a person is stored with all that it would do."""
    would = (record.get("detail") or {}).pop("would", None)
    if record["decision"] == "held" and isinstance(would, dict):
        about = {name: record.get(name) for name in ("run", "attempt", "action")}
        record["command"] = {"id": record["command"], "issued": record["time"], **about, **would}


def _value(name: str, value: Any) -> Any:
    if name in _JSON and isinstance(value, str):
        return json.loads(value) if value else None
    if name == "rank" and value == _NONE:
        return None
    return None if value == "" else value


def fill(book: Book, run: Run, *queries: Query) -> None:
    """Put the records of these queries into the book, the oldest first as from a topic."""
    for query in queries:
        for row in reversed(list(run(query))):
            book.add(query.kind, record_of(query.kind, row))


_BEGINS: Final = (
    "startsWith(command, {id:String}) OR startsWith(incident, {id:String})"
    " OR startsWith(diagnosis, {id:String})"
)


def about(run: Run, identity: str) -> Book:
    """All that is known about the commands, incidents and diagnoses whose id begins like this."""
    book, beginning = Book(), {"id": identity}
    fill(
        book,
        run,
        select(books.DECISION, _BEGINS, beginning),
        select(books.COMMAND, "startsWith(id, {id:String})", beginning),
        select(books.DIAGNOSIS, "startsWith(id, {id:String})", beginning),
    )
    incidents = sorted({str(d["incident"]) for d in book.decisions.values() if d.get("incident")})
    fill(book, run, select(books.DECISION, "incident IN {ids:Array(String)}", {"ids": incidents}))
    commands = {c for d in book.decisions.values() if (c := command_id(d))} | set(book.commands)
    diagnoses = {str(d["diagnosis"]) for d in book.decisions.values() if d.get("diagnosis")}
    diagnoses |= {str(r["diagnosis"]) for c in book.commands.values() if (r := c["reason"])["diagnosis"]}
    # Once more and all together, in their order. Words that were refused, and what tripped the breaker,
    # name a command in their detail alone.
    book.decisions.clear()
    every = {**beginning, "incidents": incidents, "commands": sorted(commands)}
    where = (
        f"{_BEGINS} OR incident IN {{incidents:Array(String)}} OR command IN {{commands:Array(String)}}"
        " OR JSONExtractString(detail, 'command') IN {commands:Array(String)}"
    )
    fill(book, run, select(books.DECISION, where, every))
    fill(
        book,
        run,
        select(books.INCIDENT, "id IN {ids:Array(String)}", {"ids": incidents}),
        select(books.COMMAND, "id IN {ids:Array(String)}", {"ids": sorted(commands)}),
        select(books.ACK, "command IN {ids:Array(String)}", {"ids": sorted(commands)}),
        select(books.DIAGNOSIS, "id IN {ids:Array(String)}", {"ids": sorted(diagnoses)}),
        select(books.WORD, "command IN {ids:Array(String)}", {"ids": sorted(commands)}),
    )
    return book


def known(run: Run) -> Book:
    """The newest commands, incidents and diagnoses: what a mistyped id is compared with."""
    book = Book()
    fill(book, run, select(books.DECISION, "1", limit=1_000), select(books.COMMAND, "1", limit=200))
    return book


def waiting(days: int = 30) -> Query:
    """Every decision about commands that were held lately; ``story.held`` tells which still are."""
    held = (
        "SELECT command FROM train_decisions WHERE decision = 'held'"
        f" AND time > now() - toIntervalDay({int(days)})"
    )
    return select(books.DECISION, f"command IN ({held})")


def incidents(state: str | None = None, run: str | None = None, limit: int = 100) -> Query:
    """The newest incidents: ``state`` open, closed or None for all; ``run`` by id or name."""
    clauses, parameters = ["1"], {}
    if state is not None:
        clauses.append("ended IS NULL" if state == "open" else "ended IS NOT NULL")
    if run is not None:
        clauses.append("(run = {run:String} OR run_name = {run:String})")
        parameters["run"] = run
    return select(books.INCIDENT, " AND ".join(clauses), parameters, limit)


def breaker() -> Query:
    """When the circuit breaker was tripped and reset."""
    return select(books.DECISION, "decision IN ('breaker_tripped', 'breaker_reset')", limit=20)


def silences() -> Query:
    """Words of people by which something was kept quiet, and by which that ended."""
    return select(books.DECISION, "decision IN ('silence_began', 'silence_ended')")
