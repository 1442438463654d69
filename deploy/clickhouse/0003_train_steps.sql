-- train_steps: one row for each number of each train.step record; train_evals: the same for train.eval.
-- NaN and infinities are stored as they are.
-- Writer: stream/sink, from topic otlp_logs.

CREATE TABLE IF NOT EXISTS train_steps {on_cluster}
(
    run LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    rank Int32 CODEC(ZSTD(1)),  -- -1: none
    node LowCardinality(String) CODEC(ZSTD(1)),
    role LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    step Int64 CODEC(DoubleDelta, ZSTD(1)),  -- -1: none
    name LowCardinality(String) CODEC(ZSTD(1)),
    value Float64 CODEC(Gorilla, ZSTD(1)),
    emitter LowCardinality(String) CODEC(ZSTD(1)),
    seq Int64 CODEC(DoubleDelta, ZSTD(1)),  -- -1: none
    src_topic LowCardinality(String) CODEC(ZSTD(1)),
    src_partition UInt16 CODEC(ZSTD(1)),
    src_offset UInt64 CODEC(DoubleDelta, ZSTD(1)),
    INDEX idx_time time TYPE minmax GRANULARITY 1,
    INDEX idx_step step TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY toYYYYMM(time)
ORDER BY (run, name, rank, time)
{ttl:raw:time}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, {dedup};

CREATE TABLE IF NOT EXISTS train_evals {on_cluster}
(
    run LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    rank Int32 CODEC(ZSTD(1)),  -- -1: none
    node LowCardinality(String) CODEC(ZSTD(1)),
    role LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    step Int64 CODEC(DoubleDelta, ZSTD(1)),  -- -1: none
    name LowCardinality(String) CODEC(ZSTD(1)),
    value Float64 CODEC(Gorilla, ZSTD(1)),
    emitter LowCardinality(String) CODEC(ZSTD(1)),
    seq Int64 CODEC(DoubleDelta, ZSTD(1)),  -- -1: none
    src_topic LowCardinality(String) CODEC(ZSTD(1)),
    src_partition UInt16 CODEC(ZSTD(1)),
    src_offset UInt64 CODEC(DoubleDelta, ZSTD(1)),
    INDEX idx_time time TYPE minmax GRANULARITY 1,
    INDEX idx_step step TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY toYYYYMM(time)
ORDER BY (run, name, rank, time)
{ttl:raw:time}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, {dedup};
