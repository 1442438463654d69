"""Rows of one batch, collected by table."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import numpy as np
import pyarrow as pa

from stream.sink import tables
from stream.sink.records import NONE, Record, Who
from stream.sink.tables import Row

_log = logging.getLogger(__name__)

_ERRORS_SHOWN: Final = 5
"""Bad records of one batch that are named in the log; all are counted."""
_BAD_VALUE: Final = (pa.ArrowException, TypeError, ValueError, OverflowError)


class Scalars:
    """Rows that share all columns but name and value: one head, many numbers."""

    def __init__(self) -> None:
        self.heads: list[Row] = []
        self.counts: list[int] = []
        self.names: list[str] = []
        self.values: list[float] = []

    def add(self, head: Row, values: Mapping[str, float]) -> None:
        """``head``: the schema's columns in order, without name and value."""
        self.heads.append(head)
        self.counts.append(len(values))
        self.names.extend(values)
        self.values.extend(values.values())

    def rows(self, table: str) -> Iterator[Row]:
        """One by one, in the order of the schema."""
        at = tables.SCHEMAS[table].get_field_index("name")
        cells = iter(zip(self.names, self.values, strict=True))
        for head, count in zip(self.heads, self.counts, strict=True):
            for name, value in islice(cells, count):
                yield (*head[:at], name, value, *head[at:])

    def arrow(self, table: str) -> pa.Table:
        """All rows. Raises like ``tables.arrow``."""
        schema = tables.SCHEMAS[table]
        fields = [field for field in schema if field.name not in ("name", "value")]
        which = pa.array(np.repeat(np.arange(len(self.heads)), self.counts))
        columns = {
            field.name: pa.array(values, field.type).take(which)
            for field, values in zip(fields, zip(*self.heads, strict=True), strict=True)
        }
        columns["name"] = pa.array(self.names, pa.string()).dictionary_encode()
        columns["value"] = pa.array(np.array(self.values, dtype=np.float64))
        return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


class Rank:
    """What one batch says of one rank of one attempt: a row of train_runs."""

    def __init__(self, run_name: str, node: str, world_size: int) -> None:
        self.run_name, self.node, self.world_size = run_name, node, world_size
        self.started = self.last_time = 0
        self.last_step = NONE
        self.lifecycle = (0, "")

    def saw(self, time: int, step: int) -> None:
        """A sign of life at this time (ns), at this step (-1: none)."""
        self.started = min(self.started or time, time)
        self.last_time = max(self.last_time, time)
        self.last_step = max(self.last_step, step)

    def row(self, run: str, attempt: int, role: str, rank: int) -> Row:
        """In the order of train_runs."""
        time, state = self.lifecycle
        return (
            run, attempt, role, rank, self.run_name, self.node, self.world_size, self.started, self.last_time,
            self.last_step, {"time": time, "state": state},
        )  # fmt: skip


class Rows:
    """Rows by table, and what was left out: ``bad`` records and ``duplicates`` (resends).

    ``again``: what cannot be stored was said already.
    """

    def __init__(self, again: bool = False) -> None:
        self._shown = 0 if again else _ERRORS_SHOWN
        self.plain: dict[str, list[Row]] = {}
        self.scalars: dict[str, Scalars] = {}
        self.ranks: dict[tuple[str, int, str, int], Rank] = {}
        self.bad = 0
        self.duplicates = 0

    def add(self, table: str, row: Row) -> None:
        """One row in the order of the table's schema."""
        self.plain.setdefault(table, []).append(row)

    def add_scalars(self, table: str, head: Row, values: Mapping[str, float]) -> None:
        """One row for each value; none where there are none."""
        if values:
            if table not in self.scalars:
                self.scalars[table] = Scalars()
            self.scalars[table].add(head, values)

    def rank(self, who: Who, run_name: str, world_size: int) -> Rank:
        """The row of train_runs to which this sender belongs."""
        key = (who.run, who.attempt, who.role, who.rank)
        if key not in self.ranks:
            self.ranks[key] = Rank(run_name, who.node, world_size)
        return self.ranks[key]

    def refuse(self, where: Record | str, error: BaseException | str) -> None:
        """Count something that cannot be stored, and say so."""
        self.bad += 1
        if self.bad <= self._shown:
            _log.error("%s: not stored in history: %s", where, error)
        elif self.bad == self._shown + 1 and self._shown:
            _log.error(
                "%s: not stored in history, and more of this batch: see the count of bad records", where
            )

    def arrow(self) -> dict[str, pa.Table]:
        """The batch by table, without empty ones. A row with a value that does not fit is refused alone."""
        plain = dict(self.plain)
        if self.ranks:
            plain[tables.RUNS] = [rank.row(*key) for key, rank in self.ranks.items()]
        built = {table: self._built(table, rows) for table, rows in plain.items()}
        for table, scalars in self.scalars.items():
            built[table] = self._built(table, scalars)
        return {table: content for table, content in built.items() if content.num_rows}

    def _built(self, table: str, rows: Sequence[Row] | Scalars) -> pa.Table:
        try:
            return rows.arrow(table) if isinstance(rows, Scalars) else tables.arrow(table, rows)
        except _BAD_VALUE:
            each = rows.rows(table) if isinstance(rows, Scalars) else rows
            return tables.arrow(table, [row for row in each if self._fits(table, row)])

    def _fits(self, table: str, row: Row) -> bool:
        try:
            tables.arrow(table, [row])
        except _BAD_VALUE as error:
            self.refuse(f"a row of {table} {row[-3:]}", error)
            return False
        return True
