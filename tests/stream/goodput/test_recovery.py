"""How long incidents took to be seen, diagnosed, acted on and recovered from, and what they cost."""

from __future__ import annotations

import json
import random
import time
from datetime import datetime, timezone
from typing import Any

import pytest

from stream import history
from tests.stream.goodput import test_fleet
from tests.stream.goodput.rows import Attempt, Row, Rows, S, by_run

BASE = (int(time.time()) - 86_400) * S


def when(ns: int) -> str:
    """As messages say it."""
    return datetime.fromtimestamp(ns / S, timezone.utc).isoformat().replace("+00:00", "Z")


def incident(rows: Rows, run: str, identity: str, began: int, **changes: Any) -> None:
    """An incident as it stands, after an older version of it."""
    cause = {"rule": "train-stalled", "began": when(began), "evidence": {}} | changes.pop("cause", {})
    row: Row = {
        "id": identity, "seq": 2, "run": run, "run_name": "story", "state": "resolved", "time": began,
        "began": began, "rule": cause["rule"], "category": "hang", "severity": "critical", "outcome": "quiet",
        "cause": json.dumps(cause), "lost_steps": 0, "lost_seconds": 0.0, "gpu_seconds": None,
    }  # fmt: skip
    rows.of["train_incident_changes"] += [{**row, "seq": 1, "state": "open"}, row | changes]


def command(
    rows: Rows, run: str, identity: str, about: str, action: str, at: int, answers: dict[str, int]
) -> None:
    """A command of an incident, and what became of it."""
    rows.of["train_decisions"].append({
        "id": f"d-{identity}", "decision": "sent", "run": run, "time": at, "incident": about,
        "action": action, "command": identity,
    })  # fmt: skip
    rows.of["train_commands"].append(
        {"id": identity, "run": run, "action": action, "issued": at, "expires": at + S}
    )
    for state, moment in answers.items():
        rows.of["train_acks"].append({
            "command": identity, "run": run, "attempt": 0, "rank": 0, "executor": "emitter", "state": state,
            "time": moment,
        })  # fmt: skip


@pytest.fixture(scope="module")
def url(goodput_history: str) -> str:
    """A run that is rolled back, one that is restarted, one that never comes back."""
    rows = Rows()
    _rolled_back(rows)
    _restarted(rows)
    _never(rows)
    _told(rows)
    _told_by_chance(rows)
    rows.tell(goodput_history)
    return goodput_history


def _rolled_back(rows: Rows) -> None:
    """Steps 0 to 29, a second each; NaN at 20, found to be of the loss at 22, rolled back to 15 at 30."""
    one = Attempt(rows, "back", BASE, BASE + 60 * S)
    for place in range(30):
        one.step(BASE + place * S, place)
    for place in range(30):
        one.step(BASE + (30 + place) * S, 15 + place)
    for place, code in enumerate(("Ok", "Ok", "Error")):
        one.span("checkpoint.save", BASE + place * S, 1000, f"save-{place}")
        rows.of["otel_traces"][-1]["StatusCode"] = code
    cause = {"rule": "loss-not-finite", "began": when(BASE + 22 * S), "evidence": {"since_step": 17}}
    incident(
        rows, "back", "i-back", BASE + 20 * S, cause=cause, category="nan_loss", lost_steps=15,
        lost_seconds=15.0, gpu_seconds=7200.0,
    )  # fmt: skip
    command(rows, "back", "c-save", "i-back", "save", BASE + 24 * S, {"succeeded": BASE + 25 * S})
    command(rows, "back", "c-more", "i-back", "save", BASE + 24 * S, {"failed": BASE + 25 * S})
    command(rows, "back", "c-back", "i-back", "rollback", BASE + 26 * S, {"succeeded": BASE + 29 * S + 1})


def _restarted(rows: Rows) -> None:
    """It stands from 10 s on, that is seen at 40 s, and the next attempt goes on at 70 s from step 5."""
    one = Attempt(rows, "again", BASE, BASE + 50 * S, 0, "killed")
    two = Attempt(rows, "again", BASE + 60 * S, BASE + 100 * S, 1, "finished")
    for place in range(11):
        one.step(BASE + place * S, place)
    for place in range(20):
        two.step(BASE + (70 + place) * S, 5 + place)
    incident(rows, "again", "i-again", BASE + 40 * S, cause={"evidence": {"silent": 30.0}})
    command(rows, "again", "c-again", "i-again", "restart", BASE + 41 * S, {"succeeded": BASE + 49 * S})


def _never(rows: Rows) -> None:
    one = Attempt(rows, "never", BASE, BASE + 50 * S, 0, "started")
    one.step(BASE, 0)
    incident(rows, "never", "i-never", BASE + 40 * S, state="open", cause={"evidence": {"silent": 30.0}})


def _told(rows: Rows) -> None:
    """A log line says it; and two ranks, of which the second saw its loss rise from step 3 on."""
    Attempt(rows, "line", BASE, BASE + 50 * S, 0, "started").step(BASE, 0)
    incident(rows, "line", "i-line", BASE + 40 * S, cause={"rule": "cuda-oom"})
    for rank, behind in ((0, 0), (1, 5)):
        one = Attempt(rows, "pair", BASE, BASE + 50 * S, 0, "started", rank=rank)
        for place in range(20):
            one.step(BASE + (place + behind) * S, place)
    cause = {"rule": "loss-spike", "attempt": 0, "rank": 1, "evidence": {"since_step": 3, "late_s": 7.0}}
    incident(rows, "pair", "i-pair", BASE + 20 * S, cause=cause)


GROUND = Rows()
MOMENTS: dict[str, int] = {}


def _told_by_chance(rows: Rows) -> None:
    """Runs that roll back, hang and restart for minutes, and incidents at any time of them."""
    chance = random.Random(11)
    for seed in range(6):
        run = f"ground-{seed}"
        test_fleet.tell(rows, run, seed)
        steps = by_run(rows.of["train_steps"], run)
        for place in range(12):
            near = chance.choice(steps)["time"] + chance.choice([0, 0, 1, -1, chance.randrange(-90, 30) * S])
            MOMENTS[f"{run}-{place}"] = near
            incident(rows, run, f"{run}-{place}", near)
    GROUND.of.update(rows.of)


def _first_new_step(identity: str, began: int) -> float | None:
    """Seconds from then to the first step above all before it, in plain Python."""
    steps = [
        (row["time"], row["step"])
        for row in by_run(GROUND.of["train_steps"], identity.rpartition("-")[0])
        if row["name"] == "loss"
    ]
    reached = max((step for at, step in steps if at <= began), default=-1)
    later = [at for at, step in steps if at > began and step > reached]
    return (min(later) - began) / 1e9 if later else None


def ask(url: str, view: str, run: str) -> dict[str, Any]:
    """The one row of this run."""
    with history.connect(url) as client:
        (row,) = client.query(f"SELECT * FROM {view} WHERE run = '{run}'").named_results()
    return dict(row)


def figures(row: dict[str, Any]) -> list[float | None]:
    """Seconds to detect, diagnose, act and recover."""
    return [row[name] for name in ("detect", "diagnose", "act", "recover")]


def test_a_rollback_is_recovered_from_when_new_ground_is_reached(url: str) -> None:
    """Steps that go on before it, and those that are made again after it, are no recovery."""
    row = ask(url, "train_recovery", "back")
    # Step 29 was the highest when it was rolled back; step 30 is made at 45 s.
    assert figures(row) == [3.0, 2.0, 4.0, 25.0]
    assert (row["id"], row["rule"], row["category"], row["state"], row["outcome"]) == (
        "i-back", "loss-not-finite", "nan_loss", "resolved", "quiet",
    )  # fmt: skip
    assert (row["lost_steps"], row["lost_seconds"], row["gpu_hours"]) == (15, 15.0, 2.0)
    assert (row["saves"], row["saves_succeeded"], row["restarts"], row["restarts_succeeded"]) == (2, 1, 1, 1)


def test_a_restart_is_recovered_from_by_the_next_attempt(url: str) -> None:
    """Silence is detected as late as it lasted; step 11 of the second attempt is the first new one."""
    row = ask(url, "train_recovery", "again")
    assert figures(row) == [30.0, 0.0, 1.0, 36.0]
    assert row["gpu_hours"] is None


def test_what_was_not_acted_on_and_never_recovered_has_no_figures(url: str) -> None:
    """They are NULL, not zero."""
    row = ask(url, "train_recovery", "never")
    assert figures(row) == [30.0, 0.0, None, None]
    assert (row["state"], row["saves"], row["restarts"]) == ("open", 0, 0)


def test_any_incident_is_recovered_from_when_plain_python_says_so(url: str) -> None:
    """The minutes that are looked at are the right ones, wherever in a run an incident began."""
    with history.connect(url) as client:
        query = "SELECT id, recover FROM train_recovery WHERE startsWith(run, 'ground-')"
        found = {row["id"]: row["recover"] for row in client.query(query).named_results()}
    assert set(found) == set(MOMENTS)
    for identity, began in MOMENTS.items():
        expected = _first_new_step(identity, began)
        assert found[identity] == (None if expected is None else pytest.approx(expected, abs=1e-6)), identity
    waits = [seconds for seconds in found.values() if seconds is not None]
    assert sum(seconds > 60 for seconds in waits) > 5
    assert sum(seconds < 60 for seconds in waits) > 20


def test_few_steps_of_a_long_run_are_read(url: str) -> None:
    """Of 300,000 steps those of the minutes around the end of a trouble, and the roll-up by the minute."""
    rows = Rows()
    Attempt(rows, "vast", BASE, BASE + 300_000 * S // 10, 0, "finished")
    incident(rows, "vast", "i-vast", BASE + 10_000 * S)
    rows.tell(url)
    with history.connect(url) as client:
        client.command(
            f"""INSERT INTO train_steps (run, attempt, rank, role, time, step, name, value)
            SELECT 'vast', 0, 0, 'trainer', fromUnixTimestamp64Nano(toInt64({BASE} + number * {S // 10})),
                number - 3000 * (number > 100000), 'loss', 1
            FROM numbers(300000)"""
        )
        answer = client.query("SELECT recover FROM train_recovery WHERE run = 'vast'")
        mine = int(answer.summary["read_rows"])
        others = int(client.query("SELECT recover FROM train_recovery WHERE run = ''").summary["read_rows"])
    assert answer.result_rows == [(300.1,)]
    # Two minutes of 600 steps, each in one or two granules of 8192; 500 minutes; looked for, and read.
    assert mine - others < 2 * 4 * 8192


def test_the_time_to_detect_begins_with_the_first_step_that_matched(url: str) -> None:
    """On the rank that the diagnosis is about; of a rule that looked at no step it is not known."""
    assert figures(ask(url, "train_recovery", "pair"))[:2] == [12.0, 0.0]
    assert figures(ask(url, "train_recovery", "line"))[:2] == [None, 0.0]


def test_saves_and_restarts_of_a_run(url: str) -> None:
    """How many there were, and how many did what they should."""
    back, again = (ask(url, "train_recovery_runs", run) for run in ("back", "again"))
    assert [back[name] for name in ("saves", "saves_succeeded", "restarts")] == [3, 2, 0]
    assert [again[name] for name in ("saves", "restarts", "restarts_succeeded")] == [0, 1, 1]
