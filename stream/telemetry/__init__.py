"""What our own processes say of themselves: OpenTelemetry metrics, and pages for probes and Prometheus.

Reading order: ``catalogue`` (every metric there is), ``board`` (where the hot path counts: plain integers),
``provider`` (from there to OTLP and to Prometheus), ``quiet`` (an endpoint that is away costs one line),
``process``, ``server`` (``/healthz``, ``/readyz``, ``/metrics``), ``part`` (all of it, for one process),
``page`` (writes the table of docs/health.md).
"""
