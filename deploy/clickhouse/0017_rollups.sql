-- train_steps_10s: train_steps by ten seconds, for ranges of hours; train_steps_1m has the longer ones.
-- train_resources_10s, train_resources_1m: the same of train_resources. All are read as train_steps_1m is: with
-- GROUP BY; sum(total) / sum(count) is the mean; what is not finite is counted in not_finite only.
-- They begin with the rows that come after this file was applied; docs/history.md says how to fill in older ones.
-- Writer: their materialized views, from train_steps and train_resources.

CREATE TABLE IF NOT EXISTS train_steps_10s {on_cluster}
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
{ttl:rollups_10s:time}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, {dedup};

CREATE MATERIALIZED VIEW IF NOT EXISTS train_steps_10s_mv {on_cluster} TO train_steps_10s
AS SELECT
    run, name, attempt, role, rank,
    toStartOfInterval(train_steps.time, toIntervalSecond(10)) AS time,
    countIf(isFinite(value)) AS count,
    countIf(NOT isFinite(value)) AS not_finite,
    sumIf(value, isFinite(value)) AS total,
    minOrNullIf(value, isFinite(value)) AS low,
    maxOrNullIf(value, isFinite(value)) AS high,
    min(step) AS first_step,
    max(step) AS last_step
FROM train_steps
GROUP BY run, name, attempt, role, rank, time;

CREATE TABLE IF NOT EXISTS train_resources_10s {on_cluster}
(
    run LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    role LowCardinality(String) CODEC(ZSTD(1)),
    rank Int32 CODEC(ZSTD(1)),
    node LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime CODEC(Delta(4), ZSTD(1)),
    count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    not_finite SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    total SimpleAggregateFunction(sum, Float64) CODEC(Gorilla, ZSTD(1)),
    low SimpleAggregateFunction(min, Nullable(Float64)) CODEC(Gorilla, ZSTD(1)),
    high SimpleAggregateFunction(max, Nullable(Float64)) CODEC(Gorilla, ZSTD(1))
)
ENGINE = {engine:AggregatingMergeTree}
PARTITION BY toYYYYMM(time)
ORDER BY (run, name, attempt, role, rank, node, device, time)
{ttl:rollups_10s:time}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, {dedup};

CREATE MATERIALIZED VIEW IF NOT EXISTS train_resources_10s_mv {on_cluster} TO train_resources_10s
AS SELECT
    run, name, attempt, role, rank, node, device,
    toStartOfInterval(train_resources.time, toIntervalSecond(10)) AS time,
    countIf(isFinite(value)) AS count,
    countIf(NOT isFinite(value)) AS not_finite,
    sumIf(value, isFinite(value)) AS total,
    minOrNullIf(value, isFinite(value)) AS low,
    maxOrNullIf(value, isFinite(value)) AS high
FROM train_resources
GROUP BY run, name, attempt, role, rank, node, device, time;

CREATE TABLE IF NOT EXISTS train_resources_1m {on_cluster}
(
    run LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    role LowCardinality(String) CODEC(ZSTD(1)),
    rank Int32 CODEC(ZSTD(1)),
    node LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime CODEC(Delta(4), ZSTD(1)),
    count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    not_finite SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    total SimpleAggregateFunction(sum, Float64) CODEC(Gorilla, ZSTD(1)),
    low SimpleAggregateFunction(min, Nullable(Float64)) CODEC(Gorilla, ZSTD(1)),
    high SimpleAggregateFunction(max, Nullable(Float64)) CODEC(Gorilla, ZSTD(1))
)
ENGINE = {engine:AggregatingMergeTree}
PARTITION BY toYYYYMM(time)
ORDER BY (run, name, attempt, role, rank, node, device, time)
{ttl:rollups:time}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, {dedup};

CREATE MATERIALIZED VIEW IF NOT EXISTS train_resources_1m_mv {on_cluster} TO train_resources_1m
AS SELECT
    run, name, attempt, role, rank, node, device,
    toStartOfMinute(train_resources.time) AS time,
    countIf(isFinite(value)) AS count,
    countIf(NOT isFinite(value)) AS not_finite,
    sumIf(value, isFinite(value)) AS total,
    minOrNullIf(value, isFinite(value)) AS low,
    maxOrNullIf(value, isFinite(value)) AS high
FROM train_resources
GROUP BY run, name, attempt, role, rank, node, device, time;
