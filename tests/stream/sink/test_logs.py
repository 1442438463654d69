"""Log records to rows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.sink.collect import collect
from stream.sink.recent import Recent
from tests.stream.sink.build import RESOURCE, T0, listed, logs, record, rows_of, step

WHO = {"run": "run-1", "attempt": 2, "rank": 3, "node": "node-a", "role": "trainer", "emitter": "e3"}
SOURCE = {"src_topic": "otlp_logs", "src_partition": 1, "src_offset": 7}


def test_each_number_of_a_step_is_a_row_under_its_canonical_name() -> None:
    """Names go through the alias table; who, when and where from stand in every row."""
    rows = rows_of(record(logs(step(4, {"train/loss": 2.5, "my/own": 1})))).arrow()

    assert listed(rows["train_steps"]) == [
        {**WHO, "time": T0, "step": 4, "name": name, "value": value, "seq": 4, **SOURCE}
        for name, value in [("loss", 2.5), ("my/own", 1.0)]
    ]
    assert "otel_logs" not in rows


def test_the_users_own_aliases_apply() -> None:
    """``train.aliases`` of the resource extends the table."""
    resource = {**RESOURCE, "train.aliases": '{"zzz": "loss"}'}

    rows = rows_of(record(logs(step(1, {"zzz": 1.0}), resource=resource))).arrow()

    assert rows["train_steps"]["name"].to_pylist() == ["loss"]


def test_values_that_are_not_finite_are_stored_as_they_are() -> None:
    """NaN and both infinities arrive as such."""
    values = {"a": math.nan, "b": math.inf, "c": -math.inf}

    stored = listed(rows_of(record(logs(step(1, values)))).arrow()["train_steps"])

    assert math.isnan(stored[0]["value"])
    assert [row["value"] for row in stored[1:]] == [math.inf, -math.inf]


def test_booleans_are_numbers_and_texts_are_not() -> None:
    """True is 1, False is 0; a text is left out of the numbers without harm to the others."""
    attributes = {"skipped": True, "clipped": False, "note": "hello", "spelled": "NaN", "none": None}

    stored = listed(rows_of(record(logs(step(1, attributes)))).arrow()["train_steps"])

    assert {row["name"]: row["value"] for row in stored} == {"skipped": 1.0, "clipped": 0.0}


def test_the_epoch_of_a_step_is_a_number_like_the_others() -> None:
    """``train.epoch`` is stored as ``epoch``; an ``epoch`` that was logged wins."""
    once, both = step(1, {"train.epoch": 0.5}), step(2, {"train.epoch": 0.5, "epoch": 0.7})

    stored = listed(rows_of(record(logs(once, both))).arrow()["train_steps"])

    assert [(row["name"], row["value"]) for row in stored] == [("epoch", 0.5), ("epoch", 0.7)]


def test_evaluations_and_resources_have_their_own_tables() -> None:
    """A GPU's sample names its device; the host's has none."""
    rows = rows_of(
        record(
            logs(
                {"event": "train.eval", "attributes": {"train.step": 9, "eval_loss": 1.0}},
                {
                    "event": "train.resource",
                    "attributes": {"hw.id": "GPU-0", "hw.gpu.power": 300.0, "hw.name": "x"},
                },
                {"event": "train.resource", "attributes": {"system.cpu.utilization": 0.5}},
            )
        )
    ).arrow()

    assert [(row["step"], row["name"]) for row in listed(rows["train_evals"])] == [(9, "eval_loss")]
    assert [(row["device"], row["name"], row["value"]) for row in listed(rows["train_resources"])] == [
        ("GPU-0", "hw.gpu.power", 300.0),
        ("", "system.cpu.utilization", 0.5),
    ]


def test_a_heartbeat_is_one_row() -> None:
    """Phase, step and age of the last progress; what is missing is -1, '' or null."""
    full = {"train.phase": "eval", "train.step": 5, "progress.age": 1.5, "train.seq": 1}

    rows = rows_of(record(logs(*({"event": "train.heartbeat", "attributes": a} for a in (full, {}))))).arrow()

    first, second = listed(rows["train_heartbeats"])
    assert first == {**WHO, "time": T0, "phase": "eval", "step": 5, "progress_age": 1.5, "seq": 1, **SOURCE}
    assert (second["phase"], second["step"], second["progress_age"], second["seq"]) == ("", -1, None, -1)


def test_every_other_record_is_a_log() -> None:
    """The Collector exporter's columns; attributes are texts in the order of their keys."""
    sent = {
        "event": "train.lifecycle", "body": "hällo\0",
        "attributes": {"z": 1, "a": True, "lifecycle.state": "started"}, "severity_text": "INFO",
        "severity_number": 9, "trace_id": b"\x01" * 16, "span_id": b"\x02" * 8, "flags": 257,
    }  # fmt: skip

    (row,) = listed(rows_of(record(logs(sent))).arrow()["otel_logs"])

    assert row == {
        "Timestamp": T0, "TraceId": "01" * 16, "SpanId": "02" * 8, "TraceFlags": 1, "SeverityText": "INFO",
        "SeverityNumber": 9, "ServiceName": "trainer", "Body": "hällo\0", "ResourceSchemaUrl": "",
        "ResourceAttributes": sorted((key, str(value)) for key, value in RESOURCE.items()),
        "ScopeSchemaUrl": "", "ScopeName": "", "ScopeVersion": "", "ScopeAttributes": [],
        "LogAttributes": [("a", "true"), ("lifecycle.state", "started"), ("z", "1")],
        "EventName": "train.lifecycle", **SOURCE,
    }  # fmt: skip


def test_a_record_without_any_train_attribute_is_a_log_like_any_other() -> None:
    """A stock SDK knows no runs: nothing is required, and no run appears."""
    rows = rows_of(record(logs({"body": "x", "attributes": {}}, resource={}))).arrow()

    assert list(rows) == ["otel_logs"]
    assert rows["otel_logs"]["ServiceName"].to_pylist() == [""]


def test_beacons_are_not_history() -> None:
    """They say that a path is alive, nothing else."""
    rows = rows_of(record(logs({"event": "trainwarden.beacon"}, resource={})))

    assert (rows.arrow(), rows.bad) == ({}, 0)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"train.rank": None, "train.attempt": None}, (-1, 0)),
        ({"train.rank": -5, "train.attempt": -1}, (-1, 0)),
        ({"train.rank": 2**31, "train.attempt": 65_536}, (-1, 0)),
        ({"train.rank": "12", "train.attempt": "3"}, (12, 3)),
        ({"train.rank": "x", "train.attempt": 1.0}, (-1, 1)),
    ],
)
def test_ranks_and_attempts_that_are_missing_or_do_not_fit(
    sent: dict[str, object], stored: tuple[int, int]
) -> None:
    """-1 and 0 stand for what is not known; nothing is refused for it."""
    (row,) = listed(rows_of(record(logs(step(1), resource={**RESOURCE, **sent}))).arrow()["train_steps"])

    assert (row["rank"], row["attempt"]) == stored


@pytest.mark.parametrize(
    ("time", "observed", "stored"),
    [(T0 + 1, 5, T0 + 1), (0, T0 + 2, T0 + 2), (0, 0, T0), (2**64 - 1, 0, T0), (2**64 - 1, 2**63, T0)],
)
def test_the_time_is_the_records_own_where_it_is_one(time: int, observed: int, stored: int) -> None:
    """Else when it was observed, else when Kafka took it."""
    sent = {**step(1), "time": time, "observed_time_unix_nano": observed}

    (row,) = listed(rows_of(record(logs(sent))).arrow()["train_steps"])

    assert row["time"] == stored


def test_a_resend_is_stored_once() -> None:
    """The same emitter and sequence number, in one batch or a later one, is a duplicate."""
    recent = Recent()
    first = collect([record(logs(step(1), step(2))), record(logs(step(2)))], recent)
    recent.keep(recent.take())
    second = collect([record(logs(step(1), step(3)), offset=8)], recent)

    assert first.arrow()["train_steps"]["seq"].to_pylist() == [1, 2]
    assert second.arrow()["train_steps"]["seq"].to_pylist() == [3]
    assert (first.duplicates, second.duplicates) == (1, 1)


def test_a_run_is_summed_up_by_rank() -> None:
    """One row of train_runs for each rank and batch: first and last sign, highest step, newest state."""
    lifecycle = {"event": "train.lifecycle", "time": T0 + 5, "attributes": {"lifecycle.state": "started"}}
    rows = rows_of(record(logs(lifecycle, step(9, time=T0 + 9), step(3, time=T0 + 1)))).arrow()

    (row,) = listed(rows["train_runs"].drop_columns("lifecycle"))
    (state,) = rows["train_runs"]["lifecycle"].to_pylist()

    assert row == {
        "run": "run-1", "attempt": 2, "role": "trainer", "rank": 3, "run_name": "gpt", "node": "node-a",
        "world_size": 8, "started": T0 + 1, "last_time": T0 + 9, "last_step": 9,
    }  # fmt: skip
    assert state["state"] == "started"


def test_a_supervisor_is_no_rank() -> None:
    """What it says is a log; a run has no rank more by it, and no other state."""
    said = {"event": "train.lifecycle", "attributes": {"lifecycle.state": "exited"}}
    who = {"train.run.id": "run-1", "train.role": "supervisor", "train.emitter.id": "e9"}
    rows = rows_of(record(logs(said, resource=who))).arrow()

    assert "train_runs" not in rows
    assert rows["otel_logs"].num_rows == 1


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.one_of(
            st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.text(max_size=20), st.none()
        ),
        max_size=8,
    ),
    st.integers(0, 2**64 - 1),
)
def test_any_values_and_times_end_in_rows_or_nowhere(values: dict[str, object], time: int) -> None:
    """Nothing that protobuf can carry is refused, as a step or as a log."""
    sent = [{"event": event, "time": time, "attributes": values} for event in ("train.step", "train.log")]

    rows = rows_of(record(logs(*sent)))
    content = rows.arrow()

    assert rows.bad == 0
    assert content["otel_logs"].num_rows == 1
