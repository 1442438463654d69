-- train_commands: commands as they were sent. A command published twice is one row for readers that say FINAL.
-- args and target are JSON objects; diagnosis, rule and summary are the reason.
-- Writer: stream/sink, from topic remediation.commands.

CREATE TABLE IF NOT EXISTS train_commands {on_cluster}
(
    id String CODEC(ZSTD(1)),
    run LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    action LowCardinality(String) CODEC(ZSTD(1)),
    args String CODEC(ZSTD(1)),
    target String CODEC(ZSTD(1)),
    diagnosis String CODEC(ZSTD(1)),
    rule LowCardinality(String) CODEC(ZSTD(1)),
    summary String CODEC(ZSTD(1)),
    issued DateTime64(9) CODEC(ZSTD(1)),
    expires DateTime64(9) CODEC(ZSTD(1)),
    time DateTime64(9) ALIAS issued,
    src_topic LowCardinality(String) CODEC(ZSTD(1)),
    src_partition UInt16 CODEC(ZSTD(1)),
    src_offset UInt64 CODEC(ZSTD(1))
)
ENGINE = {engine:ReplacingMergeTree}
PARTITION BY toYYYYMM(issued)
ORDER BY (run, issued, id)
{ttl:decisions:issued}
SETTINGS index_granularity = 8192, {dedup};
