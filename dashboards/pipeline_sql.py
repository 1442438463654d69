"""Reads the workers' own OpenTelemetry metrics out of ``train_metrics``: levels, rates, mean durations."""

from __future__ import annotations

from typing import Final

PARTS: Final = "$__conditionalAll(service IN (${part:singlequote}), $part)"
_WHO: Final = "m.service, m.resource['service.instance.id'], toString(m.attributes)"


def _of(names: str) -> str:
    return f"m.run = '' AND {PARTS} AND m.name IN ({names}) AND $__timeFilter_ms(m.time)"


def attribute(name: str) -> str:
    """One attribute of a point."""
    return f"m.attributes['{name}']"


def level(names: str, series: str, over: str = "sum") -> str:
    """A gauge or level over time: the highest of each process in a bucket, put together by ``over``."""
    return f"""
        SELECT bucket AS time, series, {over}(highest) AS value
        FROM (
            SELECT
                $__timeInterval_ms(m.time) AS bucket, {series} AS series, cityHash64({_WHO}) AS who,
                max(m.value) AS highest
            FROM train_metrics AS m
            WHERE {_of(names)}
            GROUP BY bucket, series, who
        )
        GROUP BY bucket, series
        ORDER BY time
    """


def rate(names: str, series: str, value: str = "m.value") -> str:
    """A counter per second: what each process counted between buckets, added up; a restart begins at 0."""
    return f"""
        SELECT bucket AS time, series, sum(grown / seconds) AS value
        FROM ({_grown(names, series, value, "m.value")})
        WHERE seconds > 0
        GROUP BY bucket, series
        ORDER BY time
    """


def mean_time(names: str, series: str) -> str:
    """The mean of a histogram in each bucket."""
    return f"""
        SELECT bucket AS time, series, sum(grown) / sum(more) AS value
        FROM ({_grown(names, series, "m.sum", "toFloat64(m.count)")})
        WHERE seconds > 0
        GROUP BY bucket, series
        HAVING sum(more) > 0
        ORDER BY time
    """


def _grown(names: str, series: str, value: str, count: str) -> str:
    """For each process and bucket: how much two counters grew since the bucket before, in what time."""
    return f"""
            SELECT
                bucket, series, who,
                dateDiff('millisecond', lagInFrame(last, 1, last) OVER before, last) / 1000 AS seconds,
                if(sums < lagInFrame(sums) OVER before, sums, sums - lagInFrame(sums) OVER before) AS grown,
                if(counts < lagInFrame(counts) OVER before, counts, counts - lagInFrame(counts) OVER before)
                    AS more
            FROM (
                SELECT
                    $__timeInterval_ms(m.time) AS bucket, {series} AS series, cityHash64({_WHO}) AS who,
                    max(m.time) AS last, ifNull(argMax({value}, m.time), 0) AS sums,
                    ifNull(argMax({count}, m.time), 0) AS counts
                FROM train_metrics AS m
                WHERE {_of(names)}
                GROUP BY bucket, series, who
            )
            WINDOW before AS (
                PARTITION BY who, series ORDER BY bucket ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
            )"""
