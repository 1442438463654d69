-- train_heartbeats: one row for each train.heartbeat record. progress_age: seconds since the last progress.
-- Writer: stream/sink, from topic otlp_logs.

CREATE TABLE IF NOT EXISTS train_heartbeats {on_cluster}
(
    run LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    rank Int32 CODEC(ZSTD(1)),  -- -1: none
    node LowCardinality(String) CODEC(ZSTD(1)),
    role LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    step Int64 CODEC(DoubleDelta, ZSTD(1)),  -- -1: none
    phase LowCardinality(String) CODEC(ZSTD(1)),
    progress_age Nullable(Float64) CODEC(ZSTD(1)),
    emitter LowCardinality(String) CODEC(ZSTD(1)),
    seq Int64 CODEC(DoubleDelta, ZSTD(1)),  -- -1: none
    src_topic LowCardinality(String) CODEC(ZSTD(1)),
    src_partition UInt16 CODEC(ZSTD(1)),
    src_offset UInt64 CODEC(DoubleDelta, ZSTD(1)),
    INDEX idx_time time TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY toYYYYMM(time)
ORDER BY (run, rank, time)
{ttl:raw:time}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, {dedup};
