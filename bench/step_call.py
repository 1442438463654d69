"""What one `step()` with six scalars costs inside a real torch step, against a deque and the OTel SDK.

Every method is timed in the same loop, in turn, with cold caches and its background threads alive. A local
HTTP server takes what is sent.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.row import Row

_STEPS = 600
_WARM_UP = 100

Call = Callable[[int], None]


class _Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def _sink() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def _training_step() -> Callable[[], None]:
    import torch

    torch.set_num_threads(1)
    model = torch.nn.Sequential(
        torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 10),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters())
    inputs, targets = torch.randn(256, 256), torch.randint(0, 10, (256,))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return step


def _values(step: int) -> dict[str, float]:
    return {
        "loss": 2.5,
        "grad_norm": 1.0,
        "learning_rate": 1e-3,
        "tokens_per_second": 1e5,
        "a": 0.5,
        "b": step,
    }


def _otel(endpoint: str) -> tuple[Call, Callable[[], object]]:
    from opentelemetry._logs import LogRecord
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs")))
    logger = provider.get_logger("bench")

    def call(step: int) -> None:
        logger.emit(
            LogRecord(
                timestamp=time.time_ns(),
                event_name="train.step",
                attributes={"train.step": step, **_values(step)},
            )
        )

    return call, provider.shutdown


def _timed(calls: dict[str, Call]) -> dict[str, float]:
    """Median microseconds of each call, all in one training loop, one after the other in turn."""
    train = _training_step()
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for step in range(_STEPS * len(calls) + _WARM_UP):
        name = list(calls)[step % len(calls)]
        train()
        start = time.perf_counter_ns()
        calls[name](step)
        elapsed = time.perf_counter_ns() - start
        if step >= _WARM_UP:
            spent[name].append(elapsed / 1e3)
    return {name: statistics.median(values) for name, values in spent.items()}


def measure() -> list[Row]:
    """Median cost of one call of ours, of a deque's append, and of the SDK's logger.emit."""
    import emitter

    queue: deque[tuple[int, float, dict[str, float]]] = deque(maxlen=10_000)
    with _sink() as endpoint:
        emitter.init(run="bench", endpoint=endpoint, commands=None, logs=False)
        otel, otel_shutdown = _otel(endpoint)
        medians = _timed(
            {
                "empty": lambda step: None,
                "deque": lambda step: queue.append((step, time.time(), _values(step))),
                "ours": lambda step: emitter.step(step, **_values(step)),
                "otel": otel,
            }
        )
        emitter.shutdown()
        otel_shutdown()
    what = "step() with 6 scalars in a torch step"
    return [
        Row(what, medians["ours"], medians["deque"], "us", "deque.append", "<= 3x"),
        Row(what, medians["ours"], medians["otel"], "us", "OTel SDK emit", "<= 1/8"),
    ]
