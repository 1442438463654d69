"""Goodput of many runs at once, from roll-ups: how far it may be from single steps, and what it reads."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from stream import history
from tests.stream.goodput.reference import PARTS
from tests.stream.goodput.rows import MS, Attempt, Rows, S

RUNS = 8
BASE = (int(time.time()) - 86_400) * S
SLOW = 10.0
"""Seconds: of a roll-up's bucket."""


MINE = "startsWith(run, 'fleet-')"
MANY_RUNS = 60
MANY = f"""
INSERT INTO train_steps (run, attempt, rank, role, time, step, name, value)
SELECT
    'many-' || leftPad(toString(run), 2, '0'), 0, rank, 'trainer',
    fromUnixTimestamp64Nano(toInt64({BASE} + step * {S})), step, name, 1
FROM (SELECT number AS run FROM numbers({MANY_RUNS})) AS runs
CROSS JOIN (SELECT number AS step FROM numbers(1000)) AS steps
CROSS JOIN (SELECT arrayJoin(['loss', 'step_time', 'lr']) AS name) AS names
CROSS JOIN (SELECT toInt32(number) AS rank FROM numbers(2)) AS ranks
"""
SEEN = f"""
INSERT INTO train_runs (run, attempt, role, rank, started, last_time)
SELECT
    'many-' || leftPad(toString(number), 2, '0'), 0, 'trainer', 0,
    fromUnixTimestamp64Nano(toInt64({BASE})), fromUnixTimestamp64Nano(toInt64({BASE} + 1000 * {S}))
FROM numbers({MANY_RUNS})
"""


def tell(rows: Rows, run: str, seed: int) -> int:
    """A run as they are: steps of about a second, saves, rollbacks, hangs, restarts; how many standstills."""
    chance = random.Random(seed)
    at, step, stood = BASE, 0, 0
    for number in range(chance.choice([1, 2, 3])):
        begin, own = at, chance.random() < 0.5
        at += chance.randrange(10_000, 60_000) * MS
        steps: list[tuple[int, int, dict[str, float]]] = []
        standing = []
        for place in range(chance.randrange(200, 500)):
            took = chance.randrange(600, 1_400) * MS
            gap = 0
            if chance.random() < 0.02:
                gap = chance.randrange(2_000, 90_000) * MS
                standing.append((chance.choice(["hang", "pause", "save"]), at, gap))
            at += took + gap
            values = {"step_time": (took if own else took + gap) / 1e9, "data_time": 0.07} if place else {}
            steps.append((at, step, values))
            step = max(0, step - 30) if chance.random() < 0.01 else step + 1
        last = number == 2
        one = Attempt(rows, run, begin, at + 2 * S, number, "finished" if last else "failed")
        for moment, number_of, values in steps:
            one.step(moment, number_of, values)
        for place, (kind, start, length) in enumerate(standing):
            if kind == "hang":
                one.hang(start + MS, start + length)
            elif kind == "pause":
                one.pause(start + MS, start + length)
            else:
                one.span("checkpoint.save", start + MS, length - MS, f"{number}-{place}")
        stood += len(standing)
        at += 2 * S + chance.randrange(0, 120_000) * MS
        step = max(0, step - chance.randrange(0, 60))
    return stood


def told(url: str, view: str, where: str = "1") -> tuple[dict[str, dict[str, Any]], int]:
    """Rows by run, and how many rows ClickHouse read for them."""
    with history.connect(url) as client:
        answer = client.query(f"SELECT * FROM {view} WHERE {where}")
        return {row["run"]: dict(row) for row in answer.named_results()}, int(answer.summary["read_rows"])


@pytest.fixture(scope="module")
def runs() -> tuple[Rows, dict[str, int]]:
    """The stories and how often each stood still."""
    rows = Rows()
    return rows, {f"fleet-{seed}": tell(rows, f"fleet-{seed}", seed) for seed in range(RUNS)}


@pytest.fixture(scope="module")
def url(goodput_history: str, runs: tuple[Rows, dict[str, int]]) -> str:
    """A database with these runs."""
    runs[0].tell(goodput_history)
    return goodput_history


def test_roll_ups_say_about_what_single_steps_say(url: str, runs: tuple[Rows, dict[str, int]]) -> None:
    """Each part within ten seconds for each standstill and two steps for each attempt; they add up."""
    exact, _ = told(url, "train_goodput_runs", MINE)
    rolled, _ = told(url, "train_goodput_fleet", MINE)
    assert set(exact) == set(rolled) == set(runs[1])
    for run, stood in runs[1].items():
        one, other = exact[run], rolled[run]
        slack = SLOW * stood + 3.0 * one["attempts"]
        for part in PARTS:
            assert other[part] == pytest.approx(one[part], abs=slack), (run, part)
        assert other["goodput"] == pytest.approx(one["goodput"], abs=0.02), run
        assert sum(other[part] for part in PARTS) == pytest.approx(other["wall"], abs=1e-3)
        assert min(other[part] for part in PARTS) >= 0
        assert other["wall"] == pytest.approx(one["wall"])
        assert other["wall"] > 100
        assert other["steps"] == one["steps"]
        assert other["recomputed_steps"] == pytest.approx(one["recomputed_steps"], abs=0.02 * one["steps"])
        for column in ("run_name", "attempts", "state", "gpus", "began", "ended"):
            assert other[column] == one[column]


def test_each_attempt_by_roll_ups(url: str, runs: tuple[Rows, dict[str, int]]) -> None:
    """The same columns as from single steps, of the same attempts; the parts of each add up."""
    with history.connect(url) as client:
        exact, rolled = (
            {
                (row["run"], row["attempt"]): row
                for row in client.query(f"SELECT * FROM {view} WHERE {MINE}").named_results()
            }
            for view in ("train_goodput", "train_goodput_rolled")
        )
    assert len(exact) > RUNS
    assert set(exact) == set(rolled)
    for place, one in exact.items():
        other = rolled[place]
        assert list(one) == list(other)
        assert sum(other[part] for part in PARTS) == pytest.approx(other["wall"], abs=1e-3)
        slack = SLOW * runs[1][place[0]] + 3.0
        assert {part: other[part] for part in PARTS} == pytest.approx(
            {part: one[part] for part in PARTS}, abs=slack
        )
        for column in ("wall", "steps", "state", "gpus", "began", "ended", "run_name"):
            assert other[column] == one[column], (place, column)


def test_what_is_told_of_the_stories_is_not_nothing(url: str) -> None:
    """Every part occurs, so that being equal means something."""
    exact, _ = told(url, "train_goodput_runs", MINE)
    for part in PARTS:
        assert max(row[part] for row in exact.values()) > 1, part
    assert max(row["recomputed_steps"] for row in exact.values()) > 10


@pytest.fixture(scope="module")
def many(goodput_history: str) -> str:
    """The history with a table of many runs."""
    with history.connect(goodput_history) as client:
        client.command(MANY)
        client.command(SEEN)
    return goodput_history


def test_one_run_reads_the_rows_of_one_run(many: str) -> None:
    """On a table of many runs, the run that is asked for reaches the tables by their key."""
    with history.connect(many) as client:
        count = "SELECT count() FROM train_steps WHERE startsWith(run, 'many-')"
        steps = client.query(count).result_rows[0][0]
    own = steps / MANY_RUNS
    views = ("train_goodput", "train_goodput_rolled", "train_goodput_runs", "train_goodput_fleet")
    for view in (*views, "train_recovery"):
        found, read = told(many, view, "run = 'many-07'")
        assert set(found) == ({"many-07"} if view != "train_recovery" else set())
        # Granules hold 8192 rows; a run's series are read whole, and what is left over of their granules.
        assert read < 3 * own + 6 * 8192 < steps / 4, view


def test_a_fleet_reads_no_single_step(many: str) -> None:
    """Its rows come from roll-ups and from what is rare."""
    with history.connect(many) as client:
        plan = client.query("EXPLAIN SELECT * FROM train_goodput_fleet").result_rows
    assert not [line for (line,) in plan if "train_steps)" in line]
    assert [line for (line,) in plan if "train_steps_10s)" in line]
