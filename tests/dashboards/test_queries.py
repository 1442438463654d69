"""Every query of the dashboards runs on the real engine with the real schema, and finds what is there."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from stream import resources
from stream.web import answers, boards
from stream.web.macros import ALL
from stream.web.store import Store
from tests.dashboards.rig import RUN

BOARDS = boards.load(resources.path("dashboards"))
CASES = [(uid, panel, ref) for uid, board in BOARDS.items() for panel, ref in board.queries]


def _title(uid: str, panel: int) -> str:
    return next(str(found["title"]) for found in BOARDS[uid].json["panels"] if found["id"] == panel)


def _asked(attempt: str = ALL, rank: str = ALL) -> answers.Asked:
    now = time.time_ns() // 1_000_000
    return answers.Asked(now - 3_600_000, now + 60_000, {"run": [RUN], "attempt": [attempt], "rank": [rank]})


async def _panel(history: str, uid: str, panel: int, ref: str, asked: answers.Asked) -> dict[str, Any]:
    async with Store(history) as store:
        return await answers.panel_data(store, BOARDS[uid].query(panel, ref), asked, points=500)


def _count(frame: dict[str, Any]) -> int:
    if "times" in frame:
        return len(frame["times"])
    return len(frame["fields"][0]["values"])


@pytest.mark.parametrize(("uid", "panel", "ref"), CASES, ids=[f"{u}:{_title(u, p)}" for u, p, _ in CASES])
@pytest.mark.parametrize("chosen", [ALL, "0"])
def test_each_panel_finds_data(history: str, uid: str, panel: int, ref: str, chosen: str) -> None:
    """The query runs, for all attempts and ranks and for one, and gives at least one row."""
    frame = asyncio.run(_panel(history, uid, panel, ref, _asked(chosen, chosen)))
    assert _count(frame) > 0


@pytest.mark.parametrize(("uid", "panel", "ref"), CASES, ids=[f"{u}:{_title(u, p)}" for u, p, _ in CASES])
def test_each_panel_runs_on_an_empty_history(empty_history: str, uid: str, panel: int, ref: str) -> None:
    """Before the first run no query is an error."""
    asyncio.run(_panel(empty_history, uid, panel, ref, _asked()))


def _fields(history: str, uid: str, title: str) -> dict[str, list[Any]]:
    panel = next(
        found["id"]
        for found in BOARDS[uid].json["panels"]
        if found["title"] == title and found["type"] != "stat"
    )
    frame = asyncio.run(_panel(history, uid, panel, "A", _asked()))
    return {field["name"]: field["values"] for field in frame["fields"]}


def test_fleet_lists_the_runs(history: str) -> None:
    """One row a run, with state, step, loss, open diagnoses and commands."""
    runs = _fields(history, "trainwarden-fleet", "Runs")
    assert runs["run"] == ["run-a", "run-c", "run-b", "run-d"]
    assert runs["state"] == ["finished", "silent", "finished", "failed"]
    assert runs["step"] == [314, 149, 199, 89]
    assert runs["open diagnoses"] == [1, 0, 0, 0]
    assert runs["commands"] == [2, 0, 0, 0]
    assert all(1.5 < loss < 3 for loss in runs["loss"])


def test_commands_show_what_became_of_them(history: str) -> None:
    """The newest state of each command's ranks, and how long it took."""
    commands = _fields(history, "trainwarden-run", "Commands")
    assert commands["action"] == ["rollback", "save"]
    assert commands["outcome"] == ["succeeded", "succeeded"]
    assert commands["ran for"] == [0.012, 0.012]
    assert commands["at step"] == [220, 218]
    assert 0 < commands["answered after"][1] < 0.2


def test_diagnoses_show_their_newest_state(history: str) -> None:
    """A diagnosis that was resolved is one row that says so."""
    diagnoses = _fields(history, "trainwarden-run", "Diagnoses")
    assert diagnoses["rule"] == ["loss-not-finite", "gradient-explosion"]
    assert diagnoses["state"] == ["firing", "resolved"]
    assert diagnoses["then"] == ["rollback", "set, save"]


def test_the_loss_curve_shows_what_is_not_a_number(history: str) -> None:
    """A bucket with nothing but NaN is NaN; others are the mean of the finite values."""
    frame = asyncio.run(_panel(history, "trainwarden-run", 11, "A", _whole_run(history)))
    (line,) = frame["series"]
    assert "NaN" in line["values"]
    assert max(value for value in line["values"] if isinstance(value, float)) > 1000


def _whole_run(history: str) -> answers.Asked:
    async def span() -> dict[str, Any] | None:
        async with Store(history) as store:
            return await answers.span(store, RUN)

    found = asyncio.run(span())
    assert found is not None
    return answers.Asked(
        int(found["started"]), int(found["last"]) + 1, {"run": [RUN], "attempt": [ALL], "rank": [ALL]}
    )


def test_annotations_are_found(history: str) -> None:
    """Diagnoses and commands come with time, text and colour."""

    async def marks() -> list[dict[str, Any]]:
        async with Store(history) as store:
            return await answers.marks(store, BOARDS["trainwarden-run"], _asked())

    diagnoses, commands = asyncio.run(marks())
    assert [event["tags"] for event in diagnoses["events"]] == ["warning", "critical"]
    assert [event["text"].split()[0] for event in commands["events"]] == ["save", "rollback"]
    assert diagnoses["color"] == "red"
    assert 11 in diagnoses["panels"]
