"""How often each rule fired, from the diagnoses in history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_OWN: Final = ("cleared", "quiet", "returned")
"""Reasons of a resolution that are the run's own doing, not an end of the attempt or a change of rules."""

_QUERY: Final = """
SELECT
    rule,
    uniqExact(run) AS runs,
    count() AS firings,
    countIf(reason = '') AS open,
    countIf(reason IN {own:Array(String)} AND commands = 0) AS by_itself,
    max(fired) AS newest
FROM
(
    SELECT
        id, any(rule) AS rule, any(run) AS run, minIf(time, state = 'firing') AS fired,
        anyIf(JSONExtractString(evidence, 'reason'), state = 'resolved') AS reason,
        any(sent.commands) AS commands
    FROM train_diagnoses FINAL
    LEFT JOIN
    (
        SELECT diagnosis, count() AS commands FROM train_commands FINAL GROUP BY diagnosis
    ) AS sent ON sent.diagnosis = train_diagnoses.id
    WHERE time >= now64(9) - toIntervalSecond({seconds:UInt64})
    GROUP BY id
    HAVING countIf(state = 'firing') > 0
)
GROUP BY rule
ORDER BY firings DESC, rule
"""


@dataclass(frozen=True)
class Rate:
    """One rule over a stretch of history.

    ``by_itself``: firings that ended on their own without any command sent. A false alarm is always among
    these, but so is trouble that healed; only labelled runs tell them apart (docs/backtest.md).
    """

    rule: str
    runs: int
    firings: int
    open: int
    by_itself: int
    newest: str
    per_day: float


def rates(client: Any, seconds: float) -> list[Rate]:
    """The rules that fired in the last ``seconds``, the most frequent first."""
    parameters = {"seconds": int(seconds), "own": list(_OWN)}
    rows = client.query(_QUERY, parameters=parameters).result_rows
    return [
        Rate(rule, runs, firings, still, alone, f"{newest:%Y-%m-%dT%H:%M:%SZ}", firings / (seconds / 86_400))
        for rule, runs, firings, still, alone, newest in rows
    ]
