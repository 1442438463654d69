-- train_resources: one row for each number of each train.resource record. device is the GPU's hw.id, or '' for
-- the host and the process.
-- Writer: stream/sink, from topic otlp_logs.

CREATE TABLE IF NOT EXISTS train_resources {on_cluster}
(
    run LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    rank Int32 CODEC(ZSTD(1)),  -- -1: none
    node LowCardinality(String) CODEC(ZSTD(1)),
    role LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    value Float64 CODEC(Gorilla, ZSTD(1)),
    emitter LowCardinality(String) CODEC(ZSTD(1)),
    seq Int64 CODEC(DoubleDelta, ZSTD(1)),  -- -1: none
    src_topic LowCardinality(String) CODEC(ZSTD(1)),
    src_partition UInt16 CODEC(ZSTD(1)),
    src_offset UInt64 CODEC(DoubleDelta, ZSTD(1)),
    INDEX idx_time time TYPE minmax GRANULARITY 1,
    INDEX idx_node node TYPE set(256) GRANULARITY 4
)
ENGINE = {engine:MergeTree}
PARTITION BY toYYYYMM(time)
ORDER BY (run, name, rank, device, time)
{ttl:raw:time}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, {dedup};
