"""ClickHouse's HTTP interface as plain HTTP clients use it."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid

import pytest

from tests.fixtures import http_request
from tests.stream.clickhouse.talk import create, get, post


@pytest.fixture
def name() -> str:
    """A table name of the test's own."""
    return f"t_{uuid.uuid4().hex}"


@pytest.mark.parametrize("path", ["/ping", "/", "/replicas_status"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health(clickhouse_url: str, method: str, path: str) -> None:
    """The health paths answer Ok. and a HEAD has no body."""
    answer = http_request(method, clickhouse_url + path)
    assert answer.status == 200
    assert answer.body == (b"Ok.\n" if method == "GET" else b"")


def test_unknown_path(clickhouse_url: str) -> None:
    """Another path is not found, and the answer says which ones there are."""
    answer = http_request("GET", f"{clickhouse_url}/metrics")
    assert answer.status == 404
    assert b"There is no handle /metrics" in answer.body


def test_query_in_url_and_in_body(clickhouse_url: str) -> None:
    """The query may stand in the URL, in the body, or begin in one and end in the other."""
    assert get(clickhouse_url, query="SELECT 1").body == b"1\n"
    assert post(clickhouse_url, "SELECT 2;\n").body == b"2\n"
    assert post(clickhouse_url, "+ 3", query="SELECT 1").body == b"4\n"


def test_headers(clickhouse_url: str) -> None:
    """Every answer names the query, the format, the time zone and what was read."""
    answer = post(clickhouse_url, "SELECT number FROM numbers(7) FORMAT JSONEachRow", query_id="my id/1")
    assert answer.headers["x-clickhouse-query-id"] == "my id/1"
    assert answer.headers["x-clickhouse-format"] == "JSONEachRow"
    assert answer.headers["content-type"] == "application/x-ndjson; charset=UTF-8"
    assert answer.headers["x-clickhouse-timezone"]
    assert answer.headers["x-clickhouse-server-display-name"]
    summary = json.loads(answer.headers["x-clickhouse-summary"])
    assert (summary["read_rows"], summary["result_rows"]) == ("7", "7")
    assert int(summary["elapsed_ns"]) > 0


def test_get_is_read_only(clickhouse_url: str, name: str) -> None:
    """GET may read and set, not write: error 164."""
    create(clickhouse_url, name)
    for statement in (
        f"INSERT INTO {name} VALUES (1, 'x')",
        f"DROP TABLE {name}",
        f"CREATE TABLE {name}2 (a Int8)",
    ):
        answer = get(clickhouse_url, query=statement)
        assert answer.headers["x-clickhouse-exception-code"] == "164", answer.body
    assert get(clickhouse_url, query=f"SELECT count() FROM {name}", max_threads="1").body == b"0\n"


@pytest.mark.parametrize(
    ("statement", "code", "error", "status"),
    [
        ("SELEC 1", 62, "SYNTAX_ERROR", 400),
        ("1 + 1", 62, "SYNTAX_ERROR", 400),
        ("SELECT 'never ends", 62, "SYNTAX_ERROR", 400),
        ("SELECT 1; SELECT 2", 62, "SYNTAX_ERROR", 400),
        ("", 62, "SYNTAX_ERROR", 400),
        ("SELECT * FROM no_such_table", 60, "UNKNOWN_TABLE", 404),
        ("SELECT * FROM no_such.thing", 81, "UNKNOWN_DATABASE", 404),
        ("SELECT no_such_column", 47, "UNKNOWN_IDENTIFIER", 404),
        ("SELECT no_such_function()", 46, "UNKNOWN_FUNCTION", 404),
        ("SELECT 1 FORMAT Nope", 73, "UNKNOWN_FORMAT", 404),
        ("SELECT 1 SETTINGS no_such_setting = 1", 115, "UNKNOWN_SETTING", 404),
        ("SELECT toDate('x')", 38, "CANNOT_PARSE_DATE", 400),
        ("SELECT throwIf(1, 'as asked')", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO", 500),
        ("SELECT {p:UInt8}", 456, "UNKNOWN_QUERY_PARAMETER", 500),
        ("INSERT INTO no_such_table VALUES (1)", 60, "UNKNOWN_TABLE", 404),
    ],
)
def test_errors(clickhouse_url: str, statement: str, code: int, error: str, status: int) -> None:
    """Errors carry ClickHouse's code, name, version and HTTP status."""
    answer = post(clickhouse_url, statement)
    text = answer.body.decode()
    assert answer.status == status, text
    assert answer.headers["x-clickhouse-exception-code"] == str(code)
    assert answer.headers["x-clickhouse-query-id"]
    assert text.startswith(f"Code: {code}. DB::Exception: ")
    assert text.count(f"({error})") == 1
    assert text.count("(version ") == 1
    assert text.endswith(")\n")


def test_database(clickhouse_url: str, name: str) -> None:
    """The current database comes from the parameter or the header, and stays with the request."""
    post(clickhouse_url, f"CREATE DATABASE `{name} ä`")
    ask = "SELECT currentDatabase()"
    assert post(clickhouse_url, ask, database=f"{name} ä").body.decode() == f"{name} ä\n"
    assert post(clickhouse_url, ask, {"X-ClickHouse-Database": "system"}).body == b"system\n"
    assert post(clickhouse_url, ask).body == b"default\n"
    assert post(clickhouse_url, ask, database="no_such").headers["x-clickhouse-exception-code"] == "81"


def test_formats(clickhouse_url: str) -> None:
    """The FORMAT clause wins over default_format, which wins over the header."""
    header = {"X-ClickHouse-Format": "JSONEachRow"}
    assert post(clickhouse_url, "SELECT 1 AS a", header).body == b'{"a":1}\n'
    assert post(clickhouse_url, "SELECT 1 AS a", header, default_format="CSVWithNames").body == b'"a"\n1\n'
    assert post(clickhouse_url, "SELECT 1 AS a FORMAT TSV", default_format="CSV").body == b"1\n"
    assert (
        post(clickhouse_url, "SELECT 1", default_format="DataFrame").headers["x-clickhouse-exception-code"]
        == "73"
    )


@pytest.mark.parametrize(
    "output", ["Native", "Parquet", "ArrowStream", "RowBinaryWithNamesAndTypes", "JSONEachRow"]
)
def test_binary_round_trip(clickhouse_url: str, name: str, output: str) -> None:
    """What comes out in a format goes in again, byte for byte the same values."""
    create(clickhouse_url, name)
    asked = "SELECT toInt64(number) AS a, char(number % 256, 0, 255, 10) AS s FROM numbers(70000)"
    if output == "JSONEachRow":
        asked = "SELECT toInt64(number) AS a, toString(number) AS s FROM numbers(70000)"
    data = post(clickhouse_url, f"{asked} FORMAT {output}").body
    answer = post(clickhouse_url, data, query=f"INSERT INTO {name} FORMAT {output}")
    assert json.loads(answer.headers["x-clickhouse-summary"])["written_rows"] == "70000", answer.body
    both = f"SELECT count(), sum(sipHash64(a, s)) FROM {name}"
    assert (
        post(clickhouse_url, both).body
        == post(clickhouse_url, f"SELECT count(), sum(sipHash64(a, s)) FROM ({asked})").body
    )


def test_insert_forms(clickhouse_url: str, name: str) -> None:
    """INSERT with its data in the URL, in the body, or behind the statement in the body."""
    create(clickhouse_url, name)
    assert post(clickhouse_url, "1\tx\n", query=f"INSERT INTO {name} FORMAT TSV").status == 200
    assert post(clickhouse_url, f'INSERT INTO {name} FORMAT CSV\n2,"y;"\n').status == 200
    assert post(clickhouse_url, f"INSERT INTO {name} VALUES (3, 'z'), (4, concat('a', 'b'));").status == 200
    assert post(clickhouse_url, "(5, 'v')", query=f"INSERT INTO {name} VALUES").status == 200
    assert post(clickhouse_url, "", query=f"INSERT INTO {name} (s) FORMAT CSV w").status == 200
    assert post(clickhouse_url, f"INSERT INTO {name} SELECT 6, 'u'").status == 200
    rows = post(clickhouse_url, f"SELECT * FROM {name} ORDER BY a, s FORMAT CSV").body.decode().split()
    assert rows == ['0,"w"', '1,"x"', '2,"y;"', '3,"z"', '4,"ab"', '5,"v"', '6,"u"']


def test_failed_insert_leaves_nothing(clickhouse_url: str, name: str) -> None:
    """A bad row at the end of more rows than fit an ordinary block: nothing of the insert is stored."""
    create(clickhouse_url, name)
    rows = "".join(f"{n},x\n" for n in range(1_200_000)) + "not a number,y\n"
    answer = post(clickhouse_url, rows, query=f"INSERT INTO {name} FORMAT CSV")
    assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (400, "27")
    assert post(clickhouse_url, f"SELECT count() FROM {name}").body == b"0\n"


def test_deduplication_token(clickhouse_url: str, name: str) -> None:
    """An insert sent again with its token is stored once."""
    create(clickhouse_url, name, more="SETTINGS non_replicated_deduplication_window = 100")
    for token in ("one", "one", "two"):
        post(
            clickhouse_url, "1,x\n", query=f"INSERT INTO {name} FORMAT CSV", insert_deduplication_token=token
        )
    assert post(clickhouse_url, f"SELECT count() FROM {name}").body == b"2\n"


def test_settings(clickhouse_url: str) -> None:
    """URL parameters are settings of this query only; the engine names one it does not know."""
    ask = "SELECT getSetting('max_threads')"
    before = post(clickhouse_url, ask).body
    assert post(clickhouse_url, ask, max_threads="7").body == b"7\n"
    assert post(clickhouse_url, ask).body == before
    for setting in ("no_such_setting", "bad name", "x';"):
        answer = post(clickhouse_url, ask, **{setting: "1"})
        assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (404, "115")


def test_max_execution_time(clickhouse_url: str) -> None:
    """A query that runs over its time ends with error 159 and status 408."""
    answer = post(clickhouse_url, "SELECT count() FROM numbers(1000000000000)", max_execution_time="1")
    assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (408, "159")


def test_rows_far_apart_in_a_stream(clickhouse_url: str) -> None:
    """Blocks without a matching row do not end a streamed result."""
    asked = "SELECT number FROM numbers(10000000) WHERE number % 3000000 = 0"
    assert post(clickhouse_url, asked).body == b"0\n3000000\n6000000\n9000000\n"


def test_error_in_the_middle_of_a_stream(clickhouse_url: str) -> None:
    """An error behind rows that were sent already is written behind them, with its marker."""
    asked = "SELECT number, throwIf(number = 3000000, 'half way') FROM numbers(4000000)"
    answer = post(clickhouse_url, asked, max_block_size="65536")
    tag = answer.headers["x-clickhouse-exception-tag"].encode()
    assert answer.status == 200
    assert answer.body.startswith(b"0\t0\n1\t0\n")
    assert b"half way" in answer.body[-500:]
    assert answer.body.endswith(b" " + tag + b"\r\n__exception__\r\n")
    waited = post(clickhouse_url, asked, wait_end_of_query="1")
    assert (waited.status, waited.headers["x-clickhouse-exception-code"]) == (500, "395")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT version(), timezone(), hostName(), currentUser()",
        "SELECT name, value, readonly FROM system.settings WHERE name = 'max_threads'",
        "SELECT name FROM system.databases WHERE name = 'default'",
        "SELECT count() FROM system.tables",
        "SELECT count() FROM system.columns",
        "SELECT count() FROM system.functions",
        "SELECT name, type FROM system.columns WHERE database = 'system' AND table = 'one'",
        "DESCRIBE TABLE system.one",
        "SHOW TABLES FROM system LIKE 'one'",
        "EXPLAIN SYNTAX SELECT 1",
    ],
)
def test_what_data_sources_ask(clickhouse_url: str, statement: str) -> None:
    """The questions of clients and of Grafana's data source about the server have answers, by GET too."""
    for answer in (post(clickhouse_url, statement), get(clickhouse_url, query=statement)):
        assert answer.status == 200, answer.body
        assert answer.body


@pytest.mark.parametrize("field", ["compress", "decompress"])
def test_native_block_compression_is_refused(clickhouse_url: str, field: str) -> None:
    """compress=1 and decompress=1 end in a clear error that names the way that works."""
    answer = post(clickhouse_url, "SELECT 1", **{field: "1"})
    assert answer.status == 501
    assert f"{field}=1 is not served by the embedded endpoint; use".encode() in answer.body


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(clickhouse_url: str, name: str) -> None:
    """Plain curl inserts and reads."""
    create(clickhouse_url, name)

    def curl(*arguments: str, given: str = "") -> str:
        done = subprocess.run(
            ["curl", "-sS", *arguments], input=given, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    curl(f"{clickhouse_url}/?query=INSERT+INTO+{name}+FORMAT+CSV", "--data-binary", "@-", given="1,x\n2,y\n")
    assert curl(clickhouse_url, "-d", f"SELECT sum(a) FROM {name}") == "3\n"
    assert curl("--compressed", f"{clickhouse_url}/?enable_http_compression=1&query=SELECT+1") == "1\n"
    assert curl("-G", clickhouse_url, "--data-urlencode", f"query=SELECT max(s) FROM {name}") == "y\n"
