"""Inserts into a real ClickHouse engine: tokens, roll-ups, refused rows, nobody there."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from emitter.vocabulary import events
from stream.sink.collect import collect
from stream.sink.recent import Recent
from stream.sink.writer import UnavailableError, Writer
from tests.fixtures import free_port
from tests.stream.sink.build import RESOURCE, T0, logs, record, step

MINUTE = 60 * 1_000_000_000


def steps(run: str, values: Sequence[float], time: int = T0) -> pa.Table:
    """Rows of train_steps: a loss for each value."""
    sent = [step(seq, {"loss": value}, time + seq) for seq, value in enumerate(values)]
    request = logs(*sent, resource={**RESOURCE, "train.run.id": run})
    return collect([record(request)], Recent()).arrow()["train_steps"]


def test_the_same_token_is_stored_once_with_its_rollup(history_url: str, database: Client) -> None:
    """A repeated insert changes neither the table nor what its views make of it."""
    writer = Writer(history_url)
    for token in ("a", "a", "b"):
        assert writer.insert("train_steps", steps("run-token", [1.0, 3.0]), f"token {token}") == 0

    raw = database.query("SELECT count(), sum(value) FROM train_steps WHERE run = 'run-token'")
    minute = database.query("SELECT sum(count), sum(total) FROM train_steps_1m WHERE run = 'run-token'")

    assert raw.result_rows == minute.result_rows == [(4, 8.0)]


def test_values_that_are_not_finite_do_not_poison_the_rollup(history_url: str, database: Client) -> None:
    """They are counted apart; mean, low and high are those of the finite values of the minute."""
    writer = Writer(history_url)
    writer.insert("train_steps", steps("run-nan", [1.0, math.nan, 3.0, math.inf, -math.inf]), "nan a")
    writer.insert("train_steps", steps("run-nan", [math.nan], T0 + MINUTE), "nan b")

    rollup = database.query(
        "SELECT sum(count), sum(not_finite), sum(total), min(low), max(high), min(first_step), max(last_step)"
        " FROM train_steps_1m WHERE run = 'run-nan' GROUP BY time ORDER BY time"
    )
    raw = database.query(
        "SELECT countIf(isNaN(value)), countIf(isInfinite(value)) FROM train_steps WHERE run = 'run-nan'"
    )

    assert rollup.result_rows == [(2, 3, 4.0, 1.0, 3.0, 0, 4), (0, 1, 0.0, None, None, 0, 0)]
    assert raw.result_rows == [(2, 2)]


def test_one_batch_may_hold_records_of_many_days(history_url: str, database: Client) -> None:
    """A backlog of old records is not refused for the number of partitions it touches."""
    sent = [{"body": "x", "time": T0 - day * 1440 * MINUTE} for day in range(80)]
    request = logs(*sent, resource={**RESOURCE, "train.run.id": "run-days"})

    Writer(history_url).insert("otel_logs", collect([record(request)], Recent()).arrow()["otel_logs"], "a")

    assert database.command("SELECT count() FROM otel_logs WHERE run = 'run-days'") == 80


def test_rows_that_the_server_refuses_are_left_out_alone(
    history_url: str, database: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Each costs one error with the row and the server's reason; the others are stored, once."""
    database.command(
        "CREATE TABLE choosy (name Enum8('good' = 1)) ENGINE = MergeTree ORDER BY name"
        " SETTINGS non_replicated_deduplication_window = 100"
    )
    rows = pa.table({"name": ["good", "bad", "good", "good", "worse"]})

    with caplog.at_level(logging.ERROR):
        refused = [Writer(history_url).insert("choosy", rows, "a") for _ in range(2)]

    assert refused == [2, 2]
    assert database.command("SELECT count() FROM choosy") == 3
    assert len(caplog.messages) == 4
    assert caplog.messages[0].startswith("choosy: not stored in history: {'name': 'bad'}: ")


def test_nobody_there_may_be_tried_again() -> None:
    """UnavailableError with the address and the cure."""
    writer = Writer(f"http://127.0.0.1:{free_port()}")

    with pytest.raises(UnavailableError, match=r"expected an answer from http://127.*; is it running\?"):
        writer.insert("train_steps", steps("run", [1.0]), "a")


def test_a_missing_schema_may_be_tried_again_and_names_its_cure(clickhouse_url: str) -> None:
    """The insert goes in once somebody has migrated."""
    with pytest.raises(UnavailableError, match="bring the schema up to date with `trainwarden db migrate`"):
        Writer(f"{clickhouse_url}/default").insert("train_evals", steps("run", [1.0]), "a")


STATES: dict[str, tuple[list[tuple[int, str | None]], str]] = {
    "all running": ([(0, "started"), (1, "resumed")], "running"),
    "one ended": ([(0, "finished"), (1, "started")], "running"),
    "all ended": ([(0, "finished"), (1, "finished")], "finished"),
    "one failed": ([(0, "finished"), (1, "failed")], "failed"),
    "one killed": ([(0, "killed"), (1, "started")], "killed"),
    "nothing heard": ([(0, None)], "unknown"),
}


@pytest.mark.parametrize("case", STATES)
def test_a_runs_state_follows_from_its_ranks(history_url: str, database: Client, case: str) -> None:
    """The newest state of each rank of the newest attempt decides; an older attempt does not."""
    ranks, expected = STATES[case]
    run, writer = f"run {case}", Writer(history_url)
    sent = [(0, 0, "failed", T0)] + [(1, rank, state, T0 + 9) for rank, state in ranks]
    for number, (attempt, rank, state, time) in enumerate(sent):
        event = step(5 + attempt, time=time)
        lifecycle = {"event": events.LIFECYCLE, "time": time, "attributes": {"lifecycle.state": state}}
        resource = {**RESOURCE, "train.run.id": run, "train.attempt": attempt, "train.rank": rank}
        request = logs(*([event, lifecycle] if state else [event]), resource=resource)
        writer.insert(
            "train_runs", collect([record(request)], Recent()).arrow()["train_runs"], f"{case}{number}"
        )

    row = database.query(
        "SELECT run_name, attempt, state, world_size, ranks, toUnixTimestamp64Nano(started),"
        " toUnixTimestamp64Nano(last_time), last_step FROM train_runs_latest WHERE run = {run:String}",
        {"run": run},
    ).result_rows

    assert row == [("gpt", 1, expected, 8, len(ranks), T0, T0 + 9, 6)]


def test_an_incident_is_shown_as_it_stands_now(history_url: str, database: Client) -> None:
    """train_incidents: the newest change of each, however often and in whatever order they came."""
    database.command(
        "INSERT INTO train_incident_changes"
        " (id, seq, run, attempt, state, time, began, ended, outcome, rule, lost_steps) VALUES"
        " ('i', 2, 'r', 0, 'resolved', 5, 1, 5, 'resolved', 'a', 7),"
        " ('i', 1, 'r', 0, 'acting', 2, 1, NULL, '', 'b', 0),"
        " ('i', 1, 'r', 0, 'acting', 2, 1, NULL, '', 'b', 0),"
        " ('j', 1, 'r', 1, 'open', 8, 7, NULL, '', 'c', 0)"
    )

    rows = database.query(
        "SELECT id, state, attempt, toUnixTimestamp(began), toUnixTimestamp(ended), outcome, rule,"
        " lost_steps, changes FROM train_incidents WHERE run = 'r' ORDER BY id"
    ).result_rows

    assert rows == [
        ("i", "resolved", 0, 1, 5, "resolved", "a", 7, 2),
        ("j", "open", 1, 7, None, "", "c", 0, 1),
    ]
