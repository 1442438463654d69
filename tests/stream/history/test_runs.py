"""The one look-up of a run by id or name, and those who use it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from stream import history
from stream.explain import errors as explain_errors
from stream.explain.history import find_run
from stream.history import runs
from stream.history.ledger import Query, Run
from stream.history.migrate import migrate
from stream.ledger.errors import NoRunError
from stream.ledger.runs import in_history
from tests.dashboards.story import insert, moment

NOW = float(int(time.time()))
ROWS = [("id-old", "twice", 900), ("id-new", "twice", 100), ("twice-2", "", 50), ("named-as", "id-old", 10)]


@pytest.fixture
def ask(database_url: str) -> Iterator[Run]:
    """Asks a database with four runs, of which one is called as another's id."""
    migrate(database_url)
    insert(database_url, "train_runs", [
        {"run": run, "run_name": name, "world_size": 2}
        | {"started": moment(NOW - ago), "last_time": moment(NOW)}
        for run, name, ago in ROWS
    ])  # fmt: skip
    with history.connect(database_url) as client:

        def asking(query: Query) -> list[dict[str, Any]]:
            return list(client.query(query.sql, parameters=dict(query.parameters)).named_results())

        asking.client = client  # type: ignore[attr-defined] # for those who want one
        yield asking


def test_an_id_goes_before_a_name_and_the_newest_of_a_name_is_meant(ask: Run) -> None:
    """For the commands, for explain, and by itself."""
    for wanted, meant in (("id-old", "id-old"), ("twice", "id-new"), ("twice-2", "twice-2")):
        row = runs.find(ask, wanted)
        assert row is not None
        assert row["run"] == in_history(ask, wanted).id == meant
        assert find_run(ask.client, wanted) == meant  # type: ignore[attr-defined]
    assert in_history(ask, "twice").ranks == (0, 1)


def test_a_run_that_is_not_there(ask: Run) -> None:
    """Each says it in its own words, with the same guess."""
    assert runs.find(ask, "twise") is None
    assert runs.names(ask)[:2] == ["named-as", "id-old"]
    with pytest.raises(NoRunError, match=r'no run has the id or name twise; did you mean "twice"\?'):
        in_history(ask, "twise")
    with pytest.raises(NoRunError, match=r"name zzzzz; `trainwarden runs list` lists them"):
        in_history(ask, "zzzzz")
    with pytest.raises(explain_errors.NoRunError, match=r'got "twise"; did you mean "twice"\?'):
        find_run(ask.client, "twise")  # type: ignore[attr-defined]
