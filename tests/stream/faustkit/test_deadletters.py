"""Dead letters and their limits."""

from __future__ import annotations

import logging

import pytest

from emitter.vocabulary import topics
from stream.faustkit.consume import attempt
from stream.faustkit.deadletters import DeadLetterLimitError, Limit, dead_letter
from stream.records import BadRecordError, Incoming, Outgoing, Ticks

RECORD = Incoming("otlp_logs", 1, 42, b"\xff", b"key")


def test_a_dead_letter_is_the_record_and_where_it_was() -> None:
    """Original key and bytes; place, stage and error in the headers."""
    made = dead_letter(RECORD, "ingest", "not OTLP: é")
    assert (made.topic, made.value, made.key) == (topics.TRAIN_DEADLETTERS, b"\xff", b"key")
    assert made.headers == [
        ("topic", b"otlp_logs"), ("partition", b"1"), ("offset", b"42"), ("stage", b"ingest"),
        ("error", "not OTLP: é".encode()),
    ]  # fmt: skip


def test_too_many_in_a_row_are_refused() -> None:
    """The record that reaches the limit is not set aside; good ones in between begin the count anew."""
    limit = Limit(in_a_row=3)
    for _ in range(5):
        limit.bad(RECORD, "x")
        limit.bad(RECORD, "x")
        limit.good()
    limit.bad(RECORD, "x")
    limit.bad(RECORD, "x")
    expected = (
        r"otlp_logs\[1\] offset 42: 3 records in a row could not be read, the last one because: x\. Stop"
    )
    with pytest.raises(DeadLetterLimitError, match=expected):
        limit.bad(RECORD, "x")


def test_too_large_a_share_is_refused() -> None:
    """Every other record bad, for long enough."""
    limit = Limit(in_a_row=100, window=10, share=0.4)

    def alternate() -> None:
        for _ in range(10):
            limit.bad(RECORD, "x")
            limit.good()

    with pytest.raises(DeadLetterLimitError, match="more than 40% of the last 10 records could not be read"):
        alternate()


def test_a_small_share_goes_on_for_ever() -> None:
    """One in four of very many."""
    limit = Limit(in_a_row=3, window=10, share=0.4)
    for _ in range(500):
        limit.bad(RECORD, "x")
        for _ in range(3):
            limit.good()


def _bad(record: Incoming) -> list[Outgoing]:
    raise BadRecordError("expected this, got that")


def _bug(record: Incoming) -> list[Outgoing]:
    raise ZeroDivisionError("ours")


def test_a_bad_record_and_a_bug_of_ours_cost_one_record(caplog: pytest.LogCaptureFixture) -> None:
    """Both become dead letters with their error; the bug's traceback is logged."""
    with caplog.at_level(logging.WARNING):
        letters = [attempt(RECORD, "diagnose", handle, Limit())[0] for handle in (_bad, _bug)]
    assert [dict(letter.headers)["error"] for letter in letters] == [
        b"expected this, got that", b"ZeroDivisionError: ours",
    ]  # fmt: skip
    assert "diagnose: otlp_logs[1] offset 42 set aside: expected this, got that" in caplog.text
    assert "Traceback" in caplog.text


def test_ticks_do_not_hide_that_nothing_else_can_be_read() -> None:
    """Our own beacons are always readable; they do not begin the count anew."""
    limit = Limit(in_a_row=2)
    attempt(RECORD, "ingest", _bad, limit)
    attempt(RECORD, "ingest", lambda record: Ticks(), limit)
    with pytest.raises(DeadLetterLimitError):
        attempt(RECORD, "ingest", _bad, limit)
