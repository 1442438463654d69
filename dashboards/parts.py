"""Pieces of SQL that several panels share: what was chosen, what became of commands."""

from __future__ import annotations

from typing import Final

RUN: Final = "run = ${run:singlequote}"
"""The chosen run."""
RUNS: Final = "$__conditionalAll(run IN (${run:singlequote}), $run)"
"""The chosen runs, where many may be chosen, or all."""

ATTEMPTS: Final = "$__conditionalAll(attempt IN (${attempt:singlequote}), $attempt)"
RANKS: Final = "$__conditionalAll(rank IN (${rank:singlequote}), $rank)"
ROLES: Final = "$__conditionalAll(role IN (${role:singlequote}), $role)"
NODES: Final = "$__conditionalAll(node IN (${node:singlequote}), $node)"

CHOSEN: Final = f"{RUN} AND {ATTEMPTS} AND {RANKS}"
"""The chosen run, attempts and ranks."""

# A run whose newest sign of life is older than this is shown as silent (DESIGN 4: node lost after 120 s).
SILENT_AFTER_S: Final = 120
STATE: Final = (
    f"if(state IN ('running', 'unknown') AND last_time < now64(3) - INTERVAL {SILENT_AFTER_S} SECOND, "
    "'silent', state)"
)
"""State of a run, in ``train_runs_latest``."""

OVER: Final = "state IN ('resolved', 'failed', 'ended')"
"""Of an incident: nothing changes any more."""


def of(alias: str, condition: str) -> str:
    """The condition on columns of this alias, where the result has columns of the same names."""
    for name in ("run", "attempt", "rank", "role", "node"):
        for sign in ("=", "IN"):
            condition = condition.replace(f"{name} {sign} ", f"{alias}.{name} {sign} ")
    return condition


def outcomes(condition: str) -> str:
    """Common table expressions that end in ``outcome``: one row for each answered command.

    Its state is the one all ranks ended in, or ``mixed``.
    """
    return f"""answers AS (
                SELECT
                    command, rank, argMax(state, (time, src_offset)) AS final,
                    argMax(reason, (time, src_offset)) AS why, argMax(step, (time, src_offset)) AS at_step,
                    max(duration) AS took, max(time) AS last
                FROM train_acks
                WHERE {condition}
                GROUP BY command, rank, executor
            ),
            outcome AS (
                SELECT
                    command, if(uniqExact(final) = 1, any(final), 'mixed') AS state,
                    uniqExact(rank) AS ranks, any(why) AS reason, max(at_step) AS step,
                    max(took) AS duration, max(last) AS answered
                FROM answers
                GROUP BY command
            )"""


def ended_by_action(condition: str) -> str:
    """How many commands of each action ended how: ``condition`` on ``train_commands AS c``."""
    return f"""
        WITH
            sent AS (
                SELECT c.id AS id, any(c.action) AS action
                FROM train_commands AS c
                WHERE {condition}
                GROUP BY c.id
            ),
            {outcomes("command IN (SELECT id FROM sent)")}
        SELECT
            sent.action AS action,
            toFloat64(countIf(outcome.state = 'succeeded')) AS succeeded,
            toFloat64(countIf(outcome.state IN ('rejected', 'failed', 'aborted', 'expired'))) AS failed,
            toFloat64(countIf(outcome.state IN ('received', 'scheduled', 'running', 'mixed'))) AS `under way`,
            toFloat64(countIf(empty(outcome.state))) AS `no answer`
        FROM sent
        LEFT JOIN outcome ON outcome.command = sent.id
        GROUP BY action
        ORDER BY action
    """
