"""What sending costs a trainer: time that one flush of 500 records steals, and CPU time an event.

Stolen: a thread sends 500 records over HTTP while a real torch loop runs in another; what the steps around
that take longer than steps do otherwise is the flush's. Arms take turns, an empty one shows the resolution.
CPU: processes of their own emit at a steady pace, each with its defaults; one that emits nothing is
subtracted.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

from bench.encode import calls, rows
from bench.row import Row
from bench.sink import sink
from bench.step_call import Call, otel, ours
from bench.training import training_step

_RECORDS = 500
_FLUSHES = 60
_AROUND = 6
"""Steps that are charged to a flush; the next flush begins after twice as many."""

_WARM_UP = 150
_EVENTS, _PER_SECOND, _ROUNDS = 1500, 500, 3

Flush = Callable[[], None]


@contextmanager
def _emitter(url: str) -> Iterator[Flush]:
    """The emitter's own sender thread, woken with 500 steps in its queue."""
    from emitter._clock import Clock
    from emitter._queue import Queue
    from emitter._sender import Sender
    from emitter._settings import resolve
    from emitter.otlp.encoder import Encoder
    from emitter.otlp.http_exporter import HttpExporter

    queue = Queue(10**6)
    exporter = HttpExporter(f"{url}/v1/logs", f"{url}/v1/traces", 10)
    settings = resolve({"flush_s": 600}, environ={})
    sender = Sender(queue, exporter, Encoder({"train.rank": 0}), Clock(), settings, lambda: None)
    sender.start()
    made = calls(rows(_RECORDS))

    def flush() -> None:
        queue.items.extend(made)
        queue.wake.set()

    yield flush
    sender.close(10)
    assert not queue.totals, queue.totals


@contextmanager
def _sdk(url: str) -> Iterator[Flush]:
    """The SDK's exporter on 500 records that are already made."""
    from opentelemetry._logs import LogRecord
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    exporter = OTLPLogExporter(f"{url}/v1/logs")
    resource, scope = Resource({"train.rank": 0}), InstrumentationScope("bench")
    batch = [
        ReadableLogRecord(
            LogRecord(timestamp=row[0], event_name=row[2],
                      attributes={**row[5], "train.step": row[3], "train.seq": row[1]}),
            resource, instrumentation_scope=scope,
        )
        for row in rows(_RECORDS)
    ]  # fmt: skip
    wake, closing = threading.Event(), threading.Event()

    def run() -> None:
        while True:
            wake.wait()
            wake.clear()
            if closing.is_set():
                return
            exporter.export(batch)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield wake.set
    closing.set()
    wake.set()
    thread.join()
    exporter.shutdown()  # type: ignore[no-untyped-call] # the SDK left it untyped


def _stolen(url: str) -> dict[str, float]:
    """Milliseconds of training time that one flush takes, by arm: the median over all flushes."""
    train = training_step()
    with ExitStack() as stack:
        arms: dict[str, Flush] = {
            "none": lambda: None,
            "ours": stack.enter_context(_emitter(url)),
            "sdk": stack.enter_context(_sdk(url)),
        }
        took: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(_WARM_UP):
            train()
        for turn in range(_FLUSHES * len(arms)):
            name = list(arms)[turn % len(arms)]
            arms[name]()
            took[name].append(_time_of(train, _AROUND))
            _time_of(train, _AROUND)
    halves = [statistics.median(took["none"][half::2]) for half in (0, 1)]
    return {
        name: statistics.median(times) - statistics.median(took["none"]) for name, times in took.items()
    } | {"resolution": abs(halves[0] - halves[1])}


def _time_of(train: Callable[[], object], steps: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(steps):
        train()
    return (time.perf_counter_ns() - start) / 1e6


def _emit(arm: str, url: str) -> None:
    """Print the CPU time of this process, all threads, for the events: seconds."""
    arms: dict[str, Callable[[], AbstractContextManager[Call]]] = {
        "ours": lambda: ours(url, logs=False, resources=False),
        "sdk": lambda: otel(url),
    }
    made = arms[arm]() if arm in arms else nullcontext(_nothing)
    with ExitStack() as stack:
        call = stack.enter_context(made)
        start, began = time.process_time(), time.monotonic()
        for step in range(_EVENTS):
            call(step, 2.5, 1.0)
            time.sleep(max(0.0, began + step / _PER_SECOND - time.monotonic()))
    print(time.process_time() - start)


def _nothing(step: int, loss: float, norm: float) -> None:
    """The loop alone."""


def _cpu(url: str) -> dict[str, float]:
    """Microseconds of CPU an event, by arm, less what the loop itself takes."""
    spent: dict[str, list[float]] = {}
    for _ in range(_ROUNDS):
        for arm in ("none", "ours", "sdk"):
            command = [sys.executable, "-m", "bench.flush", arm, url]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            spent.setdefault(arm, []).append(float(done.stdout))
    # The best round: what others on the machine do can only add.
    return {arm: (min(times) - min(spent["none"])) / _EVENTS * 1e6 for arm, times in spent.items()}


def measure() -> list[Row]:
    """Training time stolen by a flush, and CPU an event."""
    with sink() as place:
        stolen, cpu = _stolen(place.url), _cpu(place.url)
    flush = f"training time stolen by a flush of {_RECORDS} (+- {stolen['resolution']:.2f})"
    return [
        Row(flush, stolen["ours"], stolen["sdk"], "ms", "OTel SDK export", "<= 2 ms, aim 0.4"),
        Row(f"process CPU an event, {_PER_SECOND}/s", cpu["ours"], cpu["sdk"], "us", "OTel SDK over HTTP",
            "<= 1/4, aim 1/8"),
    ]  # fmt: skip


if __name__ == "__main__":
    _emit(*sys.argv[1:3])
