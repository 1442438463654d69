"""What `import emitter` costs, against importing the OpenTelemetry log SDK and its exporter."""

from __future__ import annotations

import statistics
import subprocess
import sys

from bench.row import Row

_OTEL = "import opentelemetry.sdk._logs, opentelemetry.exporter.otlp.proto.http._log_exporter"
_ROUNDS = 7


def _measure(statement: str) -> tuple[float, int]:
    """Median milliseconds of the statement in fresh interpreters, and the modules it loads."""
    code = (
        "import sys, time; before = set(sys.modules); t = time.perf_counter()\n"
        f"{statement}\n"
        "print((time.perf_counter() - t) * 1e3, len(set(sys.modules) - before))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(_ROUNDS)
    ]
    return statistics.median(float(run[0]) for run in runs), int(runs[0][1])


def measure() -> list[Row]:
    """Time and modules of the import."""
    ours, our_modules = _measure("import emitter")
    peer, peer_modules = _measure(_OTEL)
    name = "OTel logs + OTLP/HTTP"
    return [
        Row("import emitter", ours, peer, "ms", name, "aim <= 20 ms"),
        Row("modules loaded by it", our_modules, peer_modules, "", name, "< 80"),
    ]
