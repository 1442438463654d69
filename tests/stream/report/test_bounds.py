"""A report of a large run is a small file, and charts are reduced where the data are."""

from __future__ import annotations

import time

import pytest

from stream.report import about_run, pages
from stream.report.ask import asking
from stream.report.ruletext import Shelf
from tests.dashboards.rig import new_history
from tests.dashboards.story import Story, insert, moment, select
from tests.stream.report.rig import Told, log_line

pytestmark = pytest.mark.slow
RANKS, LINES = 4096, 10_000


def _large(url: str, values: int) -> str:
    """The id of a run with so many losses of one rank, on many ranks, with many log lines and diagnoses."""
    now = float(int(time.time())) - 100
    told = Told(Story("large", name="large", now=now, steps=240))
    told.tell(url)
    common = "'large' AS run, toUInt16(0) AS attempt, 'host-1' AS node, 'trainer' AS role"
    columns = "(run, attempt, node, role, rank, time, step, name, value, emitter, seq)"
    select(url, f"""
        INSERT INTO train_steps {columns} SELECT {common}, toInt32(0), toDateTime64({moment(now)}, 9)
        + toIntervalNanosecond(number * {10_000_000_000 // values}), 1000 + number, 'loss',
        if(number % 1000 = 7, nan, 2 + sin(number / 900)), 'e', number FROM numbers({values})""")  # fmt: skip
    select(url, f"""
        INSERT INTO train_steps {columns} SELECT {common}, toInt32(number % {RANKS}),
        toDateTime64({moment(now)}, 9), intDiv(number, {RANKS}), 'loss', 2, toString(number % {RANKS}), number
        FROM numbers({RANKS * 4})""")  # fmt: skip
    select(url, f"""
        INSERT INTO train_runs
        (run, attempt, role, rank, run_name, node, world_size, started, last_time, last_step)
        SELECT 'large', 0, 'trainer', number, 'large', concat('host-', toString(intDiv(number, 8))), {RANKS},
        toDateTime64({moment(now)}, 9), toDateTime64({moment(now + 10)}, 9), 5
        FROM numbers({RANKS})""")  # fmt: skip
    insert(url, "otel_logs", [log_line(told.story, f"line {n} " + "x" * 200, n) for n in range(LINES)])
    return "large"


def _report(clickhouse_url: str, shelf: Shelf, values: int) -> None:
    url = new_history(clickhouse_url)
    run = _large(url, values)
    with asking(url) as ask:
        facts = about_run.facts(ask, run, shelf)
    loss = facts.curve("loss")
    assert loss is not None
    print(f"{loss.values:,} values, {RANKS:,} ranks, {LINES:,} lines")
    assert loss.values > values
    assert 500 < len(loss.points) <= 1000
    assert loss.not_finite >= values // 1000
    assert facts.hardware.ranks == RANKS
    for form in ("html", "md"):
        assert len(pages.run_page(facts, form).encode()) < 1_000_000


def test_a_large_run(clickhouse_url: str, shelf: Shelf) -> None:
    """A hundred thousand values of one series."""
    _report(clickhouse_url, shelf, 100_000)


@pytest.mark.nightly
def test_a_very_large_run(clickhouse_url: str, shelf: Shelf) -> None:
    """Five million values of one series."""
    _report(clickhouse_url, shelf, 5_000_000)
