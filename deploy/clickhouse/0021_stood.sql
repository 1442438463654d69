-- train_stood: the standstills that something told: diagnoses of a hang, pauses, checkpoints. train_standstills has those of
-- lost attempts too, as before.
-- train_goodput and train_goodput_rolled read train_stood and take lost attempts from train_attempts, which they read
-- anyway: ClickHouse plans a view once for each time it is named, and planning is most of what a small query takes.
-- Writer: none, these are views on what the tables of other files hold.

CREATE VIEW IF NOT EXISTS train_stood {on_cluster}
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

CREATE OR REPLACE VIEW train_standstills {on_cluster}
AS SELECT run, attempt, role, rank, kind, began, ended
FROM train_stood
UNION ALL
SELECT run, attempt, '' AS role, toInt32(-1) AS rank, 'hang' AS kind, alive AS began, toNullable(ended) AS ended
FROM train_attempts
WHERE lost;

CREATE OR REPLACE VIEW train_goodput {on_cluster}
AS WITH
-- Steps (kind 0) and standstills (hang 1, paused 2, checkpoint 3) of each attempt, at one time, the step comes first.
told AS
(
    SELECT
        run, attempt, anyIf((role, rank), kind = 0) AS who,
        arrayConcat(
            groupArrayIf((at, kind, until, took, waited, again, same), kind = 0),
            arrayMap(x -> x.3, arrayFilter(
                x -> x.2 = -1 OR (x.1, x.2) = who,
                groupArrayIf((role, rank, (at, kind, until, took, waited, again, same)), kind > 0)
            ))
        ) AS marks
    FROM
    (
        SELECT run, attempt, role, rank, at, 0 AS kind, step AS until, took, waited, again, same
        FROM train_step_times
        UNION ALL
        SELECT
            run, attempt, role, rank, toUnixTimestamp64Nano(began),
            indexOf(['hang', 'paused', 'checkpoint'], kind),
            if(ended IS NULL, toInt64(9e18), toUnixTimestamp64Nano(assumeNotNull(ended))), -1, 0, 0, 0
        FROM train_stood
    )
    GROUP BY run, attempt
),
-- Each gap ends with a step, the last one with the attempt, a standstill is of the gap in which it began.
attempts AS
(
    SELECT
        a.run AS run, a.attempt AS attempt,
        (a.run_name, a.began, a.ended, a.gpus, a.state) AS about,
        toUnixTimestamp64Nano(a.began) AS opens,
        toUnixTimestamp64Nano(a.ended) AS closes,
        toUnixTimestamp64Nano(coalesce(a.followed_by, a.ended)) AS next_opens,
        if(a.lost, [(toUnixTimestamp64Nano(a.alive), 1, closes, -1, 0, 0, 0)], []) AS hung,
        arrayReverseSplit(
            x -> x.2 = 0, arrayPushBack(arraySort(arrayConcat(t.marks, hung)), (closes, 4, 0, -1, 0, 0, 0))
        ) AS gaps,
        arrayMap(gap -> least(closes, greatest(opens, gap[-1].1)), gaps) AS stops
    FROM train_attempts AS a
    LEFT JOIN told AS t ON t.run = a.run AND t.attempt = a.attempt
),
-- A step is the last part of its gap, as long as it says, what is before it is setup or idle.
lengths AS
(
    SELECT
        run, attempt, about, opens, closes, next_opens, first, stop, start, arrayPopBack(gap) AS stood,
        gap[-1].2 = 0 AS is_step, gap[-1].5 AS waited, gap[-1].6 AS again, gap[-1].7 AS same,
        multiIf(
            NOT is_step, toInt64(0), gap[-1].4 >= 0, least(gap[-1].4, stop - start), first, toInt64(0), stop - start
        ) AS step_ns,
        stop - step_ns AS middle
    FROM attempts
    ARRAY JOIN
        gaps AS gap, stops AS stop, arrayPushFront(arrayPopBack(stops), opens) AS start,
        arrayMap(n -> n = 1, arrayEnumerate(gaps)) AS first
),
-- How long it stood before the step and in it: hanging, hanging or paused, in all.
parts AS
(
    SELECT
        *,
        arrayMap(
            cut -> toInt64(arrayReduce(
                'intervalLengthSumIf',
                arrayMap(x -> greatest(cut.2, least(cut.3, x.1)), stood),
                arrayMap(x -> greatest(cut.2, least(cut.3, x.3)), stood),
                arrayMap(x -> x.2 <= cut.1 AND x.1 < x.3, stood)
            )),
            if(empty(stood), [], [
                (1, start, middle), (2, start, middle), (3, start, middle),
                (1, middle, stop), (2, middle, stop), (3, middle, stop)
            ])
        ) AS st,
        least(waited, step_ns - st[6]) AS data_ns
    FROM lengths
),
summed AS
(
    SELECT
        run, attempt, any(about) AS a,
        any(next_opens) - any(opens) AS wall_ns,
        any(next_opens) - any(closes) AS restart_ns,
        sumIf(middle - start - st[2], first) AS setup,
        sumIf(step_ns - st[6] - data_ns, NOT again) AS productive,
        sumIf(step_ns - st[6] - data_ns, again) AS recomputed,
        sum(data_ns) AS data_wait,
        sum(if(first, 0, st[3] - st[2]) + st[6] - st[5]) AS checkpoint,
        sum(st[1] + st[4]) AS hang,
        sum(st[2] - st[1] + st[5] - st[4]) AS paused,
        countIf(is_step AND NOT same) AS steps,
        countIf(is_step AND NOT same AND again) AS recomputed_steps
    FROM parts
    GROUP BY run, attempt
)
SELECT
    s.run AS run,
    s.a.1 AS run_name,
    s.attempt AS attempt,
    s.a.2 AS began,
    s.a.3 AS ended,
    s.wall_ns / 1e9 AS wall,
    s.setup / 1e9 AS setup,
    s.productive / 1e9 AS productive,
    s.recomputed / 1e9 AS recomputed,
    s.data_wait / 1e9 AS data_wait,
    s.checkpoint / 1e9 AS checkpoint,
    s.hang / 1e9 AS hang,
    s.paused / 1e9 AS paused,
    s.restart_ns / 1e9 AS restart,
    (s.wall_ns - s.setup - s.productive - s.recomputed - s.data_wait - s.checkpoint - s.hang - s.paused - s.restart_ns)
        / 1e9 AS idle,
    if(s.wall_ns > 0, s.productive / s.wall_ns, 0) AS goodput,
    s.steps AS steps,
    s.recomputed_steps AS recomputed_steps,
    s.a.4 AS gpus,
    s.a.5 AS state
FROM summed AS s;

CREATE OR REPLACE VIEW train_goodput_rolled {on_cluster}
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
        FROM train_stood
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
                arrayMap(x -> x.3, arrayFilter(x -> x.2 = -1 OR (x.1, x.2) = s.who, t.stands)),
                if(a.lost, [(toUnixTimestamp64Nano(a.alive), 1, closes)], [])
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
