"""Log panels: a search becomes a condition of the query, and long lines are cut there."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.web.loglines import LEVELS, Search, narrowed, short
from stream.web.macros import Context, expand

SQL = "SELECT Body FROM otel_logs AS l WHERE $__timeFilter_ms(l.Timestamp) AND l.Run = 'a'"
NOW = Context(0, 1000)


def test_nothing_to_look_for_changes_nothing() -> None:
    """Nor does a level that does not exist."""
    assert narrowed(SQL, Search()) == SQL
    assert narrowed(SQL, Search(level="loud")) == SQL


def test_words_and_a_level_stand_beside_the_time() -> None:
    """With the alias that the query gives the table."""
    sql = narrowed(SQL, Search("NaN", "error"))
    head, _, tail = sql.partition("$__timeFilter_ms(l.Timestamp) AND ")
    assert head == "SELECT Body FROM otel_logs AS l WHERE "
    assert "positionCaseInsensitiveUTF8(concat(l.EventName, ' ', l.Body" in tail
    assert "'NaN') > 0 AND match(lower(l.SeverityText), '^(err" in tail
    assert tail.endswith(" AND l.Run = 'a'")


def test_a_query_of_another_table_stays_as_it_is() -> None:
    """There is no line in it to look at."""
    sql = "SELECT 1 FROM train_runs WHERE $__timeFilter(started)"
    assert narrowed(sql, Search("x", "warn")) == sql


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_word_ends_the_text_it_stands_in(text: str) -> None:
    """Quotes, braces, macros and backslashes of a search stay inside one string literal."""
    expanded = expand(narrowed(SQL, Search(text)), NOW)
    (literal,) = re.findall(
        r"toString\(l\.LogAttributes\)\), '((?:[^'\\]|\\.)*)'\) > 0 AND l", expanded, re.DOTALL
    )
    assert (
        re.sub(r"\\(.)", lambda found: {"0": "\0"}.get(found[1], found[1]), literal, flags=re.DOTALL) == text
    )


@pytest.mark.parametrize(
    ("word", "reached"),
    [
        ("fatal", {"info", "warn", "error"}), ("error", {"info", "warn", "error"}),
        ("warning", {"info", "warn"}), ("info", {"info"}), ("", {"info"}), ("debug", set()),
    ],
)  # fmt: skip
def test_levels(word: str, reached: set[str]) -> None:
    """A level has all that are worse; a line without one counts as info."""
    assert {level for level, pattern in LEVELS.items() if re.search(pattern, word)} == reached


def test_lines_are_cut_in_the_database() -> None:
    """The query stands inside, with the newest lines first."""
    sql = " ".join(short("SELECT 1").split())
    assert "substringUTF8(q.body, 1, 2000) AS body" in sql
    assert sql.endswith("FROM (SELECT 1) AS q ORDER BY timestamp DESC")
