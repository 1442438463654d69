-- gpu_seconds of an incident: NULL where the number of GPUs is not known, as without samples of torch's allocator.
-- train_control.run_mode: the mode that a person set for runs, as JSON; '' for other words.
-- Writer: stream/sink, from topics remediation.intents and remediation.control.

ALTER TABLE train_incident_changes {on_cluster} MODIFY COLUMN gpu_seconds Nullable(Float64) CODEC(ZSTD(1));

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
    tupleElement(argMax(tuple(c.gpu_seconds), c.seq), 1) AS gpu_seconds,
    argMax(c.cause, c.seq) AS cause,
    argMax(c.symptoms, c.seq) AS symptoms,
    argMax(c.timeline, c.seq) AS timeline,
    argMax(c.actions, c.seq) AS actions
FROM train_incident_changes AS c
GROUP BY c.run, c.began, c.id;

ALTER TABLE train_control {on_cluster} ADD COLUMN IF NOT EXISTS run_mode String CODEC(ZSTD(1)) AFTER silence;
