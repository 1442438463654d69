-- train_steps_1m: train_steps by the minute, for long ranges. Read it with GROUP BY: sum(count), sum(total) /
-- sum(count) as the mean, min(low), max(high). Values that are not finite are counted in not_finite only, so
-- that one NaN does not swallow a minute; low and high are NULL in a minute that has no finite value.
-- Writer: its materialized view, from train_steps.

CREATE TABLE IF NOT EXISTS train_steps_1m {on_cluster}
(
    run LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    role LowCardinality(String) CODEC(ZSTD(1)),
    rank Int32 CODEC(ZSTD(1)),
    time DateTime CODEC(Delta(4), ZSTD(1)),
    count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    not_finite SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    total SimpleAggregateFunction(sum, Float64) CODEC(Gorilla, ZSTD(1)),
    low SimpleAggregateFunction(min, Nullable(Float64)) CODEC(Gorilla, ZSTD(1)),
    high SimpleAggregateFunction(max, Nullable(Float64)) CODEC(Gorilla, ZSTD(1)),
    first_step SimpleAggregateFunction(min, Int64) CODEC(Delta(8), ZSTD(1)),
    last_step SimpleAggregateFunction(max, Int64) CODEC(Delta(8), ZSTD(1))
)
ENGINE = {engine:AggregatingMergeTree}
PARTITION BY toYYYYMM(time)
ORDER BY (run, name, attempt, role, rank, time)
{ttl:rollups:time}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, {dedup};

CREATE MATERIALIZED VIEW IF NOT EXISTS train_steps_1m_mv {on_cluster} TO train_steps_1m
AS SELECT
    run, name, attempt, role, rank,
    toStartOfMinute(train_steps.time) AS time,
    countIf(isFinite(value)) AS count,
    countIf(NOT isFinite(value)) AS not_finite,
    sumIf(value, isFinite(value)) AS total,
    minOrNullIf(value, isFinite(value)) AS low,
    maxOrNullIf(value, isFinite(value)) AS high,
    min(step) AS first_step,
    max(step) AS last_step
FROM train_steps
GROUP BY run, name, attempt, role, rank, time;
