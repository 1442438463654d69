"""The Arrow schemas of the sink against the tables of the real schema."""

from __future__ import annotations

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from stream.sink.tables import SCHEMAS, arrow

# What ClickHouse calls each Arrow type of ours, Nullable aside.
TYPES = {
    "dictionary<values=string, indices=int32, ordered=0>": {"LowCardinality(String)"},
    "string": {"String"},
    "timestamp[ns, tz=UTC]": {"DateTime64(9)"},
    "map<string, string>": {"Map(LowCardinality(String), String)"},
    "list<item: string>": {"Array(String)", "Array(LowCardinality(String))"},
    "list<item: uint64>": {"Array(UInt64)"},
    "list<item: double>": {"Array(Float64)"},
    "list<item: timestamp[ns, tz=UTC]>": {"Array(DateTime64(9))"},
    "list<item: map<string, string>>": {"Array(Map(LowCardinality(String), String))"},
    "struct<time: timestamp[ns, tz=UTC], state: string>": {"Tuple(time DateTime64(9), state String)"},
    "bool": {"Bool"}, "double": {"Float64"},
    "int32": {"Int32"}, "int64": {"Int64"},
    "uint8": {"UInt8"}, "uint16": {"UInt16"}, "uint32": {"UInt32"}, "uint64": {"UInt64"},
}  # fmt: skip


def plain(kind: str) -> str:
    """The type inside Nullable(...) or SimpleAggregateFunction(name, ...)."""
    for wrapper in ("SimpleAggregateFunction(min, ", "SimpleAggregateFunction(max, ", "Nullable("):
        if kind.startswith(wrapper):
            return plain(kind[len(wrapper) : -1])
    return kind


@pytest.mark.parametrize("table", SCHEMAS)
def test_columns_and_types_are_those_of_the_table(database: Client, table: str) -> None:
    """Every column that is neither an alias nor computed by the table, with a type that fits it."""
    rows = database.query(f"DESCRIBE TABLE {table}").result_rows
    described = {row[0]: plain(row[1]) for row in rows if row[2] not in ("ALIAS", "MATERIALIZED")}
    schema = SCHEMAS[table]

    assert set(schema.names) == set(described)
    for field in schema:
        assert described[field.name] in TYPES[str(field.type)], field.name


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_table_takes_an_empty_row_of_arrow(database: Client, table: str) -> None:
    """The least that a column can hold is accepted by the real engine."""
    row = tuple(_least(field.type) for field in SCHEMAS[table])

    database.insert_arrow(table, arrow(table, [row]))

    assert database.command(f"SELECT count() FROM {table}") == 1


def _least(kind: pa.DataType) -> object:
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return ""
    if pa.types.is_list(kind) or pa.types.is_map(kind):
        return []
    if pa.types.is_struct(kind):
        return {"time": 0, "state": ""}
    return False if pa.types.is_boolean(kind) else 0
