-- train_series: what is known of each series of train_steps: how many values, which times and steps, the last value.
-- train_devices: which GPUs each attempt was seen with.
-- Both begin with the rows that come after this file was applied; docs/history.md says how to fill in older ones.
-- train_reference: the rank of each attempt whose steps stand for it: the lowest that logs steps, of role trainer where
-- there is one. marker is the name that it logs most often.
-- train_attempts: one row for each attempt. ended is the last sign of it, followed_by when the next attempt began; lost
-- says that it vanished: its ranks ended without a word; its state is lost then, or killed. gpus is NULL where none were seen.
-- train_standstills: stretches in which the loop stood: hang, paused, and checkpoint (only what blocks the loop). role
-- and rank are '' and -1 where it stood on all of them; ended is NULL while it lasts.
-- Writer: their materialized views, from train_steps and train_resources.

CREATE TABLE IF NOT EXISTS train_series {on_cluster}
(
    run LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    role LowCardinality(String) CODEC(ZSTD(1)),
    rank Int32 CODEC(ZSTD(1)),
    count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    total SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),  -- of what is finite
    first_time SimpleAggregateFunction(min, DateTime64(9)) CODEC(ZSTD(1)),
    last_time SimpleAggregateFunction(max, DateTime64(9)) CODEC(ZSTD(1)),
    first_step SimpleAggregateFunction(min, Int64) CODEC(ZSTD(1)),
    last_step SimpleAggregateFunction(max, Int64) CODEC(ZSTD(1)),
    last_value AggregateFunction(argMax, Float64, Tuple(DateTime64(9), Int64)) CODEC(ZSTD(1))
)
ENGINE = {engine:AggregatingMergeTree}
ORDER BY (run, name, attempt, role, rank)
{ttl:rollups:last_time}
SETTINGS index_granularity = 1024, {dedup};

CREATE MATERIALIZED VIEW IF NOT EXISTS train_series_mv {on_cluster} TO train_series
AS SELECT
    run, name, attempt, role, rank,
    count() AS count,
    sumIf(value, isFinite(value)) AS total,
    min(time) AS first_time,
    max(time) AS last_time,
    min(step) AS first_step,
    max(step) AS last_step,
    argMaxState(value, (time, seq)) AS last_value
FROM train_steps
GROUP BY run, name, attempt, role, rank;

CREATE TABLE IF NOT EXISTS train_devices {on_cluster}
(
    run LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    node LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    first_time SimpleAggregateFunction(min, DateTime64(9)) CODEC(ZSTD(1)),
    last_time SimpleAggregateFunction(max, DateTime64(9)) CODEC(ZSTD(1))
)
ENGINE = {engine:AggregatingMergeTree}
ORDER BY (run, attempt, node, device)
{ttl:rollups:last_time}
SETTINGS index_granularity = 1024, {dedup};

CREATE MATERIALIZED VIEW IF NOT EXISTS train_devices_mv {on_cluster} TO train_devices
AS SELECT run, attempt, node, device, min(time) AS first_time, max(time) AS last_time
FROM train_resources
WHERE device != ''
GROUP BY run, attempt, node, device;

CREATE VIEW IF NOT EXISTS train_reference {on_cluster}
AS SELECT
    run, attempt,
    argMin(ranks.role, tuple(ranks.role != 'trainer', ranks.rank, ranks.role)) AS role,
    argMin(ranks.rank, tuple(ranks.role != 'trainer', ranks.rank, ranks.role)) AS rank,
    argMin(ranks.marker, tuple(ranks.role != 'trainer', ranks.rank, ranks.role)) AS marker
FROM
(
    SELECT run, attempt, role, rank, argMax(name, tuple(records, name = 'loss', name)) AS marker
    FROM
    (
        SELECT s.run AS run, s.attempt AS attempt, s.role AS role, s.rank AS rank, s.name AS name,
            sum(s.count) AS records
        FROM train_series AS s
        GROUP BY s.run, s.attempt, s.role, s.rank, s.name
    )
    GROUP BY run, attempt, role, rank
) AS ranks
GROUP BY run, attempt;

CREATE VIEW IF NOT EXISTS train_attempts {on_cluster}
AS WITH ranks AS
(
    SELECT
        r.run AS run, r.attempt AS attempt, r.role AS role, r.rank AS rank,
        max(r.run_name) AS run_name, max(r.world_size) AS world_size, min(r.started) AS started,
        max(r.last_time) AS last_time, max(r.last_step) AS last_step,
        tupleElement(max(r.lifecycle), 'state') AS state
    FROM train_runs AS r
    GROUP BY r.run, r.attempt, r.role, r.rank
),
attempts AS
(
    SELECT
        run, attempt,
        max(ranks.run_name) AS run_name,
        multiIf(
            countIf(ranks.state = 'failed') > 0, 'failed', countIf(ranks.state = 'killed') > 0, 'killed',
            countIf(ranks.state IN ('started', 'resumed')) > 0, 'running',
            countIf(ranks.state = 'finished') > 0, 'finished', 'unknown') AS said,
        max(ranks.world_size) AS world_size,
        toUInt32(countIf(ranks.role != 'supervisor')) AS ranks,
        max(ranks.last_step) AS last_step,
        min(ranks.started) AS began,
        maxOrNullIf(ranks.last_time, ranks.role != 'supervisor') AS lived,
        countIf(ranks.role = 'supervisor' AND ranks.state IN ('exited', 'restarting', 'waiting', 'gave_up')) AS over,
        max(ranks.last_time) AS last_time
    FROM ranks
    GROUP BY run, attempt
),
ordered AS
(
    SELECT
        *,
        coalesce(lived, last_time) AS life,
        leadInFrame(toNullable(began)) OVER (
            PARTITION BY run ORDER BY attempt ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS next
    FROM attempts
),
ends AS
(
    SELECT
        *,
        greatest(began, least(if(said IN ('finished', 'failed'), life, last_time), coalesce(next, last_time)))
            AS over_at,
        said NOT IN ('finished', 'failed') AND (next IS NOT NULL OR over > 0 OR said = 'killed') AS vanished
    FROM ordered
)
SELECT
    e.run AS run, e.attempt AS attempt, run_name,
    if(vanished AND said != 'killed', 'lost', said) AS state,
    world_size, ranks, last_step, began,
    over_at AS ended,
    greatest(began, least(life, over_at)) AS alive,
    if(next IS NULL, NULL, greatest(over_at, assumeNotNull(next))) AS followed_by,
    vanished AS lost,
    d.gpus AS gpus
FROM ends AS e
LEFT JOIN
(
    SELECT d.run AS run, d.attempt AS attempt, toNullable(uniqExact(d.node, d.device)) AS gpus
    FROM train_devices AS d
    GROUP BY d.run, d.attempt
) AS d ON d.run = e.run AND d.attempt = e.attempt;

CREATE VIEW IF NOT EXISTS train_standstills {on_cluster}
AS SELECT
    run, attempt, '' AS role, toInt32(-1) AS rank, 'hang' AS kind,
    fromUnixTimestamp64Nano(toUnixTimestamp64Nano(fired) - toInt64(greatest(0, least(silent, 1e6)) * 1e9)) AS began,
    resolved AS ended
FROM
(
    SELECT
        run, attempt, id,
        minIf(time, state = 'firing') AS fired,
        maxOrNullIf(time, state = 'resolved') AS resolved,
        maxIf(JSONExtractFloat(evidence, 'silent'), state = 'firing') AS silent
    FROM train_diagnoses
    WHERE category IN ('hang', 'nccl_timeout')
    GROUP BY run, attempt, id
    HAVING countIf(state = 'firing') > 0
)
UNION ALL
SELECT run, attempt, '' AS role, toInt32(-1) AS rank, 'hang' AS kind, alive AS began, toNullable(ended) AS ended
FROM train_attempts
WHERE lost
UNION ALL
SELECT run, attempt, '' AS role, toInt32(-1) AS rank, 'paused' AS kind, held AS began, freed AS ended
FROM
(
    SELECT
        run, attempt, action, held,
        minOrNullIf(held, action = 'resume') OVER (
            PARTITION BY run, attempt ORDER BY held DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS freed
    FROM
    (
        SELECT a.run AS run, a.attempt AS attempt, a.command AS command, any(c.action) AS action, min(a.time) AS held
        FROM train_acks AS a
        INNER JOIN train_commands AS c ON c.run = a.run AND c.id = a.command
        WHERE a.state = 'succeeded' AND c.action IN ('pause', 'resume')
        GROUP BY a.run, a.attempt, a.command
    )
)
WHERE action = 'pause'
UNION ALL
SELECT
    run, attempt, role, rank, 'checkpoint' AS kind, began,
    toNullable(fromUnixTimestamp64Nano(toUnixTimestamp64Nano(began) + toInt64(duration))) AS ended
FROM
(
    SELECT
        run, attempt, role, rank, Timestamp AS began, Duration AS duration, SpanName AS name,
        countIf(SpanName = 'checkpoint.stage') OVER (
            PARTITION BY run, attempt, role, rank, if(SpanName = 'checkpoint.stage', ParentSpanId, SpanId)
        ) AS staged
    FROM otel_traces
    WHERE SpanName IN ('checkpoint.stage', 'checkpoint.save', 'checkpoint.load')
)
WHERE name = 'checkpoint.stage' OR staged = 0;
