"""Prometheus endpoints: real exporters on loopback, pulled, sent, and judged by the packs' own rules."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

import emitter
from emitter.probes import scrape as module
from emitter.probes.scrape import Scrape
from stream.otlp.events import events_from_logs
from stream.rulelang import load_packs
from tests.emitter.receiver import Receiver
from tests.fixtures import wait_for
from tests.stream.diagnose.stories import Feed, resource
from tests.stream.sink.build import listed, record, rows_of

RULES = Path(__file__).parents[3] / "rules"


class Exporter:
    """Answers what the test says; ``hang`` holds the end of an answer back."""

    def __init__(self) -> None:
        self.answer = b"up 1\n"
        self.status = 200
        self.hang = False
        self.free = threading.Event()
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(exporter.status)
                self.end_headers()
                self.wfile.write(exporter.answer)
                if exporter.hang:
                    self.wfile.flush()
                    exporter.free.wait(30)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/metrics"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.free.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    found = Exporter()
    yield found
    found.close()


@pytest.fixture
def pull(exporter: Exporter) -> Callable[..., list[dict[str, Any]]]:
    """One pull of the exporter with these answers and names to keep."""

    def once(answer: str, *keep: str) -> list[dict[str, Any]]:
        exporter.answer = answer.encode()
        found: list[dict[str, Any]] = []
        Scrape(exporter.url, found.append, keep).turn()
        return found

    return once


Pull = Callable[..., list[dict[str, Any]]]


def test_samples_become_points(pull: Pull) -> None:
    """Name, value, labels as attributes; a label that is called like one of ours is kept apart."""
    found = pull('# TYPE t gauge\nt{gpu="3",value="x",train.seq="9"} 1.5\nt{gpu="3",value="x"} 2\n')

    assert found == [{"metric.name": "t", "value": 2.0, "gpu": "3", "attributes.value": "x"}]


def test_what_is_left_out(pull: Pull) -> None:
    """Buckets, and what exporters say of themselves, unless its name is asked for."""
    text = 'h_bucket{le="1"} 1\nh_sum 2\nh_count 3\npython_info 1\ngo_threads 4\nDCGM_FI_DEV_GPU_TEMP 40\n'

    assert [one["metric.name"] for one in pull(text)] == ["h_sum", "h_count", "DCGM_FI_DEV_GPU_TEMP"]
    assert [one["metric.name"] for one in pull(text, "go_*", "h_sum")] == ["h_sum", "go_threads"]


def test_too_many_samples(
    pull: Pull, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer without end costs a bounded number of events, and one line that says what to do."""
    monkeypatch.setattr(module, "MOST_SAMPLES", 3)

    assert len(pull("".join(f"m{index} 1\n" for index in range(10)))) == 3
    assert "more than 3 samples in an answer, the rest is left out; name those to keep" in caplog.text


def test_too_many_bytes(
    pull: Pull, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer that is too large is refused before all of it is read."""
    monkeypatch.setattr(module, "MOST_BYTES", 1000)

    assert pull("# " + "x" * 10_000) == []
    assert "cannot be pulled: expected at most 1000 bytes" in caplog.text


def test_an_answer_that_never_ends(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Patience is for the whole answer."""
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    exporter.hang = True
    Scrape(exporter.url, lambda values: None).turn()

    assert "cannot be pulled: timed out" in caplog.text


def test_trouble_is_told_once(exporter: Exporter, caplog: pytest.LogCaptureFixture) -> None:
    """An exporter that is down is one warning and one report, until it answers again."""
    told: list[str] = []
    exporter.status = 503
    probe = Scrape(exporter.url, lambda values: None, told=told.append)
    with caplog.at_level(logging.INFO, "emitter"):
        for status in (503, 503, 200, 503):
            exporter.status = status
            probe.turn()

    assert [message.split("/metrics ")[1][:18] for message in caplog.messages] == [
        "cannot be pulled: ", "answers again", "cannot be pulled: ",
    ]  # fmt: skip
    assert told == [f"{exporter.url}: HTTP Error 503: Service Unavailable"] * 2


def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    """A refused connection names the endpoint, without what may be secret in its URL."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        Scrape(f"http://127.0.0.1:{port}/metrics?token=secret", lambda values: None).turn()

    assert f"http://127.0.0.1:{port}/metrics cannot be pulled: " in caplog.text
    assert "Connection refused" in caplog.text
    assert "secret" not in caplog.text


def test_lines_that_are_no_samples(pull: Pull, caplog: pytest.LogCaptureFixture) -> None:
    """They cost one warning, and no other sample."""
    assert [one["metric.name"] for one in pull("<html>\na 1\n<body>\nb 2\n")] == ["a", "b"]
    assert caplog.text.count("this line and others like it are left out") == 1


def test_a_real_exporter_reaches_the_rules(receiver: Receiver) -> None:
    """What a dcgm-exporter shows is pulled, sent as OTLP, read by ingest, and fires the pack's rule."""
    registry = prometheus_client.CollectorRegistry()
    xid = prometheus_client.Gauge("DCGM_FI_DEV_XID_ERRORS", "Last Xid", ["gpu", "UUID"], registry=registry)
    xid.labels("3", "GPU-3").set(0)
    server, thread = prometheus_client.start_http_server(0, "127.0.0.1", registry)
    url = f"http://127.0.0.1:{server.server_address[1]}/metrics"
    emitter.init(
        run="pulled", run_id="pulled", endpoint=receiver.url, resources=False, logs=False, hooks=False,
        scrape=[url], scrape_s=0.05,
    )  # fmt: skip
    try:
        wait_for(lambda: len(receiver.records("metric")) >= 2, what="two pulls")
        xid.labels("3", "GPU-3").set(79)
        wait_for(lambda: _last(receiver) == 79, what="the new value")
    finally:
        emitter.shutdown()
        server.shutdown()
        server.server_close()
        thread.join(10)
    payloads = [request.SerializeToString() for request in receiver._logs]
    events = [
        event
        for payload in payloads
        for run in events_from_logs(ExportLogsServiceRequest.FromString(payload))
        for event in run.events
    ]
    points = [event for event in events if event.name == "metric"]
    made = Feed(load_packs([RULES])).send(resource(), *events)
    rows = [row for payload in payloads for row in stored(payload)]

    assert {point.metric for point in points} == {"DCGM_FI_DEV_XID_ERRORS"}
    assert points[-1].values == {"gpu": "3", "UUID": "GPU-3", "value": 79.0}
    assert (made[0].rule, made[0].state) == ("dcgm-xid", "firing")
    assert [(row["name"], row["value"], row["attributes"]) for row in rows] == [
        (point.metric, point.values["value"], [("UUID", "GPU-3"), ("gpu", "3")]) for point in points
    ]
    assert [row["seq"] for row in rows] == [point.seq for point in points]


def stored(payload: bytes) -> list[dict[str, Any]]:
    """The rows of train_metrics that history keeps of this request."""
    tables = rows_of(record(payload)).arrow()
    return listed(tables["train_metrics"]) if "train_metrics" in tables else []


def _last(receiver: Receiver) -> float | None:
    found = [
        pair.value.double_value for pair in receiver.records("metric")[-1].attributes if pair.key == "value"
    ]
    return found[0] if found else None
