"""Which run a person means: the one look-up by id or name, for whoever can ask ClickHouse."""

from __future__ import annotations

from typing import Final

from stream.history.ledger import Query, Row, Run

_FIND: Final = """
SELECT * FROM train_runs_latest WHERE run = {run:String} OR run_name = {run:String}
ORDER BY run = {run:String} DESC, started DESC LIMIT 1
"""
_NAMES: Final = "SELECT run, run_name FROM train_runs_latest ORDER BY started DESC LIMIT 200"


def find(ask: Run, wanted: str) -> Row | None:
    """The row of ``train_runs_latest``: an id goes before a name; of several runs of a name the newest."""
    return next(iter(ask(Query("run", _FIND, {"run": wanted}))), None)


def names(ask: Run) -> list[str]:
    """Ids and names of the newest runs, to compare a mistyped one with."""
    return [name for row in ask(Query("run", _NAMES)) for name in (row["run"], row["run_name"]) if name]
