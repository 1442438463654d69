"""Where wall time went, as the views say it: stories of known parts, and random ones against plain Python."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import pytest

from stream import history
from stream.goodput import Spent
from stream.report.ask import asking
from stream.report.curves import speaker
from tests.stream.goodput import random_runs
from tests.stream.goodput.reference import PARTS, parts_of
from tests.stream.goodput.rows import Attempt, Rows, S

RANDOM = 40
BASE = (int(time.time()) - 86_400) * S
ROWS = Rows()


def ask(url: str, sql: str) -> list[dict[str, Any]]:
    """The answer by name."""
    with history.connect(url) as client:
        return [dict(row) for row in client.query(sql).named_results()]


@pytest.fixture(scope="module")
def url(goodput_history: str) -> str:
    """The database, with all the stories of this file."""
    rows = Rows()
    for seed in range(RANDOM):
        random_runs.tell(rows, f"random-{seed:02}", seed, BASE)
    for story in (_known, _no_step_time, _no_lifecycle, _running, _another_rank):
        story(rows)
    rows.tell(goodput_history)
    ROWS.of.update(rows.of)
    return goodput_history


def _known(rows: Rows) -> None:
    """A run that is killed and started again; every second of it has its place."""
    one = Attempt(rows, "known", BASE, BASE + 60 * S, 0, "started")
    one.gpus(8)
    # 10 s of setup, then a step a second, of which 0.1 s are waiting for data.
    for step in range(20):
        one.step(BASE + (10 + step) * S, step, {"data_time": 0.1} | ({"step_time": 1.0} if step else {}))
    # A save that blocks for 2 s although it goes on for 30, then the last step.
    one.span("checkpoint.save", BASE + 29 * S, 30 * S, "save")
    one.span("checkpoint.stage", BASE + 29 * S, 2 * S, "stage", "save")
    one.step(BASE + 32 * S, 20, {"step_time": 3.0, "data_time": 0.1})
    # It is held for 4 s, and then hangs: that is seen after 5 s, and it is killed at 55 s.
    one.pause(BASE + 33 * S, BASE + 37 * S)
    one.hang(BASE + 45 * S, None, silent=5.0)
    one.seen("supervisor", -1, BASE, BASE + 58 * S, "exited")
    # The second attempt goes on from step 15, and logs only its own, shorter step times.
    two = Attempt(rows, "known", BASE + 70 * S, BASE + 100 * S, 1, "finished")
    two.gpus(8)
    for place in range(20):
        two.step(BASE + (76 + place) * S, 15 + place, {"step_time": 0.75})


def _no_step_time(rows: Rows) -> None:
    one = Attempt(rows, "gaps", BASE, BASE + 30 * S)
    for place in range(10):
        one.step(BASE + (5 + 2 * place) * S, place, {"data_time": 0.5})


def _no_lifecycle(rows: Rows) -> None:
    one = Attempt(rows, "silent", BASE, BASE + 20 * S, state="")
    one.step(BASE + 10 * S, 0)
    one.step(BASE + 20 * S, 1, {"step_time": 10.0})


def _running(rows: Rows) -> None:
    one = Attempt(rows, "running", BASE, BASE + 10 * S, state="started")
    one.step(BASE + 4 * S, 0)
    one.step(BASE + 8 * S, 1, {"step_time": 4.0})


def _another_rank(rows: Rows) -> None:
    """Rollouts on rank 0, a trainer on ranks 4 and 5: rank 4 speaks for the run."""
    one = Attempt(rows, "roles", BASE, BASE + 12 * S, role="trainer", rank=4)
    one.seen("rollout", 0, BASE, BASE + 12 * S, "finished")
    for step in range(5):
        one.step(BASE + (2 + step) * S, step, {"step_time": 1.0})
        one.step(BASE + (2 + step) * S, step, {"step_time": 0.2}, rank=5)
        one.step(BASE + (2 + step) * S, step, {"step_time": 0.01}, role="rollout", rank=0)


def seconds(row: dict[str, Any]) -> dict[str, float]:
    """The parts that are not nothing."""
    return {part: round(row[part], 6) for part in PARTS if round(row[part], 6)}


def test_every_second_of_a_known_story_has_its_place(url: str) -> None:
    """Setup, steps, waiting, a save's blocking part, a pause, a hang from its silence on, a restart."""
    first, second = ask(url, "SELECT * FROM train_goodput WHERE run = 'known' ORDER BY attempt")
    assert seconds(first) == {
        "setup": 10.0, "productive": 18.0, "data_wait": 2.0, "checkpoint": 2.0, "paused": 4.0, "hang": 20.0,
        "idle": 4.0, "restart": 10.0,
    }  # fmt: skip
    assert (first["wall"], first["steps"], first["recomputed_steps"], first["gpus"]) == (70.0, 21, 0, 8)
    assert (first["state"], second["state"]) == ("lost", "finished")
    assert seconds(second) == {
        "setup": 5.25, "recomputed": 6 * 0.75, "productive": 14 * 0.75, "idle": 19 * 0.25 + 5.0,
    }  # fmt: skip
    assert (second["wall"], second["steps"], second["recomputed_steps"]) == (30.0, 20, 6)
    assert second["goodput"] == pytest.approx(14 * 0.75 / 30)


def test_a_run_is_the_sum_of_its_attempts(url: str) -> None:
    """By run: the same parts over all attempts, and its share of all wall time."""
    attempts = ask(url, "SELECT * FROM train_goodput WHERE run = 'known' ORDER BY attempt")
    (run,) = ask(url, "SELECT * FROM train_goodput_runs WHERE run = 'known'")
    summed = asdict(Spent.sum([Spent.of(row) for row in attempts]))
    assert asdict(Spent.of(run)) == pytest.approx(summed)
    for part in (*PARTS, "wall", "steps", "recomputed_steps"):
        assert run[part] == pytest.approx(sum(row[part] for row in attempts))
    assert run["goodput"] == pytest.approx(run["productive"] / 100.0)
    assert (run["attempts"], run["state"], run["run_name"], run["gpus"]) == (2, "finished", "story", 8)


def test_standstills_are_what_was_told_and_the_end_of_a_lost_attempt(url: str) -> None:
    """Of the known story: a staged checkpoint, a pause, the hang that was seen, and the loss."""
    rows = ask(
        url,
        "SELECT kind, toUnixTimestamp64Nano(began) AS began, toUnixTimestamp64Nano(ended) AS ended"
        " FROM train_standstills WHERE run = 'known' AND attempt = 0 ORDER BY began, ended",
    )
    told = [
        (row["kind"], (row["began"] - BASE) / S, row["ended"] and (row["ended"] - BASE) / S) for row in rows
    ]
    assert told == [("checkpoint", 29, 31), ("paused", 33, 37), ("hang", 40, None), ("hang", 60, 60)]


def test_a_run_without_step_times_is_told_by_its_gaps(url: str) -> None:
    """The time from one step to the next is the step's."""
    (row,) = ask(url, "SELECT * FROM train_goodput WHERE run = 'gaps'")
    assert seconds(row) == {"setup": 5.0, "productive": 13.5, "data_wait": 4.5, "idle": 7.0}


def test_runs_that_say_little(url: str) -> None:
    """Without a lifecycle, and while it still runs, wall time goes up to the last sign."""
    (silent,) = ask(url, "SELECT * FROM train_goodput WHERE run = 'silent'")
    assert (silent["state"], seconds(silent)) == ("unknown", {"setup": 10.0, "productive": 10.0})
    assert silent["gpus"] is None
    (running,) = ask(url, "SELECT * FROM train_goodput WHERE run = 'running'")
    assert (running["state"], seconds(running)) == ("running", {"setup": 4.0, "productive": 4.0, "idle": 2.0})


def test_the_lowest_rank_that_trains_speaks_for_the_run(url: str) -> None:
    """Of several roles the trainer's steps count, of its ranks the lowest; a report's curves are of it."""
    (row,) = ask(url, "SELECT * FROM train_goodput WHERE run = 'roles'")
    assert seconds(row) == {"setup": 1.0, "productive": 5.0, "idle": 6.0}
    assert row["steps"] == 5
    (told,) = ask(url, "SELECT role, rank FROM train_reference WHERE run = 'roles'")
    with asking(url) as questions:
        shown = speaker(questions, "roles")
    assert shown is not None
    assert told == {"role": shown.role, "rank": shown.rank} == {"role": "trainer", "rank": 4}


@pytest.mark.parametrize("seed", range(RANDOM))
def test_random_runs_are_told_as_plain_python_tells_them(url: str, told: dict[str, Any], seed: int) -> None:
    """Every part of every attempt, within a microsecond; they add up, and none is negative."""
    run = f"random-{seed:02}"
    expected = parts_of(ROWS, run)
    assert set(told[run]) == set(expected)
    for number, wanted in expected.items():
        row = told[run][number]
        assert {part: row[part] for part in PARTS} == pytest.approx(
            {part: wanted[part] / 1e9 for part in PARTS}, abs=1e-6
        ), number
        assert (row["steps"], row["recomputed_steps"]) == (wanted["steps"], wanted["recomputed_steps"])
        assert row["wall"] == pytest.approx(wanted["wall"] / 1e9, abs=1e-6)
        assert sum(row[part] for part in PARTS) == pytest.approx(row["wall"], abs=1e-6)
        assert min(row[part] for part in PARTS) >= 0


def test_random_runs_have_every_part(url: str, told: dict[str, Any]) -> None:
    """Being equal to plain Python means something: each part occurs in several of them."""
    rows = [row for attempts in told.values() for row in attempts.values()]
    for part in (*PARTS, "recomputed_steps"):
        assert sum(row[part] > 0 for row in rows) > 8, part


@pytest.fixture(scope="module")
def told(url: str) -> dict[str, dict[int, dict[str, Any]]]:
    """All random runs as the view tells them."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in ask(url, "SELECT * FROM train_goodput WHERE startsWith(run, 'random-')"):
        found.setdefault(row["run"], {})[row["attempt"]] = row
    return found
