"""Telemetry on its way out, over real sockets: what arrives, and what happens when nothing answers."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable

import pytest

import emitter
from emitter import _api
from emitter._records import Fate, Outcome
from emitter.testing import Captured, ManualClock
from tests.emitter.receiver import Receiver, attributes
from tests.fixtures import free_port, wait_for


def _init(url: str | None, **settings: object) -> None:
    quiet = {"resources": False, "logs": False, "hooks": False}
    emitter.init("run", run_id="run-1", endpoint=url, **{**quiet, **settings})  # type: ignore[arg-type]


def test_steps_arrive_with_names_numbers_and_identity(receiver: Receiver) -> None:
    """Names as logged, step and seq as integers, identity in the resource, one seq without gaps."""
    _init(receiver.url, aliases={"my_loss": "loss"})
    for step in range(3):
        emitter.step(step, {"train/loss": 0.5}, grad_norm=2, epoch=0.25)
    emitter.shutdown()

    steps = [attributes(record) for record in receiver.records("train.step")]
    assert [(found["train/loss"], found["grad_norm"], found["train.step"], found["train.epoch"])
            for found in steps] == [(0.5, 2, 0, 0.25), (0.5, 2, 1, 0.25), (0.5, 2, 2, 0.25)]  # fmt: skip
    assert "step_time" not in steps[0]
    assert all(found["step_time"] >= 0 for found in steps[1:])
    sequence = [attributes(record)["train.seq"] for record in receiver.records()]
    assert sequence == list(range(len(sequence)))
    resource = receiver.resource()
    assert (resource["train.run.id"], resource["train.run.name"]) == ("run-1", "run")
    assert (resource["train.rank"], resource["train.world_size"], resource["train.attempt"]) == (0, 1, 0)
    assert resource["train.aliases"] == '{"my_loss":"loss"}'
    assert resource["service.name"] == resource["train.role"] == "trainer"
    assert len(resource["train.emitter.id"]) == 32


def test_lifecycle_and_heartbeat_frame_the_run(receiver: Receiver) -> None:
    """The first record says started, the last finished with exit code 0; a heartbeat comes at once."""
    _init(receiver.url)
    wait_for(lambda: receiver.records("train.heartbeat"), what="a heartbeat")
    emitter.shutdown()

    first, last = receiver.records()[0], receiver.records()[-1]
    assert attributes(first)["lifecycle.state"] == "started"
    assert attributes(last)["lifecycle.state"] == "finished"
    assert attributes(last)["exit.code"] == 0


def test_restarted_run_says_resumed(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt above 0 resumes."""
    monkeypatch.setenv("TRAINWARDEN_ATTEMPT_BASE", "2")
    _init(receiver.url)
    emitter.shutdown()

    assert attributes(receiver.records()[0])["lifecycle.state"] == "resumed"
    assert receiver.resource()["train.attempt"] == 2


def test_bad_loss_does_not_wait_for_the_flush_interval(receiver: Receiver) -> None:
    """The first NaN wakes the sender at once, here with an interval of ten minutes."""
    _init(receiver.url, flush_s=600)
    wait_for(lambda: receiver.records("train.lifecycle"), what="the start")
    emitter.step(1, loss=1.0)
    emitter.step(2, loss=float("nan"))
    wait_for(lambda: len(receiver.records("train.step")) == 2, what="both steps")


def test_errors_do_not_wait_for_the_flush_interval(receiver: Receiver) -> None:
    """An error that is logged, and an exception that ends a thread, wake the sender at once."""
    _init(receiver.url, flush_s=600, hooks=True)
    wait_for(lambda: receiver.records("train.heartbeat"), what="the start")
    emitter.log("broken", level=40)
    wait_for(lambda: len(receiver.records("train.log")) == 1, what="the error")
    session = _api._session
    assert session is not None
    session.thread_crashed(ValueError("lost"), "loader")
    wait_for(lambda: len(receiver.records("train.log")) == 2, what="the exception")


def test_checkpoint_spans_arrive(receiver: Receiver) -> None:
    """The save is a span with its parts as children; its start is an event of its own."""
    _init(receiver.url)
    with emitter.checkpoint(7, "/tmp/ckpt") as checkpoint:
        checkpoint.stage()
        checkpoint.written(bytes=12)
        checkpoint.verified(checksum="sha256:abc")
    emitter.shutdown()

    spans = {span.name: span for span in receiver.spans()}
    save = spans.pop("checkpoint.save")
    assert set(spans) == {"checkpoint.stage", "checkpoint.write", "checkpoint.verify"}
    assert {(span.parent_span_id, span.trace_id) for span in spans.values()} == {
        (save.span_id, save.trace_id)
    }
    assert attributes(save) == {
        "checkpoint.path": "/tmp/ckpt", "checkpoint.kind": "regular", "checkpoint.verified": True,
        "checkpoint.step": 7, "train.step": 7, "checkpoint.bytes": 12, "checkpoint.checksum": "sha256:abc",
    }  # fmt: skip
    (started,) = receiver.records("checkpoint.started")
    assert attributes(started)["checkpoint.path"] == "/tmp/ckpt"
    assert started.time_unix_nano <= save.end_time_unix_nano


@pytest.mark.parametrize("kind", ["nothing listens", "hangs", "500", "503"])
def test_dead_endpoint_changes_nothing_for_the_loop(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The loop keeps its pace, one warning is logged, shutdown ends within its deadline."""
    with Receiver(int(kind) if kind.isdigit() else 200, hang=kind == "hangs") as receiver:
        url = f"http://127.0.0.1:{free_port()}" if kind == "nothing listens" else receiver.url
        with caplog.at_level(logging.DEBUG):
            _init(url, export_timeout_s=0.5, shutdown_s=2, queue_size=50, spool="off")
            session = _api._session
            assert session is not None
            wait_for(lambda: "cannot deliver telemetry" in caplog.text, what="the warning")
            costs = [_cost_of_step(step) for step in range(500)]
            began = time.monotonic()
            emitter.shutdown()

    assert statistics.median(costs) < 0.005
    assert time.monotonic() - began < 30
    troubles = [record for record in caplog.records if "cannot deliver telemetry" in record.message]
    assert len(troubles) == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING
            and record.name != "emitter"] == []  # fmt: skip
    lost = session.queue.totals
    assert sum(lost.values()) >= 500
    assert lost["refused" if kind == "500" else "queue_full"] > 0


def _cost_of_step(step: int) -> float:
    began = time.perf_counter()
    emitter.step(step, loss=1.0)
    cost = time.perf_counter() - began
    if step % 100 == 0:
        time.sleep(0.05)
    return cost


def test_no_endpoint_is_one_warning_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Without any endpoint one line says what to do, and the records count as lost."""
    _init(None)
    session = _api._session
    assert session is not None
    emitter.step(1, loss=1.0)
    emitter.shutdown()

    assert [record.message for record in caplog.records if "no endpoint" in record.message] == [
        "no endpoint: telemetry goes nowhere. Start `trainwarden up`, or set TRAINWARDEN_ENDPOINT or "
        "init(endpoint=...); training goes on"
    ]
    assert session.queue.totals["no_endpoint"] >= 3


@pytest.mark.parametrize("spool", [None, "off"])
def test_outage_loses_nothing_that_fits(spool: str | None) -> None:
    """Records of an outage wait, on disk or in the queue, and are sent once the endpoint is back."""
    port = free_port()
    _init(f"http://127.0.0.1:{port}", spool=spool)
    emitter.step(0, loss=1.0)
    session = _api._session
    assert session is not None
    wait_for(lambda: session.sender._line.down, what="the line to be down")
    with Receiver(port=port) as receiver:
        emitter.step(1, loss=1.0)
        wait_for(lambda: len(receiver.records("train.step")) == 2, what="both steps")
        emitter.shutdown()
        sequence = [attributes(record)["train.seq"] for record in receiver.records()]

    assert sequence == list(range(len(sequence)))


def test_losses_are_reported_when_the_line_is_back(captured: Captured, clock: ManualClock) -> None:
    """What did not fit and what was refused comes as train.emitter.report, and as gaps in the sequence."""
    session = captured.session
    session.queue.limit = 3
    captured.exporter.outcomes = [Outcome(Fate.RETRY, "away"), Outcome(Fate.REFUSED, "bad")]
    session.sender.turn()  # holds the start, to be sent again
    for step in range(5):
        emitter.step(step, loss=1.0)
    session.sender.turn()  # still waiting
    assert captured.exporter.received == []
    clock.advance(60)
    (report,) = captured.named("train.emitter.report")

    assert report.attributes == {"lost.queue_full": 2, "lost.refused": 1, "train.seq": 6}
    assert [log.seq for log in captured.logs] == [1, 2, 3, 6]


def test_retry_after_is_respected(captured: Captured, clock: ManualClock) -> None:
    """The receiver's own waiting time counts when it is longer than ours."""
    captured.exporter.outcomes = [Outcome(Fate.RETRY, "busy", 30.0)]
    assert captured.logs == []
    clock.advance(29)
    assert captured.logs == []
    clock.advance(2)
    assert len(captured.logs) == 1


def test_opentelemetry_variables_are_honoured(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoint, headers, compression, service name and resource attributes come from OTEL_* variables."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-trainer")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=vision,service.name=ignored")
    _init(None)
    emitter.shutdown()

    resource = receiver.resource()
    assert (resource["service.name"], resource["team"]) == ("my-trainer", "vision")
    headers = {name.lower(): value for name, value in receiver.headers[0].items()}
    assert (headers["authorization"], headers["content-encoding"]) == ("Bearer abc", "gzip")


def test_service_name_of_resource_attributes_is_kept(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """service.name in OTEL_RESOURCE_ATTRIBUTES wins over our default."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=from-attributes")
    _init(receiver.url)
    emitter.shutdown()

    assert receiver.resource()["service.name"] == "from-attributes"


def test_logs_endpoint_alone_serves_spans_too(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is used as it is; spans go beside it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{receiver.url}/v1/logs")
    _init(None)
    with emitter.checkpoint(1, "x"):
        pass
    emitter.shutdown()

    assert [span.name for span in receiver.spans()] == ["checkpoint.save"]


@pytest.mark.parametrize("name", ["OTEL_SDK_DISABLED", "TRAINWARDEN_DISABLED"])
def test_disabled_emitter_does_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """init leaves no session behind."""
    monkeypatch.setenv(name, "true")
    _init("http://127.0.0.1:1")

    assert _api._session is None


def test_local_stack_is_found(receiver: Receiver, stack_file: Callable[[dict[str, str]], None]) -> None:
    """Without an endpoint a running `trainwarden up` is found through its stack.json."""
    stack_file({"otlp_http": receiver.url})
    _init(None)
    emitter.shutdown()

    assert receiver.records("train.lifecycle")


def test_kafka_of_a_found_stack_is_trusted_on_loopback_only(
    receiver: Receiver, stack_file: Callable[[dict[str, str]], None]
) -> None:
    """A stack that was found, not named, gives no orders from another machine."""
    stack_file({"otlp_http": receiver.url, "kafka": "192.0.2.1:9092"})
    _init(None)

    assert _api._session is not None
    assert _api._session.link is None


def test_second_init_keeps_the_first_session(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """A library that calls init again changes nothing; one line says so."""
    _init(receiver.url)
    session = _api._session
    _init(receiver.url)

    assert _api._session is session
    assert "init was called before" in caplog.text


def test_init_again_after_shutdown_is_a_new_emitter(receiver: Receiver) -> None:
    """Each session has its own emitter id and its own sequence."""
    ids = set()
    for _ in range(2):
        _init(receiver.url)
        assert _api._session is not None
        ids.add(_api._session.identity.emitter)
        emitter.shutdown()

    assert len(ids) == 2
    assert [attributes(record)["train.seq"] for record in receiver.records("train.lifecycle")].count(0) == 2
