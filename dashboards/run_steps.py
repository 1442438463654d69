"""The charts of the *Run* dashboard over steps: this run, and the one it is compared with."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import trend

from dashboards.panels import by_step
from dashboards.zoom import zoomed

_POINTS: Final = 600
_POINTS_OF_SOME: Final = 1200
"""Where steps are chosen: the viewer asks for as many again beside those that it shows."""
CHOSEN_STEPS: Final = """splitByChar('-', ${steps:singlequote}) AS ends,
    toInt64OrZero(ends[1]) AS from_step,
    if(toInt64OrZero(ends[2]) > from_step, toInt64OrZero(ends[2]), 9223372036854775807) AS to_step"""
"""``100-500`` as two numbers; all steps where nothing is chosen."""
_BOTH: Final = "run IN (${run:singlequote}, ${compare:singlequote})"
_ATTEMPTS: Final = (
    "(run = ${compare:singlequote} OR $__conditionalAll(attempt IN (${attempt:singlequote}), $attempt))"
)
_RANKS: Final = "$__conditionalAll(rank IN (${rank:singlequote}), $rank)"
BOTH: Final = f"{_BOTH} AND {_ATTEMPTS} AND {_RANKS}"
"""The chosen run and the compared one."""


def of_both(names: str, *, where: str = BOTH, highest: bool = False) -> str:
    """``step`` and a column for each of the two runs; the chosen steps, whatever the time range is."""

    def of(run: str) -> str:
        its = f"x.run = ${{{run}:singlequote}}"
        if highest:
            return f"maxIf(x.high, {its})"
        return f"if(sumIf(x.count, {its}) = 0, NULL, sumIf(x.total, {its}) / sumIf(x.count, {its}))"

    width = f"""{CHOSEN_STEPS},
    (
        SELECT greatest(1, ceil(
            (least(max(w.last_step), to_step) + 1 - from_step)
            / if(${{steps:singlequote}} = '', {_POINTS}, {_POINTS_OF_SOME})
        ))::Int64
        FROM train_series AS w
        WHERE w.run IN (${{run:singlequote}}, ${{compare:singlequote}}) AND w.name IN ({names})
    ) AS width"""
    body = f"""
SELECT intDiv(x.step, width) * width AS step, {of("run")} AS `this run`, {of("compare")} AS `the other run`
FROM @samples AS x
WHERE x.step >= 0
GROUP BY step
ORDER BY step
"""
    return zoomed("train_steps", names, body, where=where, before=width, whole=True)


_WHOLE: Final = (
    " Whole runs, or the steps chosen above, whatever the time range is; the other run is chosen there too."
)


def loss() -> trend.Panel:
    """Training loss by step."""
    description = "Mean training loss over the chosen ranks by step, of this run and another."
    return by_step(51, "Loss by step", description + _WHOLE, "none", of_both("'loss'"), symlog=True)


def grad_norm() -> trend.Panel:
    """Gradient norm by step."""
    description = "Largest gradient norm over the chosen ranks by step, of this run and another."
    sql = of_both("'grad_norm'", highest=True)
    return by_step(52, "Gradient norm by step", description + _WHOLE, "none", sql, symlog=True)


def learning_rate() -> trend.Panel:
    """Learning rate by step."""
    description = "Learning rate by step, of this run and another."
    return by_step(53, "Learning rate by step", description + _WHOLE, "sci", of_both("'learning_rate'"))


def step_time() -> trend.Panel:
    """Step time by step."""
    description = "Mean step time over the chosen ranks by step, of this run and another."
    return by_step(
        54, "Step time by step", description + _WHOLE, "s", of_both("'step_time'"), bounds=(0, None)
    )


def evaluation() -> trend.Panel:
    """Loss on the evaluation set by step."""

    def of(run: str) -> str:
        its = f"s.run = ${{{run}:singlequote}}"
        return f"if(countIf({its}) = 0, NULL, avgIf(s.value, {its}))"

    sql = f"""
        WITH {CHOSEN_STEPS}
        SELECT s.step AS step, {of("run")} AS `this run`, {of("compare")} AS `the other run`
        FROM train_evals AS s
        WHERE {_BOTH} AND s.name = 'eval_loss' AND s.step BETWEEN from_step AND to_step AND {_ATTEMPTS}
        GROUP BY step
        ORDER BY step
        LIMIT 5000
    """
    description = "Loss on the evaluation set by step, of this run and another."
    return by_step(55, "Evaluation loss by step", description + _WHOLE, "none", sql)
