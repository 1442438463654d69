-- train_acks: what became of a command on each rank, one row for each state it went through. An ack published
-- twice is one row for readers that say FINAL. detail is a JSON object, duration is in seconds.
-- Writer: stream/sink, from topic remediation.acks.

CREATE TABLE IF NOT EXISTS train_acks {on_cluster}
(
    command String CODEC(ZSTD(1)),
    run LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    rank Int32 CODEC(ZSTD(1)),  -- -1: none
    executor LowCardinality(String) CODEC(ZSTD(1)),
    state LowCardinality(String) CODEC(ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    step Nullable(Int64) CODEC(ZSTD(1)),
    time DateTime64(9) CODEC(ZSTD(1)),
    duration Nullable(Float64) CODEC(ZSTD(1)),
    detail String CODEC(ZSTD(1)),
    src_topic LowCardinality(String) CODEC(ZSTD(1)),
    src_partition UInt16 CODEC(ZSTD(1)),
    src_offset UInt64 CODEC(ZSTD(1))
)
ENGINE = {engine:ReplacingMergeTree}
PARTITION BY toYYYYMM(time)
ORDER BY (run, command, attempt, rank, executor, time, state)
{ttl:decisions:time}
SETTINGS index_granularity = 8192, {dedup};
