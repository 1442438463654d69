-- train_decisions: the ledger of remediation: what was decided about which diagnosis, by which version of which
-- rule, what was sent, held or let be, and why. A decision published twice is one row for readers that say FINAL.
-- train_incidents: a view on it, one row for each incident, still open or closed.
-- Writer: stream/sink, from topic remediation.intents.

CREATE TABLE IF NOT EXISTS train_decisions {on_cluster}
(
    id String CODEC(ZSTD(1)),
    decision LowCardinality(String) CODEC(ZSTD(1)),
    run LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    time DateTime64(9) CODEC(ZSTD(1)),
    incident String CODEC(ZSTD(1)),
    diagnosis String CODEC(ZSTD(1)),
    rule LowCardinality(String) CODEC(ZSTD(1)),
    rule_version LowCardinality(String) CODEC(ZSTD(1)),
    action LowCardinality(String) CODEC(ZSTD(1)),
    position Nullable(Int64) CODEC(ZSTD(1)),
    command String CODEC(ZSTD(1)),  -- its id, '' where none was made
    reason String CODEC(ZSTD(1)),
    src_topic LowCardinality(String) CODEC(ZSTD(1)),
    src_partition UInt16 CODEC(ZSTD(1)),
    src_offset UInt64 CODEC(ZSTD(1))
)
ENGINE = {engine:ReplacingMergeTree}
PARTITION BY toYYYYMM(time)
ORDER BY (run, time, id)
{ttl:decisions:time}
SETTINGS index_granularity = 8192, {dedup};

CREATE VIEW IF NOT EXISTS train_incidents {on_cluster}
AS SELECT
    incident AS id,
    run,
    max(d.attempt) AS attempt,
    if(countIf(decision = 'closed') > 0, 'closed', 'open') AS state,
    min(d.time) AS began,
    maxOrNullIf(d.time, decision = 'closed') AS ended,
    anyIf(d.reason, decision = 'closed') AS reason,
    arraySort(groupUniqArrayIf(d.rule, d.rule != '')) AS rules,
    arraySort(groupUniqArrayIf(d.diagnosis, d.diagnosis != '')) AS diagnoses,
    arrayMap(item -> item.2, arraySort(groupArrayIf((d.time, d.action), decision = 'sent'))) AS sent,
    arrayMap(item -> item.2, arraySort(groupArrayIf((d.time, d.action), decision = 'held'))) AS held,
    arrayMap(item -> item.2, arraySort(groupArrayIf((d.time, d.action), decision = 'failed'))) AS failed
FROM (SELECT * FROM train_decisions FINAL) AS d
WHERE incident != ''
GROUP BY incident, run;
