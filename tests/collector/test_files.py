"""OTLP's file format between the Collector and us, in both directions."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli import app
from stream.offline.otlplines import runs_of
from stream.otlp import events, jsoncodec, parse
from tests.collector import found, telling
from tests.collector.otelcol import Filed, running
from tests.collector.telling import Tap
from tests.fixtures import wait_for

pytestmark = [pytest.mark.collector, pytest.mark.slow]


def test_files_of_the_collector_are_read_by_us(tap: Tap, tmp_path: Path) -> None:
    """What its file exporter writes as JSON is, for our reader, every field of what was sent."""
    run = uuid.uuid4().hex
    with running(Filed(tmp_path, "json")) as filed:
        telling.tell(run, f"http://127.0.0.1:{filed.http}")
        sent, sent_spans = found.logs(tap.logs), found.spans(tap.spans)
        wait_for(lambda: len(found.logs(_protobuf(filed, "logs"))) >= len(sent), what="the log records")
        wait_for(lambda: len(found.spans(_protobuf(filed, "traces"))) >= len(sent_spans), what="the spans")
        logs, spans = found.logs(_protobuf(filed, "logs")), found.spans(_protobuf(filed, "traces"))
        lines = filed.lines("logs")

    assert found.flat(logs) == [_signless(one) for one in found.flat(sent)]
    assert found.flat(spans) == found.flat(sent_spans)
    found.check_spans([span for _, span in spans])
    read = [event for line in lines for one in runs_of(line) for event in one.events]
    expected = [
        event
        for body in tap.logs
        for one in events.events_from_logs(parse.parse_logs(body))
        for event in one.events
    ]
    assert str(read) == re.sub(r"-0\.0(?=[,}])", "0.0", str(expected))


def _signless(flat: found.Flat) -> found.Flat:
    """The Collector's JSON has one zero: -0 becomes 0."""
    return flat._replace(record=re.sub(r"(double_value: )-(0(\.0)?\n)", r"\1\2", flat.record))


def _protobuf(filed: Filed, signal: str) -> list[bytes]:
    read = {"logs": jsoncodec.logs_from_json, "traces": jsoncodec.spans_from_json}[signal]
    return [read(line).SerializeToString() for line in filed.lines(signal)]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_files_of_ours_are_shipped_to_the_collector(tmp_path: Path, protocol: str) -> None:
    """endpoint="file:..." and `trainwarden ship`: the Collector has every record in order, and every span."""
    run, folder = uuid.uuid4().hex, tmp_path / "telemetry"
    telling.tell(run, f"file:{folder}")
    with running(Filed(tmp_path / "collector")) as filed:
        endpoint = f"{protocol}://127.0.0.1:{getattr(filed, protocol)}"
        shipped = CliRunner().invoke(app, ["ship", str(folder), "--endpoint", endpoint])
        assert shipped.exit_code == 0, shipped.output
        wait_for(lambda: len(found.spans(filed.bodies("traces"), run)) >= 5, what="the spans")
        wait_for(lambda: len(found.logs(filed.bodies("logs"), run)) >= len(telling.EXPECTED), what="the logs")
        logs, spans = found.logs(filed.bodies("logs"), run), found.spans(filed.bodies("traces"), run)

    found.check_records(record for _, record in logs)
    found.check_spans([span for _, span in spans])
