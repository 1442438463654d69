"""From a board to OTLP and to Prometheus, with the stock OpenTelemetry SDK. Imports it: late, please."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module, metadata
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    MetricExporter,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.export import Metric as Exported
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, generate_latest

from stream.telemetry import environment
from stream.telemetry.board import BOUNDS_S, Board, Cell, Key, Times
from stream.telemetry.catalogue import METRICS, Kind, Metric
from stream.telemetry.quiet import Quiet

SCOPE: Final = "trainwarden"
STOP_MS: Final = 1_000
_NOISY: Final = (
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
)
"""They warn at every try; ``quiet`` says it once."""

log = logging.getLogger(__name__)


class Telemetry:
    """A running export. ``page`` is what Prometheus scrapes."""

    def __init__(self, provider: MeterProvider, registry: CollectorRegistry, exporter: Quiet | None) -> None:
        self._provider, self._registry, self._exporter = provider, registry, exporter
        self._one_at_a_time = threading.Lock()

    def page(self) -> bytes:
        """All metrics in Prometheus' text format."""
        # Of two at once, the reader would give one both collections and the other none.
        with self._one_at_a_time:
            return generate_latest(self._registry)

    def stop(self) -> None:
        """Send a last time, if the endpoint answers at once. Takes a second at most."""
        if self._exporter is not None:
            self._exporter.hurry()
        self._provider.shutdown(timeout_millis=STOP_MS)


def start(service: str, board: Board, environ: Mapping[str, str] = os.environ) -> Telemetry | None:
    """Begin to export what this service counts; None where OTEL_SDK_DISABLED says so."""
    choice = environment.read(environ)
    if choice.off:
        return None
    registry, exporter = CollectorRegistry(), None
    durations = _Durations(board)
    readers: list[MetricReader] = [_Scraped(durations, registry)]
    if choice.sends:
        exporter = _exporter(choice)
    if exporter is not None:
        readers.append(_Sent(durations, exporter))
    provider = MeterProvider(readers, _resource(service, environ), shutdown_on_exit=False)
    meter = provider.get_meter(SCOPE, _version())
    for metric in METRICS:
        if metric.kind is not Kind.histogram:
            _observe(meter, board, metric)
    return Telemetry(provider, registry, exporter)


def _exporter(choice: environment.Choice) -> Quiet | None:
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if choice.protocol != environment.GRPC:
        return Quiet(partial(_over_http, choice.where), choice.where)
    try:
        module = import_module("opentelemetry.exporter.otlp.proto.grpc.metric_exporter")
    except ImportError:
        log.warning(
            "our own metrics are not sent: OTLP over gRPC needs the package "
            "opentelemetry-exporter-otlp-proto-grpc; or set %s=%s",
            environment.METRICS_PROTOCOL, environment.HTTP,
        )  # fmt: skip
        return None
    return Quiet(lambda timeout: module.OTLPMetricExporter(timeout=timeout), choice.where)


def _over_http(where: str, timeout: float | None) -> MetricExporter:
    session = requests.Session()
    # A proxy of the environment must not stand between us and our own loopback.
    session.trust_env = urlsplit(where).hostname not in ("127.0.0.1", "localhost", "::1")
    return OTLPMetricExporter(timeout=timeout, session=session)


def _resource(service: str, environ: Mapping[str, str]) -> Resource:
    """Without host.name: ingest would hand metrics that name a host to the runs on it."""
    return Resource.create(
        {
            "service.name": environ.get("OTEL_SERVICE_NAME") or service,
            "service.instance.id": f"{platform.node()}:{os.getpid()}",
            "service.version": _version(),
        }
    )


def _version() -> str:
    try:
        return metadata.version("trainwarden")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return "0"


def _observe(meter: Meter, board: Board, metric: Metric) -> None:
    make: dict[Kind, Callable[..., Any]] = {
        Kind.counter: meter.create_observable_counter,
        Kind.level: meter.create_observable_up_down_counter,
        Kind.gauge: meter.create_observable_gauge,
    }

    def callback(options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, _attributes(metric, key)) for key, value in board.values(metric).items()]

    make[metric.kind](metric.name, [callback], metric.unit, metric.meaning)


def _attributes(metric: Metric, key: Key) -> dict[str, str | int]:
    return dict(zip(metric.attributes, key, strict=True))


class _Durations:
    """The board's histograms as the SDK's data: it has no instrument for histograms that are observed."""

    def __init__(self, board: Board) -> None:
        self._board, self._began_ns = board, time.time_ns()

    def added(self, data: MetricsData) -> MetricsData:
        """The collected data, and the durations."""
        metrics = [self._metric(metric, times) for metric, times in self._board.histograms() if times.items()]
        if not metrics or not data.resource_metrics:
            return data
        (mine,) = data.resource_metrics  # of one provider
        # The encoder keeps one of several equal scopes: all go into the one that is there.
        (scope,) = mine.scope_metrics
        scopes = [ScopeMetrics(scope.scope, [*scope.metrics, *metrics], scope.schema_url)]
        return MetricsData([ResourceMetrics(mine.resource, scopes, mine.schema_url)])

    def _metric(self, metric: Metric, times: Times) -> Exported:
        now = time.time_ns()
        points = [self._point(metric, key, cell, now) for key, cell in times.items()]
        data = Histogram(points, AggregationTemporality.CUMULATIVE)
        return Exported(metric.name, metric.meaning, metric.unit, data)

    def _point(self, metric: Metric, key: Key, cell: Cell, now: int) -> HistogramDataPoint:
        counts = list(cell.counts)
        unknown: Any = None  # optional in OTLP, though not in the SDK's types
        return HistogramDataPoint(
            attributes=_attributes(metric, key), start_time_unix_nano=self._began_ns, time_unix_nano=now,
            count=sum(counts), sum=cell.sum, bucket_counts=counts, explicit_bounds=BOUNDS_S,
            min=unknown, max=unknown,
        )  # fmt: skip


class _Sent(PeriodicExportingMetricReader):
    def __init__(self, durations: _Durations, exporter: Quiet) -> None:
        self._durations = durations
        super().__init__(exporter)

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        super()._receive_metrics(self._durations.added(metrics_data), timeout_millis, **kwargs)


class _Scraped(PrometheusMetricReader):
    def __init__(self, durations: _Durations, registry: CollectorRegistry) -> None:
        self._durations = durations
        super().__init__(registry=registry, scope_info_enabled=False)

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        super()._receive_metrics(self._durations.added(metrics_data), timeout_millis, **kwargs)
