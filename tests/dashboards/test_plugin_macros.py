"""Our macros against what the Go code of Grafana's ClickHouse plugin gave (plugin_macros/README.md)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stream.web.macros import Context, expand
from tests.dashboards.asking import BOARDS

RECORDED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "plugin_macros" / "recorded.json").read_text(encoding="utf-8")
)
MACROS = sorted({case["macro"] for case in RECORDED})
FROM_MS, TO_MS = 1_415_792_726_123, 1_447_328_726_456


@pytest.mark.parametrize("macro", MACROS)
def test_each_macro_expands_as_the_plugins_function_does(macro: str) -> None:
    """The same text for every time range, interval and argument that was recorded."""
    for case in RECORDED:
        if case["macro"] == macro:
            arguments = f"({', '.join(case['args'])})" if case["args"] else ""
            context = Context(case["from_ms"], case["to_ms"], case["interval_ms"])
            assert expand(f"$__{macro}{arguments}", context) == case["expanded"]


def test_every_macro_of_the_dashboards_was_recorded() -> None:
    """No dashboard uses one that was not compared; $__conditionalAll is the plugin's front end's."""
    queries = [query.sql for board in BOARDS.values() for query in board.queries.values()]
    queries += [mark.sql for board in BOARDS.values() for mark in board.annotations]
    queries += [variable.sql for board in BOARDS.values() for variable in board.variables]
    used = {name for sql in queries for name in re.findall(r"\$__(\w+)", sql)}
    assert used - {"conditionalAll"} <= set(MACROS)
    assert {"timeFilter_ms", "timeInterval_ms", "fromTime", "toTime", "conditionalAll"} <= used


# What goes in and comes out in the plugin's own tests:
# https://github.com/grafana/clickhouse-datasource/blob/v4.20.0/pkg/macros/macros_test.go
_FROM, _TO = "toDateTime(1415792726)", "toDateTime(1447328726)"
_FROM_MS, _TO_MS = "fromUnixTimestamp64Milli(1415792726123)", "fromUnixTimestamp64Milli(1447328726456)"
_CAST = "cast(sth as timestamp)"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"where $__timeFilter({_CAST})", f"where {_CAST} >= {_FROM} AND {_CAST} <= {_TO}"),
        (f"where $__timeFilter_ms({_CAST} )", f"where {_CAST} >= {_FROM_MS} AND {_CAST} <= {_TO_MS}"),
        ("( d >= $__fromTime and d <= $__toTime ) limit 1", f"( d >= {_FROM} and d <= {_TO} ) limit 1"),
        ("( d >= $__fromTime_ms ) and ( d <= $__toTime_ms )", f"( d >= {_FROM_MS} ) and ( d <= {_TO_MS} )"),
        ("$__timeInterval($__fromTime)", f"toStartOfInterval(toDateTime({_FROM}), INTERVAL 60 second)"),
        (
            "$__timeInterval_ms($__fromTime_ms)",
            f"toStartOfInterval(toDateTime64({_FROM_MS}, 3), INTERVAL 60000 millisecond)",
        ),
        (
            "where $__timeFilter(coalesce(closed_at, $__toTime))",
            f"where coalesce(closed_at, {_TO}) >= {_FROM} AND coalesce(closed_at, {_TO}) <= {_TO}",
        ),
        (r"where msg = 'it\'s -- fine' and $__fromTime", rf"where msg = 'it\'s -- fine' and {_FROM}"),
        (r"where msg = 'a\'/*x' and $__toTime", rf"where msg = 'a\'/*x' and {_TO}"),
        ("where msg = 'it''s' and $__fromTime", f"where msg = 'it''s' and {_FROM}"),
    ],
)
def test_macros_are_found_as_the_plugin_finds_them(sql: str, expected: str) -> None:
    """Nested ones, ones in larger expressions, and behind quotes: the plugin's own cases."""
    assert expand(sql, Context(FROM_MS, TO_MS, 60_000)) == expected
