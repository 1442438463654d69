"""Macros and variables of dashboards: what they expand to, and that no value can change a query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.web.macros import ALL, Context, MacroError, expand, quote, variables_in
from tests.dashboards.story import select

FROM, TO = 1_700_000_000_123, 1_700_003_600_999
CONTEXT = Context(
    FROM, TO, 2000, {"run": ["a"], "rank": ["0", "1"], "any": [ALL], "none": [], "word": ["_10s"]}
)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("$__timeFilter(t)", "t >= toDateTime(1700000000) AND t <= toDateTime(1700003600)"),
        (
            "$__timeFilter_ms(s.t)",
            "s.t >= fromUnixTimestamp64Milli(1700000000123)"
            " AND s.t <= fromUnixTimestamp64Milli(1700003600999)",
        ),
        ("$__dateFilter(d)", "d >= toDate('2023-11-14') AND d <= toDate('2023-11-14')"),
        (
            "$__dateTimeFilter(d, t)",
            "(d >= toDate('2023-11-14') AND d <= toDate('2023-11-14')) AND"
            " (t >= toDateTime(1700000000) AND t <= toDateTime(1700003600))",
        ),
        ("$__timeFrom(t)", "t >= toDateTime(1700000000)"),
        ("$__timeTo(t)", "t <= toDateTime(1700003600)"),
        ("$__fromTime", "toDateTime(1700000000)"),
        ("$__toTime_ms", "fromUnixTimestamp64Milli(1700003600999)"),
        ("$__timeInterval(t)", "toStartOfInterval(toDateTime(t), INTERVAL 2 second)"),
        ("$__timeInterval_ms(t)", "toStartOfInterval(toDateTime64(t, 3), INTERVAL 2000 millisecond)"),
        ("$__timeGroup(t, 5m)", "toStartOfInterval(toDateTime(t), INTERVAL 300 second)"),
        ("$__interval_s + $__interval_ms", "2 + 2000"),
        ("r IN (${rank:singlequote})", "r IN ('0', '1')"),
        ("$__conditionalAll(r IN (${rank:singlequote}), $rank)", "r IN ('0', '1')"),
        ("$__conditionalAll(r IN (${any:singlequote}), $any)", "1=1"),
        ("$__conditionalAll(r IN (${none:singlequote}), ${none})", "1=1"),
        ("FROM t${word:raw} WHERE", "FROM t_10s WHERE"),
        ("FROM t${none:raw}", "FROM t"),
        ("$__timeFrom(max(a, 'b,)'))", "max(a, 'b,)') >= toDateTime(1700000000)"),
        ("SELECT '$__fromTime ${run}', `$run` -- $__no\n", "SELECT '$__fromTime ${run}', `$run` -- $__no\n"),
    ],
)
def test_each_macro_expands_as_the_plugin_does(sql: str, expected: str) -> None:
    """The SQL is what Grafana's ClickHouse plugin makes of it."""
    assert expand(sql, CONTEXT) == expected


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("$__lttb(9, x, y)", r"\$__lttb is not a macro this viewer knows"),
        ("$__timeFilter", r"\$__timeFilter: expected 1 argument\(s\), got 0"),
        ("$__timeFilter(a, b)", r"expected 1 argument\(s\), got 2"),
        ("$__timeFilter(a", r"\$__timeFilter: the parenthesis is never closed"),
        ("$__timeGroup(t, often)", "expected an interval such as 5m, got often"),
        ("$__conditionalAll(1)", "expected a condition and a variable"),
        ("${run}", r"variable `run`: expected \$\{run:singlequote\}, got \$\{run\}"),
        ("$run", r"variable `run`: expected \$\{run:singlequote\}, got \$run"),
        ("${any:singlequote}", r"variable `any` is All: put the condition into \$__conditionalAll"),
        ("${other:singlequote}", r"variable `other` has no value \(known: any, none, rank, run, word\)"),
        ("t${any:raw}", r"variable `any`: expected letters, digits and underscores, got '\$__all'"),
        ("t${rank:raw}", r"variable `rank`: expected letters, digits and underscores, got '0', '1'"),
    ],
)
def test_what_cannot_be_expanded_is_named(sql: str, message: str) -> None:
    """A wrong macro or variable is one clear error, never a query."""
    with pytest.raises(MacroError, match=message):
        expand(sql, CONTEXT)


def test_variables_in_text_do_not_count() -> None:
    """Only variables outside of strings and comments are found."""
    assert variables_in("a = ${run:singlequote} AND '$x' -- $y\nAND $__conditionalAll(1, $rank)") == {
        "run",
        "rank",
    }


HOSTILE = st.text(alphabet=st.sampled_from(list("'\\\"`$_{}()-/*;,\n\0 a%")) | st.characters(codec="utf-8"))


@given(st.lists(HOSTILE, min_size=1, max_size=3))
def test_a_value_stays_inside_its_quotes(values: list[str]) -> None:
    """Whatever the values are, the SQL around them is untouched and they come back unchanged."""
    marker = "SELECT x WHERE a IN ({}) AND t"
    sql = expand(marker.format("${v:singlequote}"), Context(FROM, TO, 1, {"v": values}))
    head, tail = marker.split("{}")
    assert sql.startswith(head)
    assert sql.endswith(tail)
    assert _literals(sql[len(head) : -len(tail)]) == values


def _literals(text: str) -> list[str]:
    """Reads string literals as ClickHouse does; fails on anything outside of them but commas."""
    found, position = list[str](), 0
    while position < len(text):
        assert text[position] == "'"
        position, value = position + 1, ""
        while text[position] != "'":
            escaped = text[position] == "\\"
            position += escaped
            value += "\0" if escaped and text[position] == "0" else text[position]
            position += 1
        found.append(value)
        position += 1
        assert text[position : position + 2] in ("", ", ")
        position += 2
    return found


@pytest.mark.parametrize(
    "value", ["", "a'b", "\\", "\\'", "') OR 1=1 --", "\0\n\t\r\b", "é$__fromTime`", "'; DROP TABLE x"]
)
def test_the_database_reads_the_value_back(clickhouse_url: str, value: str) -> None:
    """ClickHouse understands the literal as exactly the value."""
    assert select(clickhouse_url, f"SELECT hex({quote(value)})").strip() == value.encode().hex().upper()
