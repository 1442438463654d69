"""Questions to the views of goodput and recovery, for whoever can ask ClickHouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stream.goodput.parts import Goodput, Spent
from stream.history.ledger import Query, Row, Run

_BY_ATTEMPT: Final = "SELECT * FROM train_goodput WHERE run = {run:String} ORDER BY attempt"
_FLEET: Final = "SELECT * FROM train_goodput_fleet WHERE run IN {runs:Array(String)}"
_ATTEMPTS: Final = """
SELECT
    attempt, state, ranks, world_size, last_step, gpus, toUnixTimestamp64Nano(began) AS began_ns,
    toUnixTimestamp64Nano(ended) AS ended_ns
FROM train_attempts WHERE run = {run:String} ORDER BY attempt
"""
_RECOVERY: Final = """
SELECT * EXCEPT (run, run_name, began, ended), toUnixTimestamp64Nano(began) AS began_ns
FROM train_recovery WHERE run = {run:String} ORDER BY began
"""
_SAVES: Final = "SELECT * EXCEPT (run) FROM train_recovery_runs WHERE run = {run:String}"


def goodput(ask: Run, run: str) -> Goodput | None:
    """Where the wall time of the run of this id went; None where nothing is known of it."""
    rows = {row["attempt"]: Spent.of(row) for row in ask(Query("goodput", _BY_ATTEMPT, {"run": run}))}
    return Goodput(Spent.sum(list(rows.values())), rows) if rows else None


def fleet(ask: Run, runs: Sequence[str]) -> dict[str, Spent]:
    """The same of many runs, from roll-ups."""
    return {row["run"]: Spent.of(row) for row in ask(Query("goodput", _FLEET, {"runs": list(runs)}))}


def attempts(ask: Run, run: str) -> list[Row]:
    """The attempts of a run, the oldest first; times in Unix nanoseconds."""
    return list(ask(Query("attempts", _ATTEMPTS, {"run": run})))


def recovery(ask: Run, run: str) -> list[Row]:
    """Its incidents: seconds to ``detect``, ``diagnose``, ``act`` and ``recover``, None where it did not."""
    return list(ask(Query("recovery", _RECOVERY, {"run": run})))


def saves(ask: Run, run: str) -> Row:
    """How many saves and restarts there were, and how many succeeded."""
    found = next(iter(ask(Query("recovery", _SAVES, {"run": run}))), None)
    return found or dict.fromkeys(("saves", "saves_succeeded", "restarts", "restarts_succeeded"), 0)
