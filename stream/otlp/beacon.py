"""Beacons: log records by which a gateway or worker says that its path to ``otlp_logs`` is alive."""

from __future__ import annotations

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from emitter.vocabulary import attributes
from emitter.vocabulary import events as vocabulary
from stream.otlp import anyvalue


def beacon_request(time_ns: int, gateway_id: str | None = None, worker: str | None = None) -> bytes:
    """A logs request with one beacon: of a gateway, else of a worker (its name is only for people)."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    service = group.resource.attributes.add(key=attributes.SERVICE_NAME)
    service.value.string_value = "trainwarden"
    if worker is not None:
        instance = group.resource.attributes.add(key=attributes.SERVICE_INSTANCE_ID)
        instance.value.string_value = worker
    record = group.scope_logs.add().log_records.add(
        time_unix_nano=time_ns, observed_time_unix_nano=time_ns, event_name=vocabulary.BEACON
    )
    if gateway_id is not None:
        record.attributes.add(key=vocabulary.GATEWAY_ID).value.string_value = gateway_id
    return request.SerializeToString()


def beacon_of(request: ExportLogsServiceRequest) -> tuple[int, str | None] | None:
    """(time in ns, gateway id or None) when this request is a beacon, else None. A beacon travels alone."""
    if len(request.resource_logs) != 1 or len(request.resource_logs[0].scope_logs) != 1:
        return None
    records = request.resource_logs[0].scope_logs[0].log_records
    if len(records) != 1 or records[0].event_name != vocabulary.BEACON:
        return None
    gateway = anyvalue.scalars(records[0].attributes).get(vocabulary.GATEWAY_ID)
    return records[0].time_unix_nano, anyvalue.text(gateway)
