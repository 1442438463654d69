-- train_control: what people said on remediation.control: approvals, rejections, silences, resets of the breaker. What
-- became of each is in train_decisions, with the author and the key that signed; what was not believed as 'refused'.
-- silence is a JSON object, '' where there is none.
-- Writer: stream/sink, from topic remediation.control.

CREATE TABLE IF NOT EXISTS train_control {on_cluster}
(
    id String CODEC(ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),
    author LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9) CODEC(ZSTD(1)),
    command String CODEC(ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    silence String CODEC(ZSTD(1)),
    src_topic LowCardinality(String) CODEC(ZSTD(1)),
    src_partition UInt16 CODEC(ZSTD(1)),
    src_offset UInt64 CODEC(ZSTD(1))
)
ENGINE = {engine:ReplacingMergeTree}
PARTITION BY toYYYYMM(time)
ORDER BY (time, id)
{ttl:decisions:time}
SETTINGS index_granularity = 8192, {dedup};
