"""The roll-ups by ten seconds and by the minute, on a real engine, against the rows that they are made of."""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from stream import history
from stream.history.migrate import migrate
from stream.sink.writer import Writer

Row = dict[str, Any]
NOW = float(int(time.time()) - 3_600)
ROWS = 3_000
STEP_KEYS = ("run", "name", "attempt", "role", "rank")
RESOURCE_KEYS = (*STEP_KEYS, "node", "device")
ROLL_UPS = [
    ("train_steps", "train_steps_10s", STEP_KEYS, 10),
    ("train_steps", "train_steps_1m", STEP_KEYS, 60),
    ("train_resources", "train_resources_10s", RESOURCE_KEYS, 10),
    ("train_resources", "train_resources_1m", RESOURCE_KEYS, 60),
]


def numbers(resources: bool) -> list[Row]:
    """Values of a few series, out of order, some of them not finite."""
    chance = random.Random(11)
    rows: list[Row] = []
    for place in range(ROWS):
        value = chance.choice([math.nan, math.inf, -math.inf]) if place % 17 == 0 else chance.gauss(3, 40)
        row: Row = {
            "run": f"run-{place % 2}", "attempt": place % 3, "rank": place % 5, "node": "ab"[place % 5 % 2],
            "role": "trainer", "time": int((NOW + chance.random() * 300) * 1e9),
            "name": ("loss", "data_time")[place % 7 % 2], "value": value,
        }  # fmt: skip
        rows.append(row | ({"device": f"GPU-{place % 2}"} if resources else {"step": place}))
    # A span of time in which nothing is finite.
    rows.append({**rows[-1], "name": "nothing", "value": math.nan})
    return rows


def batch(rows: list[Row]) -> pa.Table:
    """As the sink sends it."""
    table = pa.Table.from_pylist(rows)
    at = table.schema.get_field_index("time")
    return table.set_column(at, "time", table["time"].cast(pa.timestamp("ns")))


@pytest.fixture
def database(database_url: str) -> Iterator[Client]:
    """The schema with these numbers in it, as two inserts, one of which came twice."""
    migrate(database_url)
    writer = Writer(database_url)
    for table in ("train_steps", "train_resources"):
        rows = numbers(table == "train_resources")
        for part, token in ((rows[:999], "one"), (rows[999:], "two"), (rows[:999], "one")):
            assert writer.insert(table, batch(part), token) == 0
    writer.close()
    with history.connect(database_url) as client:
        yield client


def test_each_roll_up_is_equal_to_its_raw_rows(database: Client) -> None:
    """Counts, extremes and steps exactly, totals within rounding; an insert that came twice counts once."""
    for raw, rolled, keys, seconds in ROLL_UPS:
        steps = ", min(first_step), max(last_step)" if raw == "train_steps" else ""
        columns = ", ".join(keys)
        found = database.query(
            f"SELECT {columns}, toUnixTimestamp(time), sum(count), sum(not_finite), sum(total), min(low),"
            f" max(high){steps} FROM {rolled} GROUP BY {columns}, time"
        ).result_rows
        wanted = expected(numbers(raw == "train_resources"), keys, seconds)
        place = len(keys) + 1
        assert {tuple(row[:place]) for row in found} == set(wanted), rolled
        for row in found:
            other = wanted[tuple(row[:place])]
            assert row[place : place + 2] == other[:2], rolled
            assert row[place + 2] == pytest.approx(other[2], rel=1e-9, abs=1e-9)
            assert tuple(row[place + 3 :]) == other[3:], rolled


def expected(rows: list[Row], keys: tuple[str, ...], seconds: int) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """The roll-up of these rows, in plain Python."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        start = row["time"] // 1_000_000_000 // seconds * seconds
        groups[tuple([row[key] for key in keys] + [start])].append(row)
    return {key: _one(of) for key, of in groups.items()}


def _one(rows: list[Row]) -> tuple[Any, ...]:
    finite = [row["value"] for row in rows if math.isfinite(row["value"])]
    ends = (min(finite), max(finite)) if finite else (None, None)
    steps = [row["step"] for row in rows if "step" in row]
    return (
        len(finite), len(rows) - len(finite), math.fsum(finite), *ends,
        *((min(steps), max(steps)) if steps else ()),
    )  # fmt: skip


def test_values_that_are_not_finite_are_counted_apart(database: Client) -> None:
    """A span of nothing but NaN has a row, with no extremes and a total of zero."""
    for _, rolled, _, _ in ROLL_UPS:
        found = database.query(
            f"SELECT sum(count), sum(not_finite), sum(total), min(low), max(high) FROM {rolled}"
            " WHERE name = 'nothing'"
        ).result_rows
        assert found == [(0, 1, 0.0, None, None)]


def test_a_longer_range_reads_fewer_rows(database: Client) -> None:
    """Each step of zoom is fewer rows than the one before it."""
    for raw in ("train_steps", "train_resources"):
        sizes = []
        for table in (raw, f"{raw}_10s", f"{raw}_1m"):
            database.command(f"OPTIMIZE TABLE {table} FINAL")
            sizes.append(database.query(f"SELECT count() FROM {table}").result_rows[0][0])
        assert sizes[0] == ROWS + 1 > sizes[1] > sizes[2]
