-- train_diagnoses: transitions of diagnoses. A transition published twice (a worker that crashed and replayed)
-- is one row for readers that say FINAL. evidence is a JSON object.
-- Writer: stream/sink, from topic train.diagnoses.

CREATE TABLE IF NOT EXISTS train_diagnoses {on_cluster}
(
    id String CODEC(ZSTD(1)),
    rule LowCardinality(String) CODEC(ZSTD(1)),
    category LowCardinality(String) CODEC(ZSTD(1)),
    severity LowCardinality(String) CODEC(ZSTD(1)),
    state LowCardinality(String) CODEC(ZSTD(1)),
    run LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    rank Int32 CODEC(ZSTD(1)),  -- -1: none
    node LowCardinality(String) CODEC(ZSTD(1)),
    role LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    step Nullable(Int64) CODEC(ZSTD(1)),
    epoch Nullable(Float64) CODEC(ZSTD(1)),
    file String CODEC(ZSTD(1)),
    line Nullable(Int64) CODEC(ZSTD(1)),
    rule_version LowCardinality(String) CODEC(ZSTD(1)),
    summary String CODEC(ZSTD(1)),
    evidence String CODEC(ZSTD(1)),
    suggestions Array(String) CODEC(ZSTD(1)),
    `then` Array(String) CODEC(ZSTD(1)),
    src_topic LowCardinality(String) CODEC(ZSTD(1)),
    src_partition UInt16 CODEC(ZSTD(1)),
    src_offset UInt64 CODEC(ZSTD(1))
)
ENGINE = {engine:ReplacingMergeTree}
PARTITION BY toYYYYMM(time)
ORDER BY (run, time, id, state)
{ttl:decisions:time}
SETTINGS index_granularity = 8192, {dedup};
