"""The *RL* dashboard: rewards, the policy's distance and freedom, lengths, value function, by role."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard, stat, table, timeseries, trend

from dashboards import common, marks, variables
from dashboards.common import RL_UID
from dashboards.layout import Line, Section, curves, lay_out
from dashboards.panels import by_step, curve, number, rows
from dashboards.parts import CHOSEN, ROLES, of
from dashboards.run_steps import BOTH, of_both
from dashboards.zoom import over_time, zoomed

_OF: Final = f"{CHOSEN} AND {ROLES}"
_BOTH: Final = f"{BOTH} AND (run = ${{compare:singlequote}} OR {ROLES})"
_WHOLE: Final = " Whole runs, whatever the time range is; choose the other one above."


def build() -> dashboard.Dashboard:
    """The dashboard."""
    board = common.new_dashboard(
        RL_UID, "Reinforcement learning: reward, KL, entropy, lengths.", since="now-6h"
    )
    for variable in (
        variables.run(), variables.compare(), variables.attempt(), variables.role(), variables.rank(),
    ):  # fmt: skip
        board.with_variable(variable)
    board.with_variable(variables.steps())
    sections = _sections()
    for annotation in marks.of_run(curves(sections)):
        board.annotation(annotation)
    lay_out(board, sections)
    return board


def _sections() -> list[Section]:
    head = [
        newest(1, "Reward", "reward_mean"), newest(2, "KL", "kl"), newest(3, "Entropy", "entropy"),
        newest(4, "Clip fraction", "clip_fraction"), newest(5, "Value loss", "value_loss"),
        newest(6, "Response length", "response_length"),
    ]  # fmt: skip
    return [
        Section("", [Line(3, head)]),
        Section(
            "Reward",
            [Line(9, [reward(), reward_by_step()]), Line(7, [signal(), success(), evaluation()])],
        ),
        Section(
            "Policy",
            [Line(8, [kl(), entropy(), clip()]), Line(8, [kl_by_step(), entropy_by_step(), lengths()])],
        ),
        Section(
            "Value function and time",
            [Line(8, [value_loss(), explained(), advantage()]), Line(8, [times(), roles()], (10, 14))],
        ),
        Section("What was found", [Line(7, [trouble()])]),
    ]


def newest(panel_id: int, title: str, name: str) -> stat.Panel:
    """The newest value of one name."""
    last = "argMaxIf(x.total / x.count, x.time, x.count > 0)"
    body = f"SELECT if(sum(x.count) = 0, NULL, {last}) AS value\nFROM @samples AS x"
    description = f"The newest {name} in the time range."
    return number(
        panel_id, title, description, "none", zoomed("train_steps", f"'{name}'", body, where=_OF), decimals=3
    )


def _lines(panel_id: int, title: str, description: str, unit: str, *names: str, symlog: bool = False,
           bounds: tuple[float | None, float | None] = (None, None)) -> timeseries.Panel:  # fmt: skip
    quoted = ", ".join(f"'{name}'" for name in names)
    series = "concat(x.name, if(x.role IN ('', 'trainer'), '', concat(', ', x.role)))"
    sql = over_time("train_steps", quoted, series, where=_OF)
    return curve(panel_id, title, description, unit, sql, symlog=symlog, bounds=bounds)


def reward() -> timeseries.Panel:
    """Reward."""
    names = ("reward_mean", "reward_max", "reward_min", "reward_std")
    description = "Reward of the batch: mean, highest, lowest, and its standard deviation."
    return _lines(10, "Reward", description, "none", *names)


def reward_by_step() -> trend.Panel:
    """Reward by step, against another run."""
    description = "Mean reward by step, of this run and another." + _WHOLE
    return by_step(11, "Reward by step", description, "none", of_both("'reward_mean'", where=_BOTH))


def signal() -> timeseries.Panel:
    """How much of the batch teaches anything."""
    names = ("reward_zero_share", "reward_zero_std_share", "truncated_share")
    description = (
        "Share of samples without reward, of groups with equal rewards, and of responses that were cut off."
    )
    return _lines(12, "Samples without signal", description, "percentunit", *names, bounds=(0, 1))


def success() -> timeseries.Panel:
    """Success and preference."""
    names = ("success_rate", "preference_accuracy")
    description = "Share of episodes that reach their goal, and of pairs whose chosen answer scores higher."
    return _lines(13, "Success", description, "percentunit", *names, bounds=(0, 1))


def evaluation() -> timeseries.Panel:
    """Reward of evaluations."""
    sql = f"""
        SELECT $__timeInterval_ms(s.time) AS time, s.name AS series, avg(s.value) AS value
        FROM train_evals AS s
        WHERE {of("s", CHOSEN)} AND s.name IN ('eval_reward', 'eval_accuracy') AND $__timeFilter_ms(s.time)
        GROUP BY time, series
        ORDER BY time
    """
    description = "Mean reward and accuracy of evaluations."
    return curve(14, "Evaluation", description, "none", sql)


def kl() -> timeseries.Panel:
    """Distance from the reference policy."""
    description = "KL divergence from the reference policy. Logarithmic beyond 1."
    return _lines(20, "KL", description, "none", "kl", symlog=True)


def entropy() -> timeseries.Panel:
    """How free the policy is."""
    return _lines(21, "Entropy", "Mean entropy of the policy.", "none", "entropy")


def clip() -> timeseries.Panel:
    """How much PPO clips."""
    description = "Share of samples that PPO clips."
    return _lines(22, "Clip fraction", description, "percentunit", "clip_fraction", bounds=(0, 1))


def kl_by_step() -> trend.Panel:
    """KL by step, against another run."""
    description = "KL divergence by step, of this run and another." + _WHOLE
    return by_step(23, "KL by step", description, "none", of_both("'kl'", where=_BOTH), symlog=True)


def entropy_by_step() -> trend.Panel:
    """Entropy by step, against another run."""
    description = "Entropy by step, of this run and another." + _WHOLE
    return by_step(24, "Entropy by step", description, "none", of_both("'entropy'", where=_BOTH))


def lengths() -> timeseries.Panel:
    """Lengths of responses and episodes."""
    description = "Mean tokens of responses, and mean length of episodes."
    names = ("response_length", "episode_length")
    return _lines(25, "Lengths", description, "short", *names, bounds=(0, None))


def value_loss() -> timeseries.Panel:
    """Loss of the value function."""
    description = "Loss of the value function. Logarithmic beyond 1."
    return _lines(30, "Value loss", description, "none", "value_loss", symlog=True)


def explained() -> timeseries.Panel:
    """How good the value function is."""
    description = "Share of the returns' variance that the value function explains; below 0 it misleads."
    return _lines(
        31, "Explained variance", description, "percentunit", "explained_variance", bounds=(None, 1)
    )


def advantage() -> timeseries.Panel:
    """Advantages, returns, margins."""
    names = ("advantage_mean", "return_mean", "preference_margin")
    description = "Mean advantage, mean return, and margin of preferred answers."
    return _lines(32, "Advantage and return", description, "none", *names)


def times() -> timeseries.Panel:
    """Where the time of a step goes."""
    sql = over_time("train_steps", "'rollout_time', 'update_time', 'data_time'", "x.name", where=_OF)
    description = "Mean time of a step spent generating, updating the policy, and waiting for data."
    return curve(33, "Generation and update", description, "s", sql, stacked=True, bounds=(0, None))


def roles() -> table.Panel:
    """What each role does."""
    sql = f"""
        SELECT
            role, uniqExact(rank) AS ranks, max(t.attempt) AS attempt, nullIf(max(last_step), -1) AS step,
            min(started) AS started, max(last_time) AS `last seen`
        FROM train_runs AS t
        WHERE {of("t", _OF)}
        GROUP BY role
        ORDER BY role
        LIMIT 100
    """
    return rows(
        34,
        "Roles",
        "Roles of the chosen run's processes, and what was heard of them last.",
        sql,
        units={"started": "dateTimeAsIso", "last seen": "dateTimeFromNow"},
    )


def trouble() -> table.Panel:
    """What the rules about RL found."""
    sql = """
        SELECT
            min(d.time) AS began, argMax(d.state, (d.time, d.src_offset)) AS state,
            any(d.severity) AS severity, any(d.rule) AS rule, argMin(d.step, d.time) AS step,
            argMax(d.summary, (d.time, d.src_offset)) AS summary
        FROM train_diagnoses AS d
        WHERE d.run = ${run:singlequote} AND $__timeFilter_ms(d.time)
            AND (startsWith(d.category, 'kl_') OR startsWith(d.category, 'reward_')
                OR startsWith(d.category, 'entropy_') OR d.category IN ('nan_loss', 'divergence'))
        GROUP BY d.id
        ORDER BY began DESC
        LIMIT 100
    """
    return rows(
        40,
        "Diagnoses about learning",
        "What rules found about rewards, KL, entropy and losses of this run, newest first.",
        sql,
        units={"began": "dateTimeAsIso"},
        colors={"state": common.COLOR_OF_DIAGNOSIS, "severity": common.COLOR_OF_SEVERITY},
    )
