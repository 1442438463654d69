-- train_goodput_rolled: train_goodput from sums by series and by ten seconds instead of single steps: what takes too long
-- of millions of steps. docs/goodput.md says by how much the two may differ.
-- train_goodput_fleet: the same by run, for many runs at once.
-- train_recovery: one row for each incident: how long it took to be seen, diagnosed, acted on and recovered from.
-- Writer: none, these are views on what the tables of other files hold.

CREATE VIEW IF NOT EXISTS train_goodput_rolled {on_cluster}
AS WITH
-- Ten seconds of steps (kind 0) and standstills (hang 1, paused 2, checkpoint 3) of each attempt.
told AS
(
    SELECT
        run, attempt,
        groupArrayIf((at, records, low, high, reached, high_before), kind = 0) AS buckets,
        groupArrayIf((role, rank, (at, kind, until)), kind > 0) AS stands
    FROM
    (
        SELECT
            run, attempt, '' AS role, toInt32(-1) AS rank, at, 0 AS kind, toInt64(0) AS until, records, low, high,
            max(high + 1) OVER (
                PARTITION BY run ORDER BY attempt, at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) - 1 AS reached,
            lagInFrame(high) OVER (
                PARTITION BY run, attempt ORDER BY at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
            ) AS high_before
        FROM
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
        )
        UNION ALL
        SELECT
            run, attempt, role, rank, toUnixTimestamp64Nano(began),
            indexOf(['hang', 'paused', 'checkpoint'], kind),
            if(ended IS NULL, toInt64(9e18), toUnixTimestamp64Nano(assumeNotNull(ended))), 0, 0, 0, 0, 0
        FROM train_standstills
    )
    GROUP BY run, attempt
),
series AS
(
    SELECT
        s.run AS run, s.attempt AS attempt, any((s.role, s.rank)) AS who,
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
        arrayMap(x -> (x.4 - x.6) / x.2, arrayFilter(x -> x.6 > 0 AND x.4 > x.6, t.buckets)) AS rises,
        -- Steps between two records, where not every step is logged.
        greatest(1, if(
            notEmpty(rises), arrayReduce('quantileExact(0.5)', rises),
            arrayMax(arrayMap(x -> (x.4 - x.3) / greatest(1, x.2 - 1), t.buckets))
        )) AS stride,
        arraySum(x -> x.2, t.buckets) AS steps,
        arraySum(
            x -> if(x.4 < 0, 0, greatest(0, x.2 - greatest(0, (x.4 - greatest(toFloat64(x.5), x.3 - stride)) / stride))),
            t.buckets
        ) AS steps_again,
        -- A standstill ends with the ten seconds in which the next step came, at the latest.
        arrayFilter(gap -> length(gap) > 1, arrayReverseSplit(x -> x.2 = 0, arrayPushBack(
            arraySort(arrayConcat(
                arrayMap(x -> (x.1, 0, x.1 + 10000000000), t.buckets),
                arrayMap(x -> x.3, arrayFilter(x -> x.2 = -1 OR (x.1, x.2) = s.who, t.stands))
            )),
            (toInt64(9e18), 4, toInt64(9e18))
        ))) AS gaps,
        arrayFlatten(arrayMap(
            gap -> arrayMap(x -> (x.1, x.2, least(x.3, gap[-1].3)), arrayPopBack(gap)), gaps
        )) AS stood
    FROM train_attempts AS a
    LEFT JOIN series AS s ON s.run = a.run AND s.attempt = a.attempt
    LEFT JOIN told AS t ON t.run = a.run AND t.attempt = a.attempt
),
-- How long it stood before the first step, among the steps and after the last: hanging, hanging or paused, in all.
cut AS
(
    SELECT
        *,
        arrayMap(
            (gravest, since, until) -> toInt64(arrayReduce(
                'intervalLengthSumIf',
                arrayMap(x -> greatest(since, least(until, x.1)), stood),
                arrayMap(x -> greatest(since, least(until, x.3)), stood),
                arrayMap(x -> x.2 <= gravest AND x.1 < x.3, stood)
            )),
            [1, 2, 1, 2, 3, 1, 2, 3],
            [opens, opens, first_step, first_step, first_step, last_step, last_step, last_step],
            [first_step, first_step, last_step, last_step, last_step, closes, closes, closes]
        ) AS st,
        last_step - first_step AS stretch,
        if(timed > 0, least(greatest(toInt64(0), took), stretch), stretch) AS step_ns,
        step_ns - greatest(toInt64(0), st[5] - (stretch - step_ns)) AS free,
        least(greatest(toInt64(0), waited), free) AS data_ns,
        if(steps > 0, least(1, steps_again / steps), 0) AS again
    FROM attempts
),
parts AS
(
    SELECT
        run, attempt, run_name, state, gpus, began, ended, steps, steps_again,
        (next_opens - opens) / 1e9 AS wall_s,
        (first_step - opens - st[2]) / 1e9 AS setup_s,
        (free - data_ns) / 1e9 * (1 - again) AS productive_s,
        (free - data_ns) / 1e9 * again AS recomputed_s,
        data_ns / 1e9 AS data_s,
        (st[5] - st[4] + st[8] - st[7]) / 1e9 AS checkpoint_s,
        (st[1] + st[3] + st[6]) / 1e9 AS hang_s,
        (st[2] - st[1] + st[4] - st[3] + st[7] - st[6]) / 1e9 AS paused_s,
        (next_opens - closes) / 1e9 AS restart_s,
        greatest(0, (stretch - free - st[5] + closes - last_step - st[8]) / 1e9) AS idle_s
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
-- When the steps were logged whose values matched the rule of a cause first, by each rank that may be meant.
firsts AS
(
    SELECT run, name, rank, attempt, step, groupArray(time) AS times
    FROM train_steps
    WHERE (run, name, rank, attempt, step) IN
    (
        SELECT
            c.run, f.marker, ifNull(JSONExtract(c.cause, 'rank', 'Nullable(Int32)'), f.rank), f.attempt,
            JSONExtract(c.cause, 'evidence', 'since_step', 'Int64')
        FROM train_incident_changes AS c
        INNER JOIN train_reference AS f
            ON f.run = c.run AND f.attempt = ifNull(JSONExtract(c.cause, 'attempt', 'Nullable(UInt16)'), c.attempt)
        WHERE JSONHas(c.cause, 'evidence', 'since_step')
    )
    GROUP BY run, name, rank, attempt, step
),
-- From each of these moments on a run has to reach new ground. Where it can have done so first: in that minute, or in
-- the first later one with a new highest step. reached: one more than the highest step before that minute.
minutes AS
(
    SELECT run, since, reached, arrayJoin(arrayDistinct([minute, ifNull(next, minute)])) AS minute
    FROM
    (
        SELECT
            *,
            minOrNullIf(minute, is_steps AND high >= reached) OVER (
                PARTITION BY run ORDER BY minute DESC, is_steps ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS next
        FROM
        (
            SELECT
                *,
                max(high + 1) OVER (
                    PARTITION BY run ORDER BY minute, is_steps ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS reached
            FROM
            (
                SELECT
                    m.run AS run, toDateTime64(0, 9) AS since, m.time AS minute, max(m.last_step) AS high, 1 AS is_steps
                FROM train_steps_1m AS m
                WHERE (m.run, m.name, m.rank, m.role, m.attempt) IN
                (
                    SELECT f.run, f.marker, f.rank, f.role, f.attempt
                    FROM train_reference AS f
                    WHERE f.run IN (SELECT run FROM train_incident_changes)
                )
                GROUP BY m.run, m.time
                UNION ALL
                SELECT run, moment, toStartOfMinute(moment), -1, 0
                FROM
                (
                    SELECT run, began AS moment FROM train_incident_changes
                    UNION DISTINCT
                    SELECT run, max(time)
                    FROM train_acks
                    WHERE state = 'succeeded' AND run IN (SELECT run FROM train_incident_changes)
                    GROUP BY run, command
                )
            )
        )
    )
    WHERE NOT is_steps
),
recovered AS
(
    SELECT
        m.run AS run, m.since AS since,
        greatest(any(m.reached), maxIf(s.step + 1, s.time <= m.since)) AS beyond,
        arrayReduce('minOrNull', arrayMap(
            x -> x.1, arrayFilter(x -> x.2 >= beyond, groupArrayIf((s.time, s.step), s.time > m.since))
        )) AS at
    FROM minutes AS m
    INNER JOIN
    (
        SELECT run, time, step, toStartOfMinute(time) AS minute
        FROM train_steps
        WHERE step >= 0 AND (run, name, rank, role, attempt) IN
        (
            SELECT f.run, f.marker, f.rank, f.role, f.attempt FROM train_reference AS f
        )
        AND (run, toStartOfMinute(time)) IN (SELECT run, minute FROM minutes)
    ) AS s ON s.run = m.run AND s.minute = m.minute
    GROUP BY m.run, m.since
)
SELECT
    t.run AS run, t.run_name AS run_name, t.attempt AS attempt, t.incident AS id, t.state AS state, t.rule AS rule,
    t.category AS category, t.severity AS severity, t.began AS began, t.ended AS ended, t.outcome AS outcome,
    if(t.silent IS NOT NULL, t.silent, (
        toUnixTimestamp64Nano(t.began)
        - toUnixTimestamp64Nano(arrayReduce('maxOrNull', arrayFilter(x -> x <= t.began, e.times)))
    ) / 1e9) AS detect,
    if(t.found IS NULL, NULL, greatest(0, (toUnixTimestamp64Nano(t.found) - toUnixTimestamp64Nano(t.began)) / 1e9)) AS diagnose,
    if(t.first_issued IS NULL, NULL, greatest(0, (toUnixTimestamp64Nano(t.first_issued) - toUnixTimestamp64Nano(t.began)) / 1e9)) AS act,
    (toUnixTimestamp64Nano(r.at) - toUnixTimestamp64Nano(t.began)) / 1e9 AS recover,
    t.lost_steps AS lost_steps, t.lost_seconds AS lost_seconds, t.gpu_seconds / 3600 AS gpu_hours,
    t.saves AS saves, t.saves_succeeded AS saves_succeeded, t.restarts AS restarts,
    t.restarts_succeeded AS restarts_succeeded
FROM troubles AS t
LEFT JOIN train_reference AS f ON f.run = t.run AND f.attempt = ifNull(t.of_attempt, t.attempt)
LEFT JOIN firsts AS e
    ON e.run = t.run AND e.name = f.marker AND e.rank = ifNull(t.of_rank, f.rank) AND e.attempt = f.attempt
    AND e.step = t.since_step
LEFT JOIN recovered AS r ON r.run = t.run AND r.since = t.begins_again;

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
