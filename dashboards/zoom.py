"""Numbers at the finest of three levels that is cheap to read: as they came, by 10 s, by the minute.

How many rows there are is asked of the roll-up by the minute first; the answer is a constant to
ClickHouse, so that the two tables that are not meant are not opened.
"""

from __future__ import annotations

from textwrap import indent
from typing import Final

from dashboards.parts import CHOSEN, of

MOST_ROWS: Final = 200_000
"""Rows of one query that are read from a finer level than the minute."""

_KEYS: Final = {
    "train_steps": ("run", "name", "attempt", "role", "rank"),
    "train_resources": ("run", "name", "attempt", "role", "rank", "node", "device"),
}
_STEPS: Final = "s.last_step >= from_step AND s.first_step <= to_step"
_STEP: Final = {"train_steps": True, "train_resources": False}


def zoomed(
    table: str, names: str, body: str, *, where: str = CHOSEN, before: str = "", whole: bool = False
) -> str:
    """A query with ``@samples`` in its body: rows of the keys of the table and ``time``, ``count``,
    ``not_finite``, ``total``, ``low``, ``high``, and ``step`` for steps.

    ``names``: quoted, with commas. ``before``: common table expressions. ``whole``: the run from its
    ``from_step`` to its ``to_step``, which are among these, instead of the time range.
    """
    chosen = f"{of('s', where)} AND s.name IN ({names})"
    least = f" AND {_STEPS}" if whole else " AND s.time >= $__fromTime - 60 AND s.time <= $__toTime"
    level = f"""(
        SELECT
            multiIf(
                sum(s.count + s.not_finite) <= {MOST_ROWS}, 0, 6 * count() <= {MOST_ROWS}, 1, 2
            )
        FROM {table}_1m AS s
        WHERE {chosen}{least}
    ) AS level"""
    samples = indent(_samples(table, chosen, whole), " " * 8)
    head = f"WITH\n    {before}{',' if before else ''}\n    {level}" if before else f"WITH\n    {level}"
    return f"{head}\n{body.strip()}".replace("@samples", f"(\n{samples}\n    )")


def _samples(table: str, chosen: str, whole: bool) -> str:
    keys = ", ".join(f"s.{key} AS {key}" for key in _KEYS[table])
    step = _STEP[table]
    finite = "isFinite(s.value)"
    raw = (
        f"SELECT\n    {keys}, toDateTime64(s.time, 3) AS time, toUInt64({finite}) AS count,"
        f" toUInt64(NOT {finite}) AS not_finite,\n    if({finite}, s.value, 0) AS total,"
        f" if({finite}, s.value, NULL) AS low, if({finite}, s.value, NULL) AS high"
        f"{', s.step AS step' if step else ''}\nFROM {table} AS s\nWHERE level = 0 AND {chosen}"
        f" AND {'s.step BETWEEN from_step AND to_step' if whole else '$__timeFilter_ms(s.time)'}"
    )
    rolled = [
        f"SELECT\n    {keys}, toDateTime64(s.time, 3) AS time, s.count AS count, s.not_finite AS not_finite,"
        f"\n    s.total AS total, s.low AS low, s.high AS high{', s.first_step AS step' if step else ''}"
        f"\nFROM {table}_{suffix} AS s\nWHERE level = {number} AND {chosen}"
        f" AND {_STEPS if whole else f's.time >= $__fromTime - {seconds} AND s.time <= $__toTime'}"
        for number, suffix, seconds in ((1, "10s", 9), (2, "1m", 59))
    ]
    return "\nUNION ALL\n".join([raw, *rolled])


def mean(name: str = "") -> str:
    """The mean of a bucket; not a number where it holds nothing finite."""
    return f"if(sum({name}count) = 0, nan, sum({name}total) / sum({name}count))"


def over_time(
    table: str, names: str, series: str, value: str = "", *, where: str = CHOSEN, having: str = ""
) -> str:
    """A line over time for each ``series``: the mean of each bucket unless ``value`` says otherwise."""
    return zoomed(
        table,
        names,
        f"""
SELECT $__timeInterval_ms(x.time) AS time, {series} AS series, {value or mean("x.")} AS value
FROM @samples AS x
GROUP BY time, series{having and f" HAVING {having}"}
ORDER BY time
""",
        where=where,
    )


HIGHEST: Final = "if(countIf(x.high IS NOT NULL) = 0, nan, max(x.high))"
LOWEST: Final = "if(countIf(x.low IS NOT NULL) = 0, nan, min(x.low))"


def spread(table: str, names: str, *, where: str = CHOSEN) -> str:
    """Lowest, mean and highest of each bucket: three lines however many ranks or devices there are."""
    return zoomed(
        table,
        names,
        f"""
SELECT bucket AS time, line.1 AS series, line.2 AS value
FROM (
    SELECT
        $__timeInterval_ms(x.time) AS bucket,
        arrayJoin([('lowest', {LOWEST}), ('mean', {mean("x.")}), ('highest', {HIGHEST})]) AS line
    FROM @samples AS x
    GROUP BY bucket
)
ORDER BY time
""",
        where=where,
    )


FOLD: Final = """(
        SELECT greatest(1, ceil((max(rank) + 1) / 64))::UInt32 FROM train_runs WHERE run = ${run:singlequote}
    ) AS fold"""
"""How many neighbouring ranks share a row of a heatmap, so that there are 64 at most."""


def row_of(rank: str) -> str:
    """The name of a rank's row; names sort as ranks do."""
    return f"concat('rank ', leftPad(toString(intDiv(greatest({rank}, 0), fold) * fold), 4, '0'))"


def by_rank(table: str, names: str, value: str = "", *, where: str = CHOSEN) -> str:
    """A row for each rank over time; of more than 64, the worst of neighbours that share a row."""
    return zoomed(
        table,
        names,
        f"""
SELECT
    $__timeInterval_ms(x.time) AS time,
    {row_of("x.rank")} AS series,
    {value or HIGHEST} AS value
FROM @samples AS x
GROUP BY time, series
ORDER BY time, series
""",
        where=where,
        before=FOLD,
    )
