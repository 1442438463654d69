-- train_goodput: where the wall time of each attempt went, in seconds, from the steps of its reference rank. Give it a
-- run: it reads all steps of one rank of each run that is asked for. train_goodput_runs: the same by run.
-- What each part means, and by which rules they are told apart, is in docs/goodput.md. They add up to wall.
-- Writer: none, these are views on what the tables of other files hold.

CREATE VIEW IF NOT EXISTS train_step_times {on_cluster}
AS SELECT
    run, attempt, role, rank, at, step,
    if(timed, toInt64(least(step_s, 1e9) * 1e9), toInt64(-1)) AS took,
    toInt64(least(data_s, 1e9) * 1e9) AS waited,
    step >= 0 AND (step + 1 < reached OR (step + 1 = reached AND (before_at = 0 OR before != step))) AS again,
    before_at != 0 AND before = step AS same
FROM
(
    SELECT
        *,
        max(step + 1) OVER (
            PARTITION BY run ORDER BY attempt, at, step ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS reached,
        lagInFrame(step) OVER (
            PARTITION BY run, attempt ORDER BY at, step ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        ) AS before,
        lagInFrame(at) OVER (
            PARTITION BY run, attempt ORDER BY at, step ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        ) AS before_at
    FROM
    (
        SELECT
            s.run AS run, s.attempt AS attempt, any(s.role) AS role, any(s.rank) AS rank,
            toUnixTimestamp64Nano(s.time) AS at, s.step AS step,
            countIf(s.name = 'step_time' AND isFinite(s.value) AND s.value >= 0) > 0 AS timed,
            maxIf(s.value, s.name = 'step_time' AND isFinite(s.value) AND s.value >= 0) AS step_s,
            maxIf(s.value, s.name = 'data_time' AND isFinite(s.value) AND s.value >= 0) AS data_s
        FROM train_steps AS s
        WHERE (s.run, s.name, s.rank, s.role, s.attempt) IN
        (
            SELECT f.run, arrayJoin(['step_time', 'data_time', f.marker]), f.rank, f.role, f.attempt
            FROM train_reference AS f
        )
        GROUP BY s.run, s.attempt, s.time, s.step
    )
);

CREATE VIEW IF NOT EXISTS train_goodput {on_cluster}
AS WITH
-- Steps (kind 0) and standstills (hang 1, paused 2, checkpoint 3) of each attempt, at one time, the step comes first.
told AS
(
    SELECT
        run, attempt, anyIf((role, rank), kind = 0) AS who,
        arraySort(arrayConcat(
            groupArrayIf((at, kind, until, took, waited, again, same), kind = 0),
            arrayMap(x -> x.3, arrayFilter(
                x -> x.2 = -1 OR (x.1, x.2) = who,
                groupArrayIf((role, rank, (at, kind, until, took, waited, again, same)), kind > 0)
            ))
        )) AS marks
    FROM
    (
        SELECT run, attempt, role, rank, at, 0 AS kind, step AS until, took, waited, again, same
        FROM train_step_times
        UNION ALL
        SELECT
            run, attempt, role, rank, toUnixTimestamp64Nano(began),
            indexOf(['hang', 'paused', 'checkpoint'], kind),
            if(ended IS NULL, toInt64(9e18), toUnixTimestamp64Nano(assumeNotNull(ended))), -1, 0, 0, 0
        FROM train_standstills
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
        arrayReverseSplit(x -> x.2 = 0, arrayPushBack(t.marks, (closes, 4, 0, -1, 0, 0, 0))) AS gaps,
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

CREATE VIEW IF NOT EXISTS train_goodput_runs {on_cluster}
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
FROM train_goodput AS g
GROUP BY g.run;
