-- train_goodput_rolled: train_goodput from sums by series and by ten seconds instead of single steps: what takes too long
-- of millions of steps. docs/goodput.md says by how much the two may differ.
-- train_goodput_fleet: the same by run, for many runs at once.
-- train_recovery: one row for each incident: how long it took to be seen, diagnosed, acted on and recovered from.
-- Writer: none, these are views on what the tables of other files hold.

CREATE VIEW IF NOT EXISTS train_goodput_rolled {on_cluster}
AS WITH
buckets AS
(
    SELECT
        b.run AS run, b.attempt AS attempt, toInt64(toUnixTimestamp(b.time)) * 1000000000 AS at,
        sum(b.count + b.not_finite) AS records, min(b.first_step) AS low, max(b.last_step) AS high
    FROM train_steps_10s AS b
    WHERE (b.run, b.name, b.rank, b.role, b.attempt) IN
    (
        SELECT f.run, f.marker, f.rank, f.role, f.attempt FROM train_reference AS f
    )
    GROUP BY b.run, b.attempt, b.time
),
climbed AS
(
    SELECT
        *,
        max(high + 1) OVER (
            PARTITION BY run ORDER BY attempt, at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) - 1 AS reached,
        lagInFrame(high) OVER (
            PARTITION BY run, attempt ORDER BY at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        ) AS high_before
    FROM buckets
),
-- Steps between two records, where not every step is logged.
strides AS
(
    SELECT
        run AS stride_run, attempt AS stride_attempt,
        greatest(1, coalesce(
            quantileExactOrNullIf(0.5)((high - high_before) / records, high_before > 0 AND high > high_before),
            max((high - low) / greatest(1, records - 1)))) AS stride
    FROM climbed
    GROUP BY run, attempt
),
made AS
(
    SELECT
        run, attempt, sum(records) AS steps,
        sum(if(high < 0, 0, greatest(0, records - greatest(0, (high - greatest(toFloat64(reached), low - stride)) / stride))))
            AS steps_again
    FROM climbed
    INNER JOIN strides ON stride_run = run AND stride_attempt = attempt
    GROUP BY run, attempt
),
series AS
(
    SELECT
        s.run AS run, s.attempt AS attempt,
        minIf(toUnixTimestamp64Nano(s.first_time), s.name = f.marker) AS first_at,
        maxIf(toUnixTimestamp64Nano(s.last_time), s.name = f.marker) AS last_at,
        sumIf(s.count, s.name = 'step_time') AS timed,
        toInt64(least(sumIf(s.total, s.name = 'step_time'), 1e9) * 1e9) AS took,
        toInt64(least(sumIf(s.total, s.name = 'data_time'), 1e9) * 1e9) AS waited
    FROM train_series AS s
    INNER JOIN train_reference AS f
        ON f.run = s.run AND f.attempt = s.attempt AND f.rank = s.rank AND f.role = s.role
    WHERE s.name IN ('step_time', 'data_time') OR s.name = f.marker
    GROUP BY s.run, s.attempt
),
-- A standstill ends with the ten seconds in which the next step came, at the latest.
marks AS
(
    SELECT run, attempt, 'step' AS kind, at, toInt64(0) AS until FROM buckets
    UNION ALL
    SELECT
        run, attempt, kind, toUnixTimestamp64Nano(began),
        if(ended IS NULL, toInt64(9e18), toUnixTimestamp64Nano(assumeNotNull(ended)))
    FROM train_standstills
    WHERE rank = -1 OR (run, attempt, role, rank) IN (SELECT f.run, f.attempt, f.role, f.rank FROM train_reference AS f)
),
bounded AS
(
    SELECT
        run, attempt, kind, at,
        least(until, minOrNullIf(at, kind = 'step') OVER (
            PARTITION BY run, attempt ORDER BY at DESC, kind != 'step' DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) + 10000000000) AS sooner,
        coalesce(sooner, until) AS over
    FROM marks
),
standing AS
(
    SELECT
        run, attempt,
        arraySort(x -> x.2, groupArray((indexOf(['hang', 'paused', 'checkpoint'], kind), at, over))) AS stood
    FROM bounded
    WHERE kind != 'step'
    GROUP BY run, attempt
),
attempts AS
(
    SELECT
        a.run AS run, a.attempt AS attempt, a.run_name AS run_name, a.state AS state, a.gpus AS gpus,
        a.began AS began, a.ended AS ended,
        toUnixTimestamp64Nano(a.began) AS opens,
        toUnixTimestamp64Nano(a.ended) AS closes,
        toUnixTimestamp64Nano(coalesce(a.followed_by, a.ended)) AS next_opens,
        if(s.first_at = 0, closes, greatest(opens, least(closes, s.first_at))) AS first_step,
        if(s.first_at = 0, closes, greatest(opens, least(closes, s.last_at))) AS last_step,
        s.timed AS timed, s.took AS took, s.waited AS waited,
        m.steps AS steps, m.steps_again AS steps_again,
        w.stood AS stood
    FROM train_attempts AS a
    LEFT JOIN series AS s ON s.run = a.run AND s.attempt = a.attempt
    LEFT JOIN made AS m ON m.run = a.run AND m.attempt = a.attempt
    LEFT JOIN standing AS w ON w.run = a.run AND w.attempt = a.attempt
),
cut AS
(
    SELECT
        *,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, first_step)), done.2 + greatest(toInt64(0), least(x.3, first_step) - greatest(done.1, x.2))), arrayFilter(x -> x.1 <= 1, stood), (opens, toInt64(0))), 2) AS hang_1,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, first_step)), done.2 + greatest(toInt64(0), least(x.3, first_step) - greatest(done.1, x.2))), arrayFilter(x -> x.1 <= 2, stood), (opens, toInt64(0))), 2) AS paused_1,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, last_step)), done.2 + greatest(toInt64(0), least(x.3, last_step) - greatest(done.1, x.2))), arrayFilter(x -> x.1 <= 1, stood), (first_step, toInt64(0))), 2) AS hang_2,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, last_step)), done.2 + greatest(toInt64(0), least(x.3, last_step) - greatest(done.1, x.2))), arrayFilter(x -> x.1 <= 2, stood), (first_step, toInt64(0))), 2) AS paused_2,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, last_step)), done.2 + greatest(toInt64(0), least(x.3, last_step) - greatest(done.1, x.2))), stood, (first_step, toInt64(0))), 2) AS stood_2,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, closes)), done.2 + greatest(toInt64(0), least(x.3, closes) - greatest(done.1, x.2))), arrayFilter(x -> x.1 <= 1, stood), (last_step, toInt64(0))), 2) AS hang_3,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, closes)), done.2 + greatest(toInt64(0), least(x.3, closes) - greatest(done.1, x.2))), arrayFilter(x -> x.1 <= 2, stood), (last_step, toInt64(0))), 2) AS paused_3,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, closes)), done.2 + greatest(toInt64(0), least(x.3, closes) - greatest(done.1, x.2))), stood, (last_step, toInt64(0))), 2) AS stood_3,
        last_step - first_step AS stretch,
        if(timed > 0, least(greatest(toInt64(0), took), stretch), stretch) AS step_ns,
        step_ns - greatest(toInt64(0), stood_2 - (stretch - step_ns)) AS free,
        least(greatest(toInt64(0), waited), free) AS data_ns,
        if(steps > 0, least(1, steps_again / steps), 0) AS again
    FROM attempts
),
parts AS
(
    SELECT
        run, attempt, run_name, state, gpus, began, ended, steps, steps_again,
        (next_opens - opens) / 1e9 AS wall_s,
        (first_step - opens - paused_1) / 1e9 AS setup_s,
        (free - data_ns) / 1e9 * (1 - again) AS productive_s,
        (free - data_ns) / 1e9 * again AS recomputed_s,
        data_ns / 1e9 AS data_s,
        (stood_2 - paused_2 + stood_3 - paused_3) / 1e9 AS checkpoint_s,
        (hang_1 + hang_2 + hang_3) / 1e9 AS hang_s,
        (paused_1 - hang_1 + paused_2 - hang_2 + paused_3 - hang_3) / 1e9 AS paused_s,
        (next_opens - closes) / 1e9 AS restart_s,
        greatest(0, (stretch - free - stood_2 + closes - last_step - stood_3) / 1e9) AS idle_s
    FROM cut
)
SELECT
    p.run AS run,
    p.run_name AS run_name,
    p.attempt AS attempt,
    p.began AS began,
    p.ended AS ended,
    p.wall_s AS wall,
    p.setup_s AS setup,
    p.productive_s AS productive,
    p.recomputed_s AS recomputed,
    p.data_s AS data_wait,
    p.checkpoint_s AS checkpoint,
    p.hang_s AS hang,
    p.paused_s AS paused,
    p.restart_s AS restart,
    p.idle_s AS idle,
    if(p.wall_s > 0, p.productive_s / p.wall_s, 0) AS goodput,
    p.steps AS steps,
    toUInt64(round(p.steps_again)) AS recomputed_steps,
    p.gpus AS gpus,
    p.state AS state
FROM parts AS p;

CREATE VIEW IF NOT EXISTS train_goodput_fleet {on_cluster}
AS SELECT
    g.run AS run,
    argMax(g.run_name, g.attempt) AS run_name,
    count() AS attempts,
    min(g.began) AS began,
    max(g.ended) AS ended,
    sum(g.wall) AS wall,
    sum(g.setup) AS setup,
    sum(g.productive) AS productive,
    sum(g.recomputed) AS recomputed,
    sum(g.data_wait) AS data_wait,
    sum(g.checkpoint) AS checkpoint,
    sum(g.hang) AS hang,
    sum(g.paused) AS paused,
    sum(g.restart) AS restart,
    sum(g.idle) AS idle,
    if(sum(g.wall) > 0, sum(g.productive) / sum(g.wall), 0) AS goodput,
    sum(g.steps) AS steps,
    sum(g.recomputed_steps) AS recomputed_steps,
    argMax(g.gpus, g.attempt) AS gpus,
    argMax(g.state, g.attempt) AS state
FROM train_goodput_rolled AS g
GROUP BY g.run;

CREATE VIEW IF NOT EXISTS train_recovery {on_cluster}
AS WITH
commands AS
(
    SELECT
        c.run AS run, d.incident AS incident, c.id AS id, any(c.action) AS action, min(c.issued) AS issued
    FROM train_commands AS c
    INNER JOIN
    (
        SELECT DISTINCT run, incident, command FROM train_decisions WHERE incident != '' AND command != ''
    ) AS d ON d.run = c.run AND d.command = c.id
    GROUP BY c.run, d.incident, c.id
),
answers AS
(
    SELECT
        k.run AS run, k.command AS command,
        maxIf(k.time, k.state = 'succeeded') AS done,
        countIf(k.state = 'succeeded') > 0 AND countIf(k.state IN ('failed', 'rejected', 'expired', 'aborted')) = 0 AS well
    FROM train_acks AS k
    GROUP BY k.run, k.command
),
acted AS
(
    SELECT
        c.run AS run, c.incident AS incident,
        min(c.issued) AS first_issued,
        maxIf(w.done, c.action IN ('rollback', 'restart')) AS set_back,
        countIf(c.action = 'save') AS saves,
        countIf(c.action = 'save' AND w.well) AS saves_succeeded,
        countIf(c.action IN ('restart', 'rollback')) AS restarts,
        countIf(c.action IN ('restart', 'rollback') AND w.well) AS restarts_succeeded
    FROM commands AS c
    LEFT JOIN answers AS w ON w.run = c.run AND w.command = c.id
    GROUP BY c.run, c.incident
),
troubles AS
(
    SELECT
        i.run AS run, i.id AS incident, i.run_name AS run_name, i.attempt AS attempt, i.state AS state,
        i.rule AS rule, i.category AS category, i.severity AS severity, i.began AS began, i.ended AS ended,
        i.outcome AS outcome, i.lost_steps AS lost_steps, i.lost_seconds AS lost_seconds,
        i.gpu_seconds AS gpu_seconds,
        parseDateTime64BestEffortOrNull(JSONExtractString(i.cause, 'began'), 9, 'UTC') AS found,
        JSONExtract(i.cause, 'evidence', 'silent', 'Nullable(Float64)') AS silent,
        JSONExtract(i.cause, 'evidence', 'since_step', 'Nullable(Int64)') AS since_step,
        JSONExtract(i.cause, 'attempt', 'Nullable(UInt16)') AS of_attempt,
        JSONExtract(i.cause, 'rank', 'Nullable(Int32)') AS of_rank,
        nullIf(a.first_issued, toDateTime64(0, 9, 'UTC')) AS first_issued,
        greatest(i.began, a.set_back) AS begins_again,
        a.saves AS saves, a.saves_succeeded AS saves_succeeded, a.restarts AS restarts,
        a.restarts_succeeded AS restarts_succeeded
    FROM train_incidents AS i
    LEFT JOIN acted AS a ON a.run = i.run AND a.incident = i.id
),
-- When the first step was logged whose values matched the rule of the cause, by its rank, or the one that stands for all.
wanted AS
(
    SELECT
        i.run AS run, i.incident AS incident, i.began AS began, f.marker AS name, ifNull(i.of_rank, f.rank) AS rank,
        f.attempt AS attempt, assumeNotNull(i.since_step) AS step
    FROM troubles AS i
    INNER JOIN train_reference AS f ON f.run = i.run AND f.attempt = ifNull(i.of_attempt, i.attempt)
    WHERE i.since_step IS NOT NULL
),
firsts AS
(
    SELECT w.run AS run, w.incident AS incident, maxOrNullIf(s.time, s.time <= w.began) AS first
    FROM
    (
        SELECT run, name, rank, attempt, step, time
        FROM train_steps
        WHERE (run, name, rank) IN (SELECT run, name, rank FROM wanted) AND (run, step) IN (SELECT run, step FROM wanted)
    ) AS s
    INNER JOIN wanted AS w
        ON w.run = s.run AND w.name = s.name AND w.rank = s.rank AND w.attempt = s.attempt AND w.step = s.step
    GROUP BY w.run, w.incident
),
-- New highest steps only: each one ends the troubles that are older than it.
records AS
(
    SELECT run, at
    FROM
    (
        SELECT
            s.run AS run, s.time AS at, s.step AS step,
            max(s.step + 1) OVER (
                PARTITION BY s.run ORDER BY s.time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS reached
        FROM train_steps AS s
        WHERE s.step >= 0 AND (s.run, s.name, s.rank, s.role, s.attempt) IN
        (
            SELECT f.run, f.marker, f.rank, f.role, f.attempt
            FROM train_reference AS f
            WHERE f.run IN (SELECT run FROM train_incident_changes)
        )
    )
    WHERE step >= reached
),
marks AS
(
    SELECT run, '' AS incident, at, 1 AS is_step FROM records
    UNION ALL
    SELECT run, incident, begins_again, 0 FROM troubles
),
recovered AS
(
    SELECT
        run, incident, is_step,
        minOrNullIf(at, is_step = 1) OVER (
            PARTITION BY run ORDER BY at DESC, is_step ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS at
    FROM marks AS m
)
SELECT
    t.run AS run, t.run_name AS run_name, t.attempt AS attempt, t.incident AS id, t.state AS state, t.rule AS rule,
    t.category AS category, t.severity AS severity, t.began AS began, t.ended AS ended, t.outcome AS outcome,
    if(t.silent IS NOT NULL, t.silent,
        if(e.first IS NULL, NULL, (toUnixTimestamp64Nano(t.began) - toUnixTimestamp64Nano(e.first)) / 1e9)) AS detect,
    if(t.found IS NULL, NULL, greatest(0, (toUnixTimestamp64Nano(t.found) - toUnixTimestamp64Nano(t.began)) / 1e9)) AS diagnose,
    if(t.first_issued IS NULL, NULL, greatest(0, (toUnixTimestamp64Nano(t.first_issued) - toUnixTimestamp64Nano(t.began)) / 1e9)) AS act,
    (toUnixTimestamp64Nano(r.at) - toUnixTimestamp64Nano(t.began)) / 1e9 AS recover,
    t.lost_steps AS lost_steps, t.lost_seconds AS lost_seconds, t.gpu_seconds / 3600 AS gpu_hours,
    t.saves AS saves, t.saves_succeeded AS saves_succeeded, t.restarts AS restarts,
    t.restarts_succeeded AS restarts_succeeded
FROM troubles AS t
LEFT JOIN firsts AS e ON e.run = t.run AND e.incident = t.incident
LEFT JOIN (SELECT run, incident, at FROM recovered WHERE is_step = 0) AS r ON r.run = t.run AND r.incident = t.incident;

CREATE VIEW IF NOT EXISTS train_recovery_runs {on_cluster}
AS SELECT
    run,
    sum(made) AS saves,
    sum(well) AS saves_succeeded,
    sum(begun) AS restarts,
    sum(stepped) AS restarts_succeeded
FROM
(
    SELECT run, count() AS made, countIf(StatusCode NOT IN ('Error', 'STATUS_CODE_ERROR')) AS well, 0 AS begun, 0 AS stepped
    FROM otel_traces
    WHERE SpanName = 'checkpoint.save'
    GROUP BY run
    UNION ALL
    SELECT a.run AS run, 0, 0, count() - 1, countIf(f.marker != '' AND a.attempt != first)
    FROM
    (
        SELECT run, attempt, min(attempt) OVER (PARTITION BY run) AS first FROM train_attempts
    ) AS a
    LEFT JOIN train_reference AS f ON f.run = a.run AND f.attempt = a.attempt
    GROUP BY a.run
)
GROUP BY run;
