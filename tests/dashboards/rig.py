"""Fixtures: a database with the real schema and a few stories in it, and a viewer in front of it."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream.history.migrate import migrate
from tests.dashboards.full_story import tell_all
from tests.dashboards.story import Story
from tests.fixtures import Child, free_port, http_request

RUN, WARM_UP, SILENT, BROKEN = "run-a", "run-b", "run-c", "run-d"


def new_history(clickhouse_url: str, *stories: Story) -> str:
    """URL of a database of its own, with the schema and these runs."""
    url = f"{clickhouse_url}/viewer_{uuid.uuid4().hex[:8]}"
    migrate(url)
    for story in stories:
        story.tell(url)
    return url


@pytest.fixture(scope="session")
def empty_history(clickhouse_url: str) -> str:
    """URL of a database of its own, with the schema and no rows."""
    return new_history(clickhouse_url)


@pytest.fixture(scope="session")
def history(clickhouse_url: str) -> str:
    """URL of a database of its own, with four runs: one that was saved, a healthy, a silent, a failed one."""
    return new_history(
        clickhouse_url,
        Story(RUN, ended_ago_s=5),
        Story(WARM_UP, name="warm-up", ended_ago_s=1200, fault=False, steps=200),
        Story(SILENT, name="long-silence", ended_ago_s=900, fault=False, steps=150, state="started"),
        Story(BROKEN, name="", ended_ago_s=3000, fault=False, steps=90, state="failed"),
    )


@pytest.fixture(scope="session")
def full_history(clickhouse_url: str) -> str:
    """URL of a database of its own, in which every panel of every dashboard has something to show."""
    story = Story(RUN, ended_ago_s=5, now=time.time())
    url = new_history(clickhouse_url, story, Story(WARM_UP, name="warm-up", ended_ago_s=1200, fault=False))
    tell_all(url, story)
    return url


def start_viewer(
    log: Path, clickhouse: str, host: str = "127.0.0.1", **settings: object
) -> tuple[Child, str]:
    """A viewer process of one's own that answers /healthz: the child and its URL; ``settings`` as of run."""
    arguments = {"clickhouse": clickhouse, "host": host, "port": free_port(), **settings}
    child = Child([sys.executable, "-c", f"from stream import web; web.run(**{arguments!r})"], log)
    url = f"http://127.0.0.1:{arguments['port']}"
    child.wait_until(lambda: _answers(url), f"{url}/healthz")
    return child, url


@contextmanager
def ending(child: Child) -> Iterator[None]:
    """Stops the child at the end."""
    try:
        yield
    finally:
        child.stop()


def _answers(url: str) -> bool:
    try:
        return http_request("GET", f"{url}/healthz").status == 200
    except OSError:
        return False


@pytest.fixture(scope="session")
def viewer(history: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a viewer of the history."""
    child, url = start_viewer(tmp_path_factory.mktemp("viewer") / "viewer.log", history)
    try:
        yield url
    finally:
        child.stop()
