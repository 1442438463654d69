-- train_goodput: where the wall time of each attempt went, in seconds, from the steps of its reference rank. Give it a
-- run: it reads all steps of one rank of each run that is asked for. train_goodput_runs: the same by run.
-- What each part means, and by which rules they are told apart, is in docs/goodput.md. They add up to wall.
-- Writer: none, these are views on what the tables of other files hold.

CREATE VIEW IF NOT EXISTS train_step_times {on_cluster}
AS SELECT
    run, attempt, at, step,
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
            s.run AS run, s.attempt AS attempt, toUnixTimestamp64Nano(s.time) AS at, s.step AS step,
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
-- One row for the begin and one for the end of each attempt, one for each step and for each standstill.
marks AS
(
    SELECT
        run, attempt, 0 AS place, 'began' AS kind, toUnixTimestamp64Nano(began) AS at,
        toUnixTimestamp64Nano(ended) AS until, toInt64(-1) AS took, toInt64(0) AS waited, 0 AS again, 0 AS same
    FROM train_attempts
    UNION ALL
    SELECT run, attempt, 2, 'ended', toUnixTimestamp64Nano(ended), 0, -1, 0, 0, 0
    FROM train_attempts
    UNION ALL
    SELECT run, attempt, 1, 'step', at, 0, took, waited, again, same
    FROM train_step_times
    UNION ALL
    SELECT
        run, attempt, 1, kind, toUnixTimestamp64Nano(began),
        if(ended IS NULL, toInt64(9e18), toUnixTimestamp64Nano(assumeNotNull(ended))), -1, 0, 0, 0
    FROM train_standstills
    WHERE rank = -1 OR (run, attempt, role, rank) IN (SELECT f.run, f.attempt, f.role, f.rank FROM train_reference AS f)
),
-- Each belongs to the gap between two steps in which it began.
placed AS
(
    SELECT
        *,
        max(if(kind = 'began', at, toInt64(0))) OVER so_far AS opens,
        max(if(kind = 'began', until, toInt64(0))) OVER so_far AS closes,
        countIf(kind = 'step') OVER before AS gap,
        maxIf(at, kind = 'step') OVER before AS step_before
    FROM marks
    WINDOW
        so_far AS (
            PARTITION BY run, attempt ORDER BY place, at, kind != 'step'
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ),
        before AS (
            PARTITION BY run, attempt ORDER BY place, at, kind != 'step'
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
),
gaps AS
(
    SELECT
        run, attempt, gap,
        any(closes) AS last,
        least(any(closes), greatest(any(opens), any(step_before))) AS start,
        maxIf(at, kind IN ('step', 'ended')) AS closed,
        countIf(kind = 'step') AS is_step,
        maxIf(p.took, kind = 'step') AS took,
        maxIf(p.waited, kind = 'step') AS waited,
        maxIf(p.again, kind = 'step') AS again,
        maxIf(p.same, kind = 'step') AS same,
        arraySort(x -> x.2, groupArrayIf(
            (indexOf(['hang', 'paused', 'checkpoint'], kind), at, until), kind IN ('hang', 'paused', 'checkpoint')
        )) AS stood
    FROM placed AS p
    GROUP BY run, attempt, gap
),
-- A step is the last part of its gap, as long as it says; what is before it is setup or idle.
lengths AS
(
    SELECT
        *,
        greatest(start, least(last, closed)) AS stop,
        multiIf(
            is_step = 0, toInt64(0), took >= 0, least(took, stop - start), gap = 0, toInt64(0), stop - start
        ) AS step_ns,
        stop - step_ns AS middle
    FROM gaps
),
parts AS
(
    SELECT
        run, attempt, is_step, again, same, gap, step_ns, waited,
        middle - start AS before_ns,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, middle)), done.2 + greatest(toInt64(0), least(x.3, middle) - greatest(done.1, x.2))), arrayFilter(x -> x.1 <= 1, stood), (start, toInt64(0))), 2) AS hang_1,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, middle)), done.2 + greatest(toInt64(0), least(x.3, middle) - greatest(done.1, x.2))), arrayFilter(x -> x.1 <= 2, stood), (start, toInt64(0))), 2) AS paused_1,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, middle)), done.2 + greatest(toInt64(0), least(x.3, middle) - greatest(done.1, x.2))), stood, (start, toInt64(0))), 2) AS stood_1,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, stop)), done.2 + greatest(toInt64(0), least(x.3, stop) - greatest(done.1, x.2))), arrayFilter(x -> x.1 <= 1, stood), (middle, toInt64(0))), 2) AS hang_2,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, stop)), done.2 + greatest(toInt64(0), least(x.3, stop) - greatest(done.1, x.2))), arrayFilter(x -> x.1 <= 2, stood), (middle, toInt64(0))), 2) AS paused_2,
        tupleElement(arrayFold((done, x) -> (greatest(done.1, least(x.3, stop)), done.2 + greatest(toInt64(0), least(x.3, stop) - greatest(done.1, x.2))), stood, (middle, toInt64(0))), 2) AS stood_2,
        least(waited, step_ns - stood_2) AS data_ns
    FROM lengths
),
summed AS
(
    SELECT
        run, attempt,
        sumIf(before_ns - paused_1, gap = 0) AS setup,
        sumIf(step_ns - stood_2 - data_ns, NOT again) AS productive,
        sumIf(step_ns - stood_2 - data_ns, again) AS recomputed,
        sum(data_ns) AS data_wait,
        sum(if(gap = 0, 0, stood_1 - paused_1) + stood_2 - paused_2) AS checkpoint,
        sum(hang_1 + hang_2) AS hang,
        sum(paused_1 - hang_1 + paused_2 - hang_2) AS paused,
        countIf(is_step AND NOT same) AS steps,
        countIf(is_step AND NOT same AND again) AS recomputed_steps
    FROM parts
    GROUP BY run, attempt
)
SELECT
    s.run AS run,
    a.run_name AS run_name,
    s.attempt AS attempt,
    a.began AS began,
    a.ended AS ended,
    wall_ns / 1e9 AS wall,
    s.setup / 1e9 AS setup,
    s.productive / 1e9 AS productive,
    s.recomputed / 1e9 AS recomputed,
    s.data_wait / 1e9 AS data_wait,
    s.checkpoint / 1e9 AS checkpoint,
    s.hang / 1e9 AS hang,
    s.paused / 1e9 AS paused,
    restart_ns / 1e9 AS restart,
    (wall_ns - s.setup - s.productive - s.recomputed - s.data_wait - s.checkpoint - s.hang - s.paused - restart_ns)
        / 1e9 AS idle,
    if(wall_ns > 0, s.productive / wall_ns, 0) AS goodput,
    s.steps AS steps,
    s.recomputed_steps AS recomputed_steps,
    a.gpus AS gpus,
    a.state AS state
FROM summed AS s
INNER JOIN
(
    SELECT
        *,
        toUnixTimestamp64Nano(coalesce(followed_by, ended)) - toUnixTimestamp64Nano(began) AS wall_ns,
        toUnixTimestamp64Nano(coalesce(followed_by, ended)) - toUnixTimestamp64Nano(ended) AS restart_ns
    FROM train_attempts
) AS a ON a.run = s.run AND a.attempt = s.attempt;

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
