"""Every query of the dashboards runs on the real engine with the real schema, and finds what is there."""

from __future__ import annotations

import re
import time

import pytest

from stream.web.boards import TIME_SERIES
from stream.web.macros import ALL, Context, expand
from stream.web.store import StoreError
from tests.dashboards import asking
from tests.dashboards.asking import BOARDS, CASES, Asked, Case, case
from tests.dashboards.rig import RUN, WARM_UP
from tests.dashboards.story import select

CHOICES = {
    "run": [RUN], "compare": [WARM_UP], "attempt": [ALL], "rank": [ALL], "role": [ALL], "node": [ALL],
    "part": [ALL],
}  # fmt: skip
ONE_OF_EACH = CHOICES | {
    "attempt": ["0"], "rank": ["0", "1"], "role": ["trainer"], "node": ["host-1", "host-2"],
    "part": ["trainwarden-loop", "trainwarden-history", "trainwarden-gateway", "trainwarden-clickhouse"],
}  # fmt: skip


def _asked(history: str, choices: dict[str, list[str]] = CHOICES) -> Asked:
    """The hour up to the end of the history, which may have been made a while ago."""
    (ends,) = asking.columns(history, "SELECT toUnixTimestamp64Milli(max(last_time)) FROM train_runs")
    now = ends.values[0] or time.time_ns() // 1_000_000
    return Asked(now - 3_600_000, now + 60_000, choices)


@pytest.mark.parametrize("one", CASES, ids=str)
def test_each_panel_finds_data(full_history: str, one: Case) -> None:
    """The query runs, for all of what can be chosen, and gives at least one value.

    Rows of a time series come in order of time: the plugin turns no others into lines.
    """
    answer = asking.columns(full_history, one.sql(_asked(full_history)))
    assert any(value not in (None, "") for column in answer for value in column.values)
    if one.form == TIME_SERIES:
        assert [column.name for column in answer] == ["time", "series", "value"]
        assert answer[0].values == sorted(answer[0].values)


def test_a_column_that_is_not_there_fails(full_history: str) -> None:
    """What every panel is asked above can fail: a column that the schema does not have is an error."""
    sql = case("run", "Last step").sql(_asked(full_history))
    assert asking.columns(full_history, sql)
    with pytest.raises(StoreError, match="last_stepp"):
        asking.columns(full_history, sql.replace("last_step", "last_stepp"))


@pytest.mark.parametrize("uid", BOARDS)
def test_each_panel_finds_data_of_what_is_chosen(full_history: str, uid: str) -> None:
    """With one of everything chosen instead of All, no panel is empty either."""
    cases = [one for one in CASES if one.uid == uid]
    asked = _asked(full_history, ONE_OF_EACH)
    empty = [str(one) for one in cases if not asking.values(asking.frame(full_history, one, asked))]
    assert cases
    assert empty == []


@pytest.mark.parametrize("uid", BOARDS)
def test_each_panel_runs_on_an_empty_history(empty_history: str, uid: str) -> None:
    """Before the first run no query is an error."""
    for one in CASES:
        if one.uid == uid:
            asking.frame(empty_history, one, _asked(empty_history, CHOICES | {"run": [""], "compare": ["-"]}))


@pytest.mark.parametrize("uid", BOARDS)
def test_each_variable_has_choices(full_history: str, uid: str) -> None:
    """The query of every variable finds values, given what is chosen before it."""
    now = _asked(full_history)
    for variable in BOARDS[uid].variables:
        if variable.kind == "textbox":
            continue
        context = Context(now.from_ms, now.to_ms, 1000, now.variables)
        found = asking.columns(full_history, expand(variable.sql, context))
        assert found[0].values, variable.name


@pytest.mark.parametrize("uid", sorted(set(BOARDS) - {"trainwarden-fleet", "trainwarden-pipeline"}))
def test_each_annotation_finds_marks(full_history: str, uid: str) -> None:
    """Diagnoses and commands come with time, text, tags and title."""
    now = _asked(full_history)
    assert [mark.name for mark in BOARDS[uid].annotations] == ["Diagnoses", "Commands"]
    for mark in BOARDS[uid].annotations:
        found = asking.columns(full_history, expand(mark.sql, Context(now.from_ms, now.to_ms, 1000, CHOICES)))
        assert [column.name for column in found] == ["time", "text", "tags", "title"]
        assert len(found[0].values) >= 2


def test_fleet_lists_the_runs(history: str) -> None:
    """One row a run, those in trouble first, with state, step, loss, open diagnoses and commands."""
    runs = asking.table(history, case("fleet", "Runs in trouble first"), _asked(history))
    assert runs["run"] == ["run-c", "run-d", "run-a", "run-b"]
    assert runs["state"] == ["silent", "failed", "finished", "finished"]
    assert runs["step"] == [149, 89, 314, 199]
    assert runs["open diagnoses"] == [0, 0, 1, 0]
    assert runs["commands"] == [0, 0, 2, 0]
    assert all(1.5 < loss < 3 for loss in runs["loss"])


def test_fleet_shows_the_goodput_of_each_run(history: str) -> None:
    """Beside its name, as the view has it; not in the long table, which would wait for it."""
    bars = asking.columns(history, case("fleet", "Wall time by run").sql(_asked(history)))
    label = "concat(if(empty(run_name), run, run_name), ' ', toString(round(100 * goodput, 1)), ' %')"
    (found,) = asking.columns(history, f"SELECT {label} AS name FROM train_goodput_fleet ORDER BY wall DESC")
    assert bars[0].values == found.values
    assert "train_goodput" not in case("fleet", "Runs in trouble first").sql(_asked(history))


def test_commands_show_what_became_of_them(history: str) -> None:
    """The newest state of each command's ranks, and how long it took."""
    commands = asking.table(history, case("run", "Commands", kind="table"), _asked(history))
    assert commands["action"] == ["rollback", "save"]
    assert commands["outcome"] == ["succeeded", "succeeded"]
    assert commands["ran for"] == [0.012, 0.012]
    assert commands["at step"] == [220, 218]
    assert 0 < commands["answered after"][1] < 0.2


def test_diagnoses_show_their_newest_state(history: str) -> None:
    """A diagnosis that was resolved is one row that says so."""
    diagnoses = asking.table(history, case("run", "Diagnoses", kind="table"), _asked(history))
    assert diagnoses["rule"] == ["loss-not-finite", "gradient-explosion"]
    assert diagnoses["state"] == ["firing", "resolved"]
    assert diagnoses["then"] == ["rollback", "set, save"]


def test_the_loss_curve_shows_what_is_not_a_number(history: str) -> None:
    """A bucket with nothing but NaN is NaN; others are the mean of the finite values."""
    started, last = _span(history)
    (line,) = asking.frame(history, case("run", "Loss", kind="timeseries"), Asked(started, last, CHOICES))[
        "series"
    ]
    assert "NaN" in line["values"]
    assert max(value for value in line["values"] if isinstance(value, float)) > 1000


def _span(history: str) -> tuple[int, int]:
    moments = "toUnixTimestamp64Milli(started), toUnixTimestamp64Milli(last_time) + 1"
    sql = f"SELECT {moments} FROM train_runs_latest WHERE run = '{RUN}'"
    started, last = asking.columns(history, sql)
    return started.values[0], last.values[0]


def test_two_runs_meet_step_by_step(full_history: str) -> None:
    """By step, the run and the other one stand side by side; the other one did not explode."""
    found = asking.table(full_history, case("run", "Loss by step"), _asked(full_history))
    assert found["step"] == sorted(found["step"])
    assert found["step"][:3] == [0, 1, 2]
    both = [one for one in zip(found["this run"], found["the other run"], strict=True) if None not in one]
    assert len(both) > 300
    assert max(found["this run"][200:216]) > 1000 > 10 > max(found["the other run"][200:216])


def test_compared_with_nothing_there_is_one_run(full_history: str) -> None:
    """The second line is empty where no other run is chosen."""
    asked = _asked(full_history, CHOICES | {"compare": ["-"]})
    found = asking.table(full_history, case("run", "Loss by step"), asked)
    assert set(found["the other run"]) == {None}
    assert None not in found["this run"]


def test_the_last_step_and_loss_are_those_of_the_history(history: str) -> None:
    """The numbers in the head of *Run* are the newest rows, not means."""
    newest = "argMax(value, time), argMax(step, time)"
    sql = f"SELECT {newest} FROM train_steps WHERE run = '{RUN}' AND name = 'loss'"
    loss, step = (column.values[0] for column in asking.columns(history, sql))
    shown = asking.table(history, case("run", "Loss", kind="stat"), _asked(history))
    assert shown["loss"] == [loss]
    assert asking.table(history, case("run", "Last step"), _asked(history))["step"] == [step]


@pytest.mark.parametrize(("steps", "ending"), [(50_000, ""), (50_001, "_rolled")])
def test_goodput_of_long_runs_is_read_from_roll_ups(full_history: str, steps: int, ending: str) -> None:
    """A hidden variable names the one view that the panels ask, by the steps of all attempts."""
    run = f"long-{steps}"
    select(
        full_history,
        f"""INSERT INTO train_series (run, name, attempt, role, rank, count)
        VALUES ('{run}', 'loss', 0, 'trainer', 0, 49990), ('{run}', 'loss', 1, 'trainer', 0, {steps - 49990}),
            ('{run}', 'loss', 1, 'trainer', 1, 2), ('{run}', 'lr', 1, 'trainer', 0, 1)""",
    )
    asked = asking.settled(full_history, _asked(full_history, CHOICES | {"run": [run]}))
    assert asked.variables["goodput"] == [ending]
    for one in (case("run", "Goodput"), case("run", "Wall time by attempt"), case("run", "Attempts")):
        assert re.findall(r"train_goodput\w*", one.sql(asked)) == [f"train_goodput{ending}"]
        asking.columns(full_history, one.sql(asked))
