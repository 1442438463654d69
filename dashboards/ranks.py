"""The *Ranks and hardware* dashboard: every rank over time, stragglers, GPUs, hosts."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard, heatmap, stat, table, timeseries

from dashboards import common, hardware, hosts, marks, variables
from dashboards.charts import heat
from dashboards.common import RANKS_UID
from dashboards.layout import Line, Section, curves, lay_out
from dashboards.panels import curve, number, rows
from dashboards.parts import ATTEMPTS, CHOSEN, NODES, RANKS, ROLES, RUN
from dashboards.zoom import by_rank, mean, zoomed

STEPS_OF: Final = f"{CHOSEN} AND {ROLES}"
"""Rows of train_steps: their roll-ups do not know the node."""
_SHARED: Final = " Of more than 64 ranks, neighbours share a row that shows the worst of them."


def build() -> dashboard.Dashboard:
    """The dashboard."""
    board = common.new_dashboard(
        RANKS_UID, "Every rank and GPU of one run over time; who is slow, hot or broken.", since="now-1h"
    )
    for variable in (
        variables.run(), variables.attempt(), variables.role(), variables.node(), variables.rank(),
    ):  # fmt: skip
        board.with_variable(variable)
    sections = [
        Section("", [Line(3, [world(), nodes(), slowest(), spread_now(), *hardware.numbers()])]),
        Section("Ranks", [Line(10, [step_times(), waiting()]), Line(8, [slow_ranks(), against_median()])]),
        *hardware.sections(),
        hosts.section(),
    ]
    for annotation in marks.of_run(curves(sections)):
        board.annotation(annotation)
    lay_out(board, sections)
    return board


def world() -> stat.Panel:
    """How many ranks there are."""
    sql = f"SELECT ranks FROM train_runs_latest WHERE {RUN}"
    return number(1, "Ranks", "Ranks of the newest attempt that were heard of.", "none", sql)


def nodes() -> stat.Panel:
    """How many hosts there are."""
    sql = f"SELECT uniqExact(node) AS nodes FROM train_runs WHERE {RUN} AND {ATTEMPTS}"
    return number(2, "Nodes", "Hosts of the chosen attempts.", "none", sql)


def _ratio(aggregate: str) -> str:
    body = f"""
SELECT {aggregate} AS value
FROM (
    SELECT x.rank AS rank, {mean("x.")} AS seconds
    FROM @samples AS x
    GROUP BY rank
)
WHERE isFinite(seconds)
"""
    return zoomed("train_steps", "'step_time'", body, where=STEPS_OF)


def slowest() -> stat.Panel:
    """The slowest rank."""
    description = "The rank with the longest mean step time in the time range."
    return number(3, "Slowest rank", description, "none", _ratio("argMax(rank, seconds)"))


def spread_now() -> stat.Panel:
    """How much the slowest rank holds the others up."""
    sql = _ratio("max(seconds) / quantileExact(0.5)(seconds) - 1")
    description = "How much longer a step takes on the slowest rank than on the median one."
    return number(4, "Slowest above median", description, "percentunit", sql, alarm=0.2, decimals=1)


def step_times() -> heatmap.Panel:
    """Step time of each rank."""
    sql = by_rank("train_steps", "'step_time'", where=STEPS_OF)
    description = "Longest step time of each rank in each stretch of time." + _SHARED
    return heat(10, "Step time by rank", description, "s", sql)


def waiting() -> heatmap.Panel:
    """Waiting for data of each rank."""
    sql = by_rank("train_steps", "'data_time'", where=STEPS_OF)
    description = "Longest wait for data of each rank in each stretch of time." + _SHARED
    return heat(11, "Waiting for data by rank", description, "s", sql)


def slow_ranks() -> table.Panel:
    """Ranks by mean step time, the slowest first."""
    body = f"""
, ranks AS (
    SELECT
        x.rank AS rank, {mean("x.")} AS seconds, max(x.high) AS longest, sum(x.count) AS steps
    FROM @samples AS x
    GROUP BY rank
    HAVING isFinite(seconds)
)
SELECT
    nullIf(ranks.rank, -1) AS rank, homes.node AS node, ranks.seconds AS `mean step`,
    ranks.longest AS `longest step`,
    ranks.seconds / (SELECT quantileExact(0.5)(seconds) FROM ranks) - 1 AS `above median`,
    ranks.steps AS steps
FROM ranks
LEFT JOIN (
    SELECT rank, argMax(node, attempt) AS node FROM train_runs WHERE run = ${{run:singlequote}} GROUP BY rank
) AS homes ON homes.rank = ranks.rank
ORDER BY ranks.seconds DESC
LIMIT 50
"""
    return rows(
        12,
        "Slowest ranks",
        "Ranks by mean step time in the time range, the slowest first, 50 at most.",
        zoomed("train_steps", "'step_time'", body, where=STEPS_OF),
        units={"mean step": "s", "longest step": "s", "above median": "percentunit"},
    )


def against_median() -> timeseries.Panel:
    """The five slowest ranks against the median of all."""
    body = """
, cells AS (
    SELECT $__timeInterval_ms(x.time) AS bucket, x.rank AS rank, sum(x.total) AS total, sum(x.count) AS steps
    FROM @samples AS x
    GROUP BY bucket, rank
    HAVING steps > 0
),
slow AS (SELECT rank FROM cells GROUP BY rank ORDER BY sum(total) / sum(steps) DESC LIMIT 5)
SELECT time, series, value
FROM (
    SELECT bucket AS time, concat('rank ', toString(rank)) AS series, total / steps AS value
    FROM cells
    WHERE rank IN (SELECT rank FROM slow)
    UNION ALL
    SELECT bucket AS time, 'median of all' AS series, quantileExact(0.5)(total / steps) AS value
    FROM cells
    GROUP BY time
)
ORDER BY time
"""
    sql = zoomed("train_steps", "'step_time'", body, where=STEPS_OF)
    description = "Mean step time of the five slowest ranks and the median of all ranks."
    return curve(13, "Stragglers against the median", description, "s", sql, bounds=(0, None))


RESOURCES_OF: Final = f"{RUN} AND {ATTEMPTS} AND {RANKS} AND {ROLES} AND {NODES}"
"""Rows of train_resources."""
