"""A database with a run that was saved, a healthy one, an empty one and a hostile one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.report import about_incident, about_run, recovering
from stream.report.ask import Ask, asking
from stream.report.facts import IncidentFacts, RunFacts
from stream.report.ruletext import Shelf
from tests.cli.shell import Shell
from tests.dashboards.rig import new_history
from tests.dashboards.story import Story, insert
from tests.stream.report.rig import HOSTILE, Told, empty_run, log_line

NOW = float(int(time.time())) - 60
SAVED = Told(Story("report-a", name="char-gpt", now=NOW))
CALM = Story("report-b", name="calm", now=NOW, ended_ago_s=600, fault=False, seed=8)
BAD = Told(Story("report-x", name=HOSTILE, now=NOW, ended_ago_s=30), HOSTILE, rule=f"rule{HOSTILE}")


@pytest.fixture(scope="session")
def reported(clickhouse_url: str) -> str:
    """Its URL."""
    url = new_history(clickhouse_url, CALM)
    SAVED.tell(url)
    BAD.tell(url)
    insert(url, "train_runs", [empty_run("report-empty", NOW)])
    bodies = [HOSTILE, "m" * 1_000_000, *(f"line {n}" for n in range(300)), "m" * 1_000_000, HOSTILE]
    insert(url, "otel_logs", [log_line(BAD.story, body, n) for n, body in enumerate(bodies)])
    return url


@pytest.fixture
def ask(reported: str) -> Iterator[Ask]:
    with asking(reported) as found:
        yield found


@pytest.fixture(scope="session")
def shelf() -> Shelf:
    """The shipped rules."""
    return Shelf.of_files(None)


def _run(url: str, run: str, shelf: Shelf) -> RunFacts:
    with asking(url) as found:
        return about_run.facts(found, run, shelf)


def _incident(url: str, wanted: str, shelf: Shelf) -> IncidentFacts:
    with asking(url) as found:
        record = about_incident.find(found, wanted)
        return about_incident.facts(found, record, shelf, recovering.of_run(found, record["run"]))


@pytest.fixture(scope="session")
def saved_run(reported: str, shelf: Shelf) -> RunFacts:
    """The run that was saved."""
    return _run(reported, "report-a", shelf)


@pytest.fixture(scope="session")
def saved_incident(reported: str, shelf: Shelf) -> IncidentFacts:
    """Its incident."""
    return _incident(reported, SAVED.id, shelf)


@pytest.fixture(scope="session")
def bad_run(reported: str, shelf: Shelf) -> RunFacts:
    """The hostile run."""
    return _run(reported, BAD.story.run, shelf)


@pytest.fixture(scope="session")
def bad_incident(reported: str, shelf: Shelf) -> IncidentFacts:
    """Its incident."""
    return _incident(reported, BAD.id, shelf)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)
