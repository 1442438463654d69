"""Beacons."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from stream.otlp import beacon, events, parse


@pytest.mark.parametrize("gateway", ["gw:4318", None])
def test_a_beacon_is_recognised(gateway: str | None) -> None:
    """Time and gateway come back; to everybody else it is a log record without a run."""
    request = parse.parse_logs(beacon.beacon_request(123, gateway, worker="w"))
    assert beacon.beacon_of(request) == (123, gateway)
    (group,) = events.events_from_logs(request)
    assert (group.run, group.events[0].name) == ("", "trainwarden.beacon")


def test_other_requests_are_no_beacons() -> None:
    """Neither an empty request, nor another event, nor a beacon among other records."""
    request = ExportLogsServiceRequest()
    assert beacon.beacon_of(request) is None
    records = request.resource_logs.add().scope_logs.add().log_records
    records.add(event_name="train.step")
    assert beacon.beacon_of(request) is None
    records[0].event_name = "trainwarden.beacon"
    assert beacon.beacon_of(request) == (0, None)
    records.add(event_name="train.step")
    assert beacon.beacon_of(request) is None
