"""Pieces of SQL that several panels share."""

from __future__ import annotations

from typing import Final

RUN: Final = "run = ${run:singlequote}"
"""The chosen run."""

ATTEMPTS: Final = "$__conditionalAll(attempt IN (${attempt:singlequote}), $attempt)"
RANKS: Final = "$__conditionalAll(rank IN (${rank:singlequote}), $rank)"

CHOSEN: Final = f"{RUN} AND {ATTEMPTS} AND {RANKS}"
"""The chosen run, attempts and ranks."""


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
