"""HTTP sessions keep state between requests."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from stream.clickhouse import call as calls
from stream.clickhouse.errors import ClickHouseError
from stream.clickhouse.sessions import Sessions
from tests.stream.clickhouse.talk import code, get, post


@pytest.fixture
def session() -> str:
    return uuid.uuid4().hex


def test_temporary_tables(clickhouse_url: str, session: str) -> None:
    """A temporary table lives in its session and nowhere else."""
    assert post(clickhouse_url, "CREATE TEMPORARY TABLE mine (a Int8)", session_id=session).status == 200
    assert post(clickhouse_url, "INSERT INTO mine VALUES (1), (2)", session_id=session).status == 200
    assert post(clickhouse_url, "SELECT sum(a) FROM mine", session_id=session).body == b"3\n"
    assert get(clickhouse_url, query="SELECT count() FROM mine", session_id=session).body == b"2\n"
    assert code(post(clickhouse_url, "SELECT * FROM mine")) == "60"
    assert code(post(clickhouse_url, "SELECT * FROM mine", session_id=f"{session}2")) == "60"
    assert post(clickhouse_url, "SELECT 1", session_id=session, close_session="1").body == b"1\n"
    assert code(post(clickhouse_url, "SELECT * FROM mine", session_id=session)) == "60"


def test_set_and_use(clickhouse_url: str, session: str) -> None:
    """SET and USE stay; settings of the URL do not, and GET stays read-only."""
    ask = "SELECT getSetting('max_threads'), getSetting('max_block_size'), currentDatabase()"
    post(clickhouse_url, "SET max_threads = 5", session_id=session)
    post(clickhouse_url, "USE system", session_id=session)
    before = post(clickhouse_url, ask, session_id=session).body
    assert before.startswith(b"5\t")
    assert before.endswith(b"\tsystem\n")
    once = post(clickhouse_url, ask, session_id=session, max_threads="6", max_block_size="1000")
    assert once.body == b"6\t1000\tsystem\n"
    assert post(clickhouse_url, ask, session_id=session).body == before
    assert code(get(clickhouse_url, query="DROP TABLE one", session_id=session)) == "164"
    assert post(clickhouse_url, ask, session_id=session).body == before


def test_checked_session(clickhouse_url: str, session: str) -> None:
    """session_check asks for a session that is there; a timeout must be sensible."""
    assert code(post(clickhouse_url, "SELECT 1", session_id=session, session_check="1")) == "372"
    for seconds in ("soon", "0", "\N{SUPERSCRIPT TWO}", "9" * 5000):
        assert code(post(clickhouse_url, "SELECT 1", session_id=session, session_timeout=seconds)) == "374"
    assert post(clickhouse_url, "SELECT 1", session_id=session).body == b"1\n"
    assert post(clickhouse_url, "SELECT 1", session_id=session, session_check="1").body == b"1\n"


def test_one_request_at_a_time_and_expiry() -> None:
    """A busy session is locked (373), an idle one ends after its timeout, and there are only so many."""
    now = [0.0]
    sessions = Sessions(1, lambda: now[0])
    call = calls.read([("session_id", "a"), ("session_timeout", "10")], {}, read_only=False)
    first = sessions.take(call)
    assert first is not None
    with pytest.raises(ClickHouseError, match="locked by a concurrent client"):
        sessions.take(call)
    with pytest.raises(ClickHouseError, match=r"Too many sessions\. Maximum: 1"):
        sessions.take(replace(call, session="b"))
    sessions.give_back(call, first)
    now[0] = 9.0
    assert sessions.take(call) is first
    sessions.give_back(call, first)
    now[0] = 20.0
    assert sessions.take(replace(call, session="b")) is not first
    assert sessions.take(replace(call, session="")) is None
