"""Native answers in the revision that a client names, against what the engine writes without one."""

from __future__ import annotations

import struct
from typing import Final

import pytest

from stream.clickhouse.native import REVISION
from tests.fixtures import Answer
from tests.fixtures_clickhouse import Endpoint
from tests.stream.clickhouse.talk import code, post

INFO: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"
ROWS: Final = 300
TYPES: Final = (
    "Bool", "Int8", "UInt16", "Int32", "UInt64", "Int128", "UInt256", "Float32", "Float64", "Date", "Date32",
    "DateTime", "DateTime('Asia/Tokyo')", "DateTime64(9, 'UTC')", "Decimal(9, 2)", "Decimal(18, 2)",
    "Decimal(38, 2)", "Decimal(76, 2)", "UUID", "IPv4", "IPv6", "Enum8('a' = 1, 'b, (' = 2)",
    "Enum16('ä' = 300)", "String", "FixedString(7)", "Nullable(String)", "Nullable(DateTime64(3))",
    "Array(String)",
    "Array(Array(Nullable(UInt8)))", "Tuple(UInt8, String)", "Tuple(`a b` UInt8, c Array(String))",
    "Map(String, UInt16)", "Map(LowCardinality(String), Array(Float64))", "LowCardinality(String)",
    "LowCardinality(Nullable(String))", "LowCardinality(FixedString(3))", "Array(LowCardinality(String))",
    "Array(LowCardinality(Nullable(String)))", "Tuple(LowCardinality(String), LowCardinality(String))",
    "SimpleAggregateFunction(max, String)", "Nested(a UInt8, b String)", "IntervalSecond",
    "Nullable(Nothing)",
)  # fmt: skip


def _native(endpoint: Endpoint, sql: str, revision: int) -> Answer:
    return post(endpoint.url, sql, default_format="Native", client_protocol_version=str(revision))


def _column(name: str, form: str) -> bytes:
    return b"".join(bytes([len(text)]) + text for text in (name.encode(), form.encode()))


@pytest.mark.parametrize("form", TYPES)
def test_columns_of_each_type(clickhouse: Endpoint, form: str) -> None:
    """The info comes before the block, a flag before the data of both columns, and nothing else changes.

    The second column shows where the first one ends.
    """
    column = {
        "IntervalSecond": "toIntervalSecond(number)",
        "Nullable(Nothing)": "NULL",
        "SimpleAggregateFunction(max, String)": f"CAST(toString(number), {_quoted(form)})",
    }.get(form)
    source = f"generateRandom({_quoted('c ' + form)}, 7, 200, 3)" if column is None else f"numbers({ROWS})"
    sql = f"SELECT {column or 'c'} AS c, toUInt8(7) AS m FROM {source} LIMIT {ROWS}"
    sql += f" SETTINGS max_block_size = {ROWS}"
    before, after = _native(clickhouse, sql, 0), _native(clickhouse, sql, REVISION)
    assert before.status == after.status == 200, after.body

    marker, data = _column("m", "UInt8"), b"\x07" * ROWS
    assert before.body.endswith(marker + data)
    start = struct.pack("BBB", 2, 0x80 | (ROWS & 0x7F), ROWS >> 7)
    assert before.body.startswith(start)
    first = before.body[len(start) : -len(marker + data)]
    head = 1 + len("c")
    size = first[head]
    head += 1 + size if size < 0x80 else 2 + ((size & 0x7F) | first[head + 1] << 7)
    made = INFO + start + first[:head] + b"\0" + first[head:] + marker + b"\0" + data
    assert after.body == made


def test_several_blocks_and_long_texts(clickhouse: Endpoint) -> None:
    """Each block has its info, also in an answer that is sent while it is made."""
    sql = "SELECT repeat('x', number % 500) AS c FROM numbers(40000)"
    sql += " SETTINGS max_block_size = 1000, max_threads = 1"
    before, after = _native(clickhouse, sql, 0).body, _native(clickhouse, sql, 54460).body
    blocks = after.count(INFO)
    assert blocks >= 40
    assert len(after) == len(before) + blocks * (len(INFO) + 1)
    assert after.replace(INFO, b"").count(b"x") == before.count(b"x")


def test_a_name_that_is_no_text(clickhouse: Endpoint) -> None:
    answer = _native(clickhouse, "SELECT 1 AS `\\xff`", REVISION)
    assert answer.body == INFO + b"\x01\x01\x01\xff\x05UInt8\0\x01"


def test_no_rows(clickhouse: Endpoint) -> None:
    assert _native(clickhouse, "SELECT 1 AS c WHERE 0", REVISION).status == 200


@pytest.mark.parametrize("revision", ["0", "54405", str(REVISION - 1)])
def test_older_clients_get_what_they_always_got(clickhouse: Endpoint, revision: str) -> None:
    """They look at the first answer to see whether the server knows revisions."""
    answer = post(clickhouse.url, "SELECT 1 AS c", default_format="Native", client_protocol_version=revision)
    assert answer.body == b"\x01\x01" + _column("c", "UInt8") + b"\x01"


def test_other_formats_have_no_revision(clickhouse: Endpoint) -> None:
    answer = post(clickhouse.url, "SELECT 1 FORMAT TSV", client_protocol_version=str(REVISION))
    assert answer.body == b"1\n"


def test_a_type_that_cannot_be_measured_is_named(clickhouse: Endpoint) -> None:
    answer = _native(clickhouse, "SELECT sumState(number) AS c FROM numbers(3)", REVISION)
    assert code(answer) == "48"
    assert b"AggregateFunction(sum, UInt64) are not served" in answer.body


@pytest.mark.parametrize("revision", ["new", "", "-1", "\N{SUPERSCRIPT TWO}", "9" * 5000])
def test_a_revision_that_is_no_number(clickhouse: Endpoint, revision: str) -> None:
    answer = post(clickhouse.url, "SELECT 1", client_protocol_version=revision)
    assert code(answer) == "27"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
