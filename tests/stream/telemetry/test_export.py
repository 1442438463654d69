"""From a board over the stock SDK to a bare OTLP receiver, and to Prometheus' own parser."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stream.telemetry import process, provider
from stream.telemetry.board import BOUNDS_S, Board
from stream.telemetry.catalogue import DEAD, OUTBOX, RULES_BEHIND, STAGE_TIME
from stream.telemetry.part import Part
from stream.telemetry.provider import Telemetry
from tests.fixtures import free_port, wait_for
from tests.stream.telemetry.receiver import Receiver, receiving, receiving_grpc

PATIENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "120"}
TICKER = "opentelemetry.sdk.metrics._internal.export"
"""Says when collecting took longer than the interval, which fifty milliseconds may be on a busy machine."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def _board() -> Board:
    board = Board()
    process.watch(board)
    board.count(DEAD)["ingest", "malformed"] += 3
    board.read(OUTBOX, lambda: {("diagnose", "train.events"): 7})
    board.read(RULES_BEHIND, lambda: {(1,): 0.25})
    for seconds in (0.0001, 0.003, 20.0):
        board.times(STAGE_TIME).add(("ingest", "otlp_logs"), seconds)
    return board


def _start(board: Board, monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> Telemetry:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    found = provider.start("trainwarden-loop", board, environ)
    assert found is not None
    return found


def test_all_kinds_arrive_as_what_they_are(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums, levels, gauges and histograms, in one scope, with the resource that names the process."""
    board = _board()
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_METRIC_EXPORT_INTERVAL": "100",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20secret",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }  # fmt: skip
    telemetry = _start(board, monkeypatch, environ)
    try:
        wait_for(lambda: len(receiver.requests) >= 2, 60, "two exports")
        board.count(DEAD)["ingest", "malformed"] += 1
    finally:
        telemetry.stop()

    # The last export has what was counted before the end.
    dead = receiver.points("trainwarden.deadletters")
    assert {key: point.as_int for key, point in dead.items()} == {
        (("stage", "ingest"), ("reason", "malformed")): 4
    }
    (times,) = receiver.points("trainwarden.stage.duration").values()
    assert (times.count, list(times.explicit_bounds)) == (3, list(BOUNDS_S))
    assert times.sum == pytest.approx(20.0031)
    assert not times.HasField("min")
    assert [n for n, count in enumerate(times.bucket_counts) if count] == [0, 5, len(BOUNDS_S)]
    assert 0 < times.start_time_unix_nano < times.time_unix_nano
    (behind,) = receiver.points("trainwarden.rules.behind").values()
    assert behind.as_double == 0.25
    assert receiver.points("process.memory.usage")[()].as_int > 1_000_000
    resource = receiver.resource()
    assert resource["service.name"] == "trainwarden-loop"
    assert resource["deployment.environment.name"] == "test"
    assert "host.name" not in resource
    assert {len(one.resource_metrics[0].scope_metrics) for one in receiver.requests} == {1}
    assert receiver.headers[0]["authorization"] == "Bearer secret"
    assert set(receiver.paths) == {"/v1/metrics"}


def test_over_grpc_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_EXPORTER_OTLP_PROTOCOL=grpc, with the stock exporter for it."""
    with receiving_grpc() as receiver:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20secret",
        }  # fmt: skip
        telemetry = _start(_board(), monkeypatch, environ)
        try:
            wait_for(lambda: receiver.requests, 60, "an export")
        finally:
            telemetry.stop()
    (dead,) = receiver.points("trainwarden.deadletters").values()
    assert dead.as_int == 3
    assert receiver.headers[0]["authorization"] == "Bearer secret"


def test_prometheus_reads_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with units, types, labels and cumulative buckets; without an endpoint nothing is sent."""
    telemetry = _start(_board(), monkeypatch, {})
    try:
        families = {one.name: one for one in text_string_to_metric_families(telemetry.page().decode())}
    finally:
        telemetry.stop()
    (dead,) = families["trainwarden_deadletters"].samples
    assert (dead.name, dead.labels, dead.value) == (
        "trainwarden_deadletters_total", {"stage": "ingest", "reason": "malformed"}, 3,
    )  # fmt: skip
    assert families["trainwarden_outbox_depth"].type == "gauge"
    times = families["trainwarden_stage_duration_seconds"]
    assert times.type == "histogram"
    buckets = {one.labels.get("le"): one.value for one in times.samples if one.name.endswith("_bucket")}
    assert (buckets["0.0001"], buckets["0.005"], buckets["10.0"], buckets["+Inf"]) == (1, 2, 2, 3)
    assert families["target_info"].samples[0].labels["service_name"] == "trainwarden-loop"


def test_off_means_off() -> None:
    """OTEL_SDK_DISABLED."""
    assert provider.start("trainwarden-loop", _board(), {"OTEL_SDK_DISABLED": "true"}) is None


def test_an_endpoint_that_is_away_costs_one_line_and_no_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is said before it is away for long, nothing twice; stopping waits for nobody."""
    monkeypatch.setattr("stream.telemetry.quiet.Quiet.__init__.__defaults__", (0.5, time.monotonic))
    caplog.set_level(logging.INFO)
    url = f"http://127.0.0.1:{free_port()}"
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_METRIC_EXPORT_INTERVAL": "50",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }

    def told() -> list[str]:
        return [record.message for record in caplog.records if record.name != TICKER]

    telemetry = _start(_board(), monkeypatch, environ)
    try:
        wait_for(told, 60, "a word on it")
        time.sleep(1.0)
    finally:
        telemetry.stop()
    assert told() == [f"our own metrics do not reach {url}; nothing else waits for it"]


def test_who_takes_a_connection_and_says_nothing_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stop breaks off the export under way; a second is all that it may cost."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_METRIC_EXPORT_INTERVAL": "50"} | PATIENT
        telemetry = _start(_board(), monkeypatch, environ)
        taken, _ = silent.accept()
        began = time.monotonic()
        telemetry.stop()
        took_s = time.monotonic() - began
        taken.close()
    assert took_s < 60  # of the 120 that the exporter would wait


def test_pages_that_are_asked_for_at_once_are_all_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two Prometheus servers scrape the same process."""
    telemetry = _start(_board(), monkeypatch, {})
    try:
        with ThreadPoolExecutor(4) as threads:
            pages = list(threads.map(lambda _: telemetry.page(), range(24)))
    finally:
        telemetry.stop()
    assert {page.count(b"\ntrainwarden_deadletters_total{") for page in pages} == {1}


def test_what_the_sdk_does_not_take_costs_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And the process goes on, without metrics."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "-5")

    async def scenario() -> None:
        part = Part("trainwarden-loop", lambda: {"ready": True})
        part.export()
        while not caplog.records:
            await asyncio.sleep(0.01)
        await part.close()

    asyncio.run(scenario())
    (said,) = [record.message for record in caplog.records]
    assert said.startswith("our own metrics are not exported: ValueError: interval value -5.0 is invalid")
