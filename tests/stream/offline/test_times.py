"""Times in log lines, in the forms loggers write."""

from __future__ import annotations

import pytest

from stream.offline.numbers import time_of
from stream.offline.times import LineTimes

AT = 1_714_557_600
"""2024-05-01 10:00:00 UTC."""


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("2024-05-01 10:00:00,250 INFO x", AT + 0.25),
        ("[2024-05-01 10:00:00,250] [INFO]", AT + 0.25),
        ("2024-05-01T10:00:00.250Z hello", AT + 0.25),
        ("2024-05-01T12:00:00+02:00 hello", AT),
        ("2024-05-01T12:00:00.5+0200 hello", AT + 0.5),
        ("INFO 2024/05/01 10:00:00 hello", AT),
        ("05/01/2024 10:00:00 - INFO - __main__", AT),
        ("I0501 10:00:00.250000 123 file.cc:1] hello", AT + 0.25),
        ("Wed May  1 10:00:00 2024", AT),
        ("May  1 10:00:00 node-1 kernel: NVRM: Xid", AT),
        ("[rank0] 2024-05-01 10:00:00 [", AT),
        ("elapsed 10:00:00", None),
        ("2024-13-01 10:00:00 no such month", None),
        ("2024-02-31 10:00:00 no such day", None),
        ("no time at all", None),
    ],
)
def test_a_line_says_when_it_was_written(line: str, seconds: float | None) -> None:
    """Without an offset it is UTC; a form without a year means the given one."""
    found = LineTimes(2024).of(line)

    assert found == (None if seconds is None else int(seconds * 100) * 10**7)


def test_forms_may_change_inside_a_file() -> None:
    """The form of the last line is tried first, the others still are."""
    times = LineTimes(2024)

    lines = ["May  1 10:00:00 x", "2024-05-01 10:00:00 x", "May  1 10:00:00 x", "x", "2024-05-01 10:00:00 x"]

    assert [times.of(line) for line in lines] == [AT * 10**9] * 3 + [None, AT * 10**9]


@pytest.mark.parametrize(
    "raw", [AT, float(AT), str(AT), AT * 1000, AT * 10**6, AT * 10**9, "2024-05-01T10:00:00Z"]
)
def test_columns_hold_unix_times_of_any_scale_or_rfc_3339(raw: object) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds are told apart by their size."""
    assert time_of(raw) == AT * 10**9


@pytest.mark.parametrize("raw", ["yesterday", "", None, True, float("nan"), -5, [1]])
def test_what_is_no_time_is_none(raw: object) -> None:
    """Nothing is guessed."""
    assert time_of(raw) is None
