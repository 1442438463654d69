"""Plain HTTP to the endpoint."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from tests.fixtures import Answer, http_request


def post(url: str, body: str | bytes, headers: dict[str, str] | None = None, /, **fields: str) -> Answer:
    """POST with these URL fields."""
    data = body.encode() if isinstance(body, str) else body
    return http_request("POST", f"{url}/?{urlencode(fields, quote_via=quote)}", data, headers)


def get(url: str, headers: dict[str, str] | None = None, **fields: str) -> Answer:
    """GET with these URL fields."""
    return http_request("GET", f"{url}/?{urlencode(fields, quote_via=quote)}", None, headers)


def create(url: str, name: str, columns: str = "a Int64, s String", more: str = "") -> None:
    answer = post(url, f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY tuple() {more}")
    assert (answer.status, answer.body) == (200, b"")


def code(answer: Answer) -> str | None:
    """ClickHouse's code of an error, None for an answer without one."""
    return answer.headers.get("x-clickhouse-exception-code")
