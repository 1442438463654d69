"""The books of a ledger test: what history holds, counted against what was sent."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from emitter.vocabulary import diagnoses
from emitter.vocabulary import events as vocabulary
from emitter.vocabulary.cloudevents import parse_rfc3339
from emitter.vocabulary.diagnoses import Diagnosis
from stream.history.client import connect
from tests.integration.ledger_events import COMMANDING, KINDS, Load, undisturbed

STILL_S: Final = 180.0
"""History that has not grown for so long will not grow any more, however slow the machine."""

_TABLES: Final = {
    "train_steps": ("name", [vocabulary.STEP]),
    "train_evals": ("name", [vocabulary.EVAL]),
    "train_resources": ("(name, device)", [vocabulary.RESOURCE]),
    "train_heartbeats": ("''", [vocabulary.HEARTBEAT]),
    "otel_logs": ("''", [vocabulary.LOG, vocabulary.LIFECYCLE]),
}
"""Table, what tells the rows of one record apart, the events that it holds."""


class Books:
    """Questions about the runs of one load."""

    def __init__(self, url: str, load: Load) -> None:
        self._url, self._load = url, load
        self._runs = {"runs": load.run_ids}

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        client: Client = connect(self._url, wait_s=60)
        try:
            return [tuple(row) for row in client.query(query, parameters=self._runs).result_rows]
        finally:
            client.close()

    def stored(self) -> int:
        """How many different records are there, over all tables."""
        return int(self._rows(f"SELECT uniqExact(emitter, seq) FROM ({_all_tables()})")[0][0])

    def wait(self, transitions: int, commands: int) -> None:
        """Until all records, so many transitions and commands are there, or nothing more comes."""
        wanted, had, since = (self._load.total, transitions, commands), (0, 0, 0), time.monotonic()
        while time.monotonic() < since + STILL_S:
            has = (self.stored(), len(self.transitions()), len(self.commands()))
            if all(there >= want for there, want in zip(has, wanted, strict=True)):
                return
            if has != had:
                had, since = has, time.monotonic()
            time.sleep(2.0)

    def wrong_records(self) -> dict[str, Any]:
        """Everything that is not exactly once; empty where all is well."""
        wrong: dict[str, Any] = {}
        for table, (parts, names) in _TABLES.items():
            records = sum(self._load.records[name] for name in names)
            rows = self._load.records["values"] if table == "train_steps" else records
            found = self._rows(
                f"SELECT count(), uniqExact(emitter, seq), uniqExact(emitter, seq, {parts}) FROM {table} "
                "WHERE run IN {runs:Array(String)} AND seq >= 0"
            )[0]
            if found != (rows, records, rows):
                wrong[table] = {"rows, records, rows once": found, "expected": (rows, records, rows)}
                wrong[table]["twice"] = self._twice(table, parts)
        rolled = self._rows(
            "SELECT sum(count + not_finite) FROM train_steps_1m WHERE run IN {runs:Array(String)}"
        )[0][0]
        if rolled != self._load.records["values"]:
            wrong["train_steps_1m"] = {"values": rolled, "expected": self._load.records["values"]}
        lost = self._lost()
        return {**wrong, "lost": lost} if lost else wrong

    def _twice(self, table: str, parts: str) -> list[tuple[Any, ...]]:
        return self._rows(
            f"SELECT emitter, seq, count(), groupUniqArray((src_partition, src_offset)) FROM {table} "
            f"WHERE run IN {{runs:Array(String)}} GROUP BY emitter, seq, {parts} HAVING count() > 1 "
            "ORDER BY emitter, seq LIMIT 5"
        )

    def _lost(self) -> list[tuple[Any, ...]]:
        each = self._load.total // (self._load.runs * self._load.ranks)
        return self._rows(
            f"SELECT emitter, {each} - uniqExact(seq) AS missing FROM ({_all_tables()}) GROUP BY emitter "
            "HAVING missing != 0 ORDER BY emitter LIMIT 5"
        )

    def transitions(self) -> Counter[tuple[Any, ...]]:
        """Every stored transition of a diagnosis: id, rule, state, rank, step, time (ns)."""
        return Counter(
            self._rows(
                "SELECT id, rule, state, rank, step, toUnixTimestamp64Nano(time) FROM train_diagnoses FINAL "
                "WHERE run IN {runs:Array(String)}"
            )
        )

    def commands(self) -> Counter[tuple[Any, ...]]:
        """Every stored command: id, run, action, diagnosis."""
        return Counter(
            self._rows(
                "SELECT id, run, action, diagnosis FROM train_commands FINAL "
                "WHERE run IN {runs:Array(String)}"
            )
        )

    def repeats(self) -> dict[str, int]:
        """How often decisions were published again, under the same id."""
        keys = {"train_diagnoses": "id, state, time", "train_commands": "id"}
        count = "SELECT count() - uniqExact({}) FROM {} WHERE run IN {{runs:Array(String)}}"
        return {table: int(self._rows(count.format(key, table))[0][0]) for table, key in keys.items()}


def audit(clickhouse: str, load: Load, obeyed: set[str]) -> None:
    """Wait until history has all that an undisturbed loop makes of the load; it has that once, and no more.

    ``obeyed``: the ids of the commands that trainers got.
    """
    expected, books = undisturbed(load), Books(clickhouse, load)
    firing = [one for one in expected if one.state == diagnoses.FIRING]
    assert len({one.rule for one in firing}) == KINDS, "a seeded fault is not one"
    wanted = Counter(map(_transition, expected))
    books.wait(len(wanted), load.runs)
    print(f"published again under the same id: {books.repeats()}")

    wrong = books.wrong_records()
    assert not wrong, f"not exactly once: {wrong}"
    found = books.transitions()
    assert found == wanted, f"too much: {sorted(found - wanted)}, missing: {sorted(wanted - found)}"
    stored = sorted(books.commands().elements())
    ordered = sorted((one.run, "save", one.id) for one in firing if one.rule == COMMANDING)
    assert [row[1:] for row in sorted(stored, key=lambda row: row[1])] == ordered, stored
    assert obeyed == {row[0] for row in stored}, f"commands on the topic: {obeyed}, in history: {stored}"


def _transition(made: Diagnosis) -> tuple[Any, ...]:
    """A diagnosis as ``Books.transitions`` has it."""
    return made.id, made.rule, made.state, made.rank, made.step, parse_rfc3339(made.time)


def _all_tables() -> str:
    return " UNION ALL ".join(
        f"SELECT emitter, seq FROM {table} WHERE run IN {{runs:Array(String)}} AND seq >= 0"
        for table in _TABLES
    )
