"""What clients cannot do: read or write this machine's files, reach out, come from a web page."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from stream.clickhouse import EndpointError, guard, run
from stream.clickhouse.errors import ClickHouseError
from tests.fixtures import http_request
from tests.fixtures_clickhouse import Endpoint
from tests.stream.clickhouse.talk import code, post

SECRET = "the content of a private file"
DICTIONARY = "(a UInt64, b String) PRIMARY KEY a SOURCE({}) LAYOUT(FLAT()) LIFETIME(1)"
TRIES = [
    "SELECT * FROM file('{path}', 'LineAsString')",
    "SELECT file('{path}')",
    "SELECT `fi\\x6ce`('{path}')",
    "SELECT arrayMap(file, ['{path}'])",
    "SELECT * APPLY file FROM (SELECT '{path}')",
    "SELECT * FROM '{path}'",
    "SELECT * FROM `{path}`",
    "SELECT * FROM engine_local.`{path}`",
    "CREATE DATABASE fs ENGINE = Filesystem('/')",
    "CREATE DATABASE fs ENGINE = Overlay('a', 'b')",
    "CREATE TABLE ft (a String) ENGINE = File(LineAsString, '{path}')",
    "CREATE TABLE ft (a Int8) ENGINE = Log SETTINGS disk = disk(type = local, path = '{dir}/')",
    "CREATE DICTIONARY d " + DICTIONARY.format("FILE(path '{path}' format 'TSV')"),
    "CREATE DICTIONARY d " + DICTIONARY.format("EXECUTABLE(command 'ls' format 'TSV')"),
    "CREATE FUNCTION f AS x -> file(x)",
    "CREATE FUNCTION f AS (g, x) -> arrayMap(g, x)",
    "CREATE USER someone",
    "SELECT 1 INTO OUTFILE '{dir}/out'",
    "INSERT INTO FUNCTION file('{dir}/out', 'CSV') SELECT 1",
    "INSERT INTO FUNCTION file('{dir}/out', 'CSV', 'a Int8') VALUES (1)",
    "BACKUP DATABASE default TO File('{dir}/out')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1', 'system.one')",
    "SELECT * FROM sqlite('{dir}/out', 't')",
    "SELECT * FROM executable('cat', 'LineAsString', 'a String')",
    "SELECT * FROM python(request)",
    "SELECT 1 FORMAT Template SETTINGS format_template_row = '{path}'",
    "SET format_schema = '{path}:x'",
    "ATTACH TABLE t FROM '{dir}' (a Int8) ENGINE = MergeTree ORDER BY a",
    "GRANT SOURCES ON *.* TO default",
    "SYSTEM SHUTDOWN",
]


@pytest.mark.parametrize("attempt", TRIES)
def test_files_are_out_of_reach(clickhouse_url: str, tmp_path: Path, attempt: str) -> None:
    """No statement reads or writes a file of this machine, starts a program or opens a connection."""
    path = tmp_path / "private"
    path.write_text(SECRET)
    statement = attempt.replace("{path}", str(path)).replace("{dir}", str(tmp_path))
    answer = post(clickhouse_url, statement)
    assert code(answer) is not None, answer.body
    assert SECRET.encode() not in answer.body
    assert [entry.name for entry in tmp_path.iterdir()] == ["private"]
    assert post(clickhouse_url, "SELECT 1").body == b"1\n"


def test_values_are_looked_at(clickhouse_url: str) -> None:
    """Expressions in VALUES cannot read files either."""
    post(clickhouse_url, "CREATE TABLE IF NOT EXISTS taken (s String) ENGINE = Memory")
    whole = "INSERT INTO taken VALUES (file('/etc/hostname'))"
    assert code(post(clickhouse_url, whole)) == "497"
    assert code(post(clickhouse_url, "(`file`('/etc/hostname'))", query="INSERT INTO taken VALUES")) == "497"
    assert post(clickhouse_url, "SELECT count() FROM taken").body == b"0\n"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "rebound.example:8123"},
    ],
)
def test_web_pages_are_refused(clickhouse_url: str, headers: dict[str, str]) -> None:
    """A page in a browser on this machine cannot use the endpoint."""
    answer = http_request("POST", clickhouse_url, b"SELECT 1", headers)
    assert (answer.status, code(answer)) == (403, "497")
    assert b"Requests of web pages are not served" in answer.body


def test_local_pages_are_served(clickhouse_url: str) -> None:
    """A page that this machine serves may."""
    assert post(clickhouse_url, "SELECT 1", {"Origin": "http://localhost:8400"}).body == b"1\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org"])
def test_other_machines_need_a_password(tmp_path: Path, host: str) -> None:
    """An address that other machines reach is refused without a password."""
    with pytest.raises(EndpointError, match="other machines reach it, so a password is needed"):
        run(data_dir=tmp_path, host=host)
    assert list(tmp_path.iterdir()) == []


def test_password() -> None:
    """The password comes as parameter, header, basic or bearer; a wrong one or none is error 516."""
    basic = "Basic " + base64.b64encode(b"default:s3cret").decode()
    guard.check_password({}, {}, None)
    for fields, headers in (
        ({"password": "s3cret"}, {}),
        ({}, {"X-ClickHouse-Key": "s3cret"}),
        ({}, {"Authorization": basic}),
        ({}, {"Authorization": "Bearer s3cret"}),
    ):
        guard.check_password(fields, headers, "s3cret")
        with pytest.raises(ClickHouseError, match="Authentication failed") as raised:
            guard.check_password(fields, headers, "another")
        assert (raised.value.code, raised.value.status) == (516, 403)
    for wrong in ({}, {"Authorization": "Basic not base64"}, {"Authorization": "Basic"}):
        with pytest.raises(ClickHouseError):
            guard.check_password({}, wrong, "s3cret")


def test_any_user_is_welcome_on_loopback(clickhouse_url: str) -> None:
    """Without a password of its own the endpoint ignores users and passwords."""
    assert post(clickhouse_url, "SELECT 1", user="someone", password="anything").body == b"1\n"


def test_config_is_in_force(clickhouse: Endpoint) -> None:
    """The engine runs with the caches and rights that were written for it."""
    asked = "SELECT getServerSetting('mark_cache_size'), getSetting('implicit_select')"
    assert post(clickhouse.url, asked).body == b"268435456\tfalse\n"
    assert b"SOURCES" not in post(clickhouse.url, "SHOW GRANTS").body
    assert post(clickhouse.url, "SHOW DATABASES LIKE 'engine%'").body == b""
