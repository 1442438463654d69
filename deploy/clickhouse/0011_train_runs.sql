-- train_runs: what is known of each rank of each attempt of each run, merged from one small row per rank and
-- batch; every column is a maximum or minimum, so a replay changes nothing. lifecycle is (time, state) of the
-- rank's newest train.lifecycle record. Read it through train_runs_latest, one row per run:
--   attempt     the newest; state, ranks, last_step, last_time are of it, or of the whole run where said so
--   state       failed or killed when any rank is; else running while any rank is; else finished; 'unknown'
--               where no train.lifecycle was seen
--   started     first sign of the run; last_time newest sign of it (both over all attempts)
--   last_step   highest step of the newest attempt, -1: none
-- Writer: stream/sink, from topic otlp_logs.

CREATE TABLE IF NOT EXISTS train_runs {on_cluster}
(
    run LowCardinality(String),
    attempt UInt16,
    role LowCardinality(String),
    rank Int32,
    run_name SimpleAggregateFunction(max, String),
    node SimpleAggregateFunction(max, String),
    world_size SimpleAggregateFunction(max, UInt32),
    started SimpleAggregateFunction(min, DateTime64(9)),
    last_time SimpleAggregateFunction(max, DateTime64(9)),
    last_step SimpleAggregateFunction(max, Int64),
    lifecycle SimpleAggregateFunction(max, Tuple(time DateTime64(9), state String))
)
ENGINE = {engine:AggregatingMergeTree}
ORDER BY (run, attempt, role, rank)
SETTINGS index_granularity = 1024, {dedup};

CREATE VIEW IF NOT EXISTS train_runs_latest {on_cluster}
AS WITH ranks AS
(
    SELECT
        run, attempt, role, rank,
        max(run_name) AS run_name, max(world_size) AS world_size, min(started) AS started,
        max(last_time) AS last_time, max(last_step) AS last_step, tupleElement(max(lifecycle), 'state') AS state
    FROM train_runs
    GROUP BY run, attempt, role, rank
),
attempts AS
(
    SELECT
        run, attempt,
        max(run_name) AS run_name, max(world_size) AS world_size, min(started) AS started,
        max(last_time) AS last_time, max(last_step) AS last_step, toUInt32(count()) AS ranks,
        multiIf(
            countIf(state = 'failed') > 0, 'failed', countIf(state = 'killed') > 0, 'killed',
            countIf(state IN ('started', 'resumed')) > 0, 'running', countIf(state = 'finished') > 0, 'finished',
            'unknown') AS state
    FROM ranks
    GROUP BY run, attempt
)
SELECT
    run,
    max(a.run_name) AS run_name,
    max(a.attempt) AS attempt,
    argMax(a.state, a.attempt) AS state,
    argMax(a.world_size, a.attempt) AS world_size,
    argMax(a.ranks, a.attempt) AS ranks,
    min(a.started) AS started,
    max(a.last_time) AS last_time,
    argMax(a.last_step, a.attempt) AS last_step
FROM attempts AS a
GROUP BY run;
