-- What sinks tell each other, so that a Kafka record is stored once whoever stores it (docs/history.md).
-- trainwarden_sinks: the highest claim on each partition; who holds it stores the partition's records.
-- trainwarden_batches: what a sink is about to insert (stored = 0) or has inserted (stored = 1). first_mark and
-- last_mark are hashes of the first and last Kafka record; life is the claim with which a broker's offsets began.
-- trainwarden_records: the sequence numbers of emitters in those batches, cut at multiples of 1024 (bucket). Spans
-- are there under '<emitter>/spans' with their span id as the number. Block numbers say which batch came first.
-- Writer: stream/sink.

CREATE TABLE IF NOT EXISTS trainwarden_sinks {on_cluster}
(
    source LowCardinality(String),  -- id of the Kafka cluster
    topic LowCardinality(String),
    partition UInt16,
    claim SimpleAggregateFunction(max, UInt64)
)
ENGINE = {engine:AggregatingMergeTree}
ORDER BY (source, topic, partition)
SETTINGS {dedup};

CREATE TABLE IF NOT EXISTS trainwarden_batches {on_cluster}
(
    source LowCardinality(String) CODEC(ZSTD(1)),
    topic LowCardinality(String) CODEC(ZSTD(1)),
    partition UInt16 CODEC(ZSTD(1)),
    first_offset UInt64 CODEC(Delta(8), ZSTD(1)),
    last_offset UInt64 CODEC(Delta(8), ZSTD(1)),
    life UInt64 CODEC(ZSTD(1)),
    claim UInt64 CODEC(ZSTD(1)),
    token FixedString(16) CODEC(ZSTD(1)),
    first_mark UInt64 CODEC(ZSTD(1)),
    last_mark UInt64 CODEC(ZSTD(1)),
    stored UInt8 CODEC(ZSTD(1)),
    planned DateTime DEFAULT now() CODEC(Delta(4), ZSTD(1))
)
ENGINE = {engine:ReplacingMergeTree}
ORDER BY (source, topic, partition, first_offset, last_offset, life, claim)
{ttl:sink:planned}
SETTINGS index_granularity = 1024, {dedup};

CREATE TABLE IF NOT EXISTS trainwarden_records {on_cluster}
(
    emitter LowCardinality(String) CODEC(ZSTD(1)),
    bucket Int64 CODEC(Delta(8), ZSTD(1)),
    first Int64 CODEC(Delta(8), ZSTD(1)),
    last Int64 CODEC(Delta(8), ZSTD(1)),
    source LowCardinality(String) CODEC(ZSTD(1)),
    topic LowCardinality(String) CODEC(ZSTD(1)),
    partition UInt16 CODEC(ZSTD(1)),
    first_offset UInt64 CODEC(Delta(8), ZSTD(1)),
    claim UInt64 CODEC(ZSTD(1)),
    planned DateTime DEFAULT now() CODEC(Delta(4), ZSTD(1))
)
ENGINE = {engine:MergeTree}
PARTITION BY toMonday(planned)
ORDER BY (emitter, bucket, first)
{ttl:sink:planned}
SETTINGS index_granularity = 1024, enable_block_number_column = 1, enable_block_offset_column = 1, {dedup};
