-- train_incident_changes: incidents as they stood at each change; seq counts the changes of one incident. cause,
-- symptoms, timeline, actions and cost are JSON as on the topic. A change published twice is one row for readers
-- that say FINAL.
-- train_incidents: a view on it, one row for each incident as it stands now. It takes the place of the view of that
-- name on train_decisions.
-- train_decisions: who decided (a person's name and key, '' for the policy), how grave, and what else it was made of.
-- Writer: stream/sink, from topic remediation.intents.

CREATE TABLE IF NOT EXISTS train_incident_changes {on_cluster}
(
    id String CODEC(ZSTD(1)),
    seq UInt32 CODEC(ZSTD(1)),
    run LowCardinality(String) CODEC(ZSTD(1)),
    run_name LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    state LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9) CODEC(ZSTD(1)),
    began DateTime64(9) CODEC(ZSTD(1)),
    ended Nullable(DateTime64(9)) CODEC(ZSTD(1)),
    outcome String CODEC(ZSTD(1)),
    rule LowCardinality(String) CODEC(ZSTD(1)),  -- of the cause, as the three below
    category LowCardinality(String) CODEC(ZSTD(1)),
    severity LowCardinality(String) CODEC(ZSTD(1)),
    summary String CODEC(ZSTD(1)),
    lost_steps Int64 CODEC(ZSTD(1)),
    lost_seconds Float64 CODEC(ZSTD(1)),
    gpu_seconds Float64 CODEC(ZSTD(1)),
    cause String CODEC(ZSTD(3)),
    symptoms String CODEC(ZSTD(3)),
    timeline String CODEC(ZSTD(3)),
    actions String CODEC(ZSTD(3)),
    src_topic LowCardinality(String) CODEC(ZSTD(1)),
    src_partition UInt16 CODEC(ZSTD(1)),
    src_offset UInt64 CODEC(ZSTD(1))
)
ENGINE = {engine:ReplacingMergeTree}
PARTITION BY toYYYYMM(began)
ORDER BY (run, began, id, seq)
{ttl:decisions:began}
SETTINGS index_granularity = 8192, {dedup};

DROP VIEW IF EXISTS train_incidents {on_cluster};

CREATE VIEW IF NOT EXISTS train_incidents {on_cluster}
AS SELECT
    c.run AS run,
    c.id AS id,
    c.began AS began,
    max(c.seq) AS changes,
    argMax(c.run_name, c.seq) AS run_name,
    argMax(c.attempt, c.seq) AS attempt,
    argMax(c.state, c.seq) AS state,
    argMax(c.time, c.seq) AS time,
    tupleElement(argMax(tuple(c.ended), c.seq), 1) AS ended,
    argMax(c.outcome, c.seq) AS outcome,
    argMax(c.rule, c.seq) AS rule,
    argMax(c.category, c.seq) AS category,
    argMax(c.severity, c.seq) AS severity,
    argMax(c.summary, c.seq) AS summary,
    argMax(c.lost_steps, c.seq) AS lost_steps,
    argMax(c.lost_seconds, c.seq) AS lost_seconds,
    argMax(c.gpu_seconds, c.seq) AS gpu_seconds,
    argMax(c.cause, c.seq) AS cause,
    argMax(c.symptoms, c.seq) AS symptoms,
    argMax(c.timeline, c.seq) AS timeline,
    argMax(c.actions, c.seq) AS actions
FROM train_incident_changes AS c
GROUP BY c.run, c.began, c.id;

ALTER TABLE train_decisions {on_cluster} ADD COLUMN IF NOT EXISTS run_name LowCardinality(String) CODEC(ZSTD(1));

ALTER TABLE train_decisions {on_cluster} ADD COLUMN IF NOT EXISTS severity LowCardinality(String) CODEC(ZSTD(1));

ALTER TABLE train_decisions {on_cluster} ADD COLUMN IF NOT EXISTS author LowCardinality(String) CODEC(ZSTD(1));

ALTER TABLE train_decisions {on_cluster} ADD COLUMN IF NOT EXISTS key LowCardinality(String) CODEC(ZSTD(1));

ALTER TABLE train_decisions {on_cluster} ADD COLUMN IF NOT EXISTS detail String CODEC(ZSTD(3));
