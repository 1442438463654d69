"""Query parameters: every value a client can send arrives as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import pytest
from clickhouse_connect.driver.external import ExternalData
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stream.clickhouse.talk import code, post

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_SETTINGS = settings(max_examples=60)


@pytest.fixture(scope="module")
def client(clickhouse_url: str) -> Iterator[Any]:
    parts = urlsplit(clickhouse_url)
    with clickhouse_connect.get_client(host=parts.hostname, port=parts.port) as client:
        yield client


def _echo(client: Any, value: object, kind: str) -> Any:
    return client.query(f"SELECT {{v:{kind}}}", parameters={"v": value}).result_rows[0][0]


@given(value=_TEXT)
@_SETTINGS
def test_strings(client: Any, value: str) -> None:
    """Any text survives as a parameter: quotes, backslashes, control characters, NUL."""
    assert _echo(client, value, "String") == value


@given(value=st.lists(_TEXT, max_size=4))
@_SETTINGS
def test_arrays(client: Any, value: list[str]) -> None:
    """Arrays of any texts survive."""
    assert list(_echo(client, value, "Array(String)")) == value


@given(value=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)))
@_SETTINGS
def test_nullable_integers(client: Any, value: int | None) -> None:
    """Integers over their whole range, and NULL."""
    assert _echo(client, value, "Nullable(Int64)") == value


@given(value=st.floats(allow_nan=False))
@_SETTINGS
def test_floats(client: Any, value: float) -> None:
    """Every finite or infinite float."""
    assert _echo(client, value, "Float64") == value


@given(value=_TEXT)
@_SETTINGS
def test_inserted_strings(client: Any, value: str) -> None:
    """A value inlined by the client into the SQL text is the value."""
    assert client.query("SELECT %s", parameters=(value,)).result_rows[0][0] == value


def test_large_parameters_travel_as_a_form(client: Any) -> None:
    """The client sends large parameters as a multipart form; they arrive too."""
    value = "it's ä \\ " * 5000
    assert _echo(client, value, "String") == value


def test_identifiers_and_errors(clickhouse_url: str) -> None:
    """Identifiers may be parameters; a value of the wrong type is error 457 and names the parameter."""
    assert post(clickhouse_url, "SELECT {c:Identifier} FROM system.one", param_c="dummy").body == b"0\n"
    wrong = post(clickhouse_url, "SELECT {v:UInt8}", param_v="many")
    assert code(wrong) == "457"
    assert b"query parameter 'v'" in wrong.body


def test_external_tables(client: Any) -> None:
    """Tables that come along as files of the form can be joined."""
    external = ExternalData(
        file_name="names.csv", fmt="CSV", structure=["id UInt8", "name String"], data=b"1,one\n2,two\n"
    )
    found = client.query("SELECT name FROM names WHERE id = 2", external_data=external)
    assert found.result_rows == [("two",)]
    types = ExternalData(
        file_name="more.csv", fmt="CSV", types=["UInt8", "Array(Tuple(Int8, Int8))"], data=b"1,[]\n"
    )
    assert client.query("SELECT _1 FROM more", external_data=types).result_rows == [(1,)]


def test_form_without_a_description(clickhouse_url: str) -> None:
    """A file without its structure is one clear error."""
    body = b'--x\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n1\r\n--x--\r\n'
    answer = post(clickhouse_url, body, {"Content-Type": "multipart/form-data; boundary=x"}, query="SELECT 1")
    assert answer.status == 400
    assert b"External table t: expected t_structure or t_types" in answer.body


def test_malformed_form(clickhouse_url: str) -> None:
    """A form that is none is one clear error, and the endpoint lives on."""
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert code(post(clickhouse_url, b"no form at all", headers, query="SELECT 1")) == "36"
    assert json.loads(post(clickhouse_url, "SELECT 1 AS a FORMAT JSONEachRow").body) == {"a": 1}
