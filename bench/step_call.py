"""What one `step()` with six scalars costs inside a real torch step, against peers in the same loop.

All are called in turn, each after a training step that has emptied the caches, with its background threads
alive; each is given the same six local floats in the way its users write it. What was called has to arrive:
records that are lost end the measurement with an error.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from bench.row import Row
from bench.sink import sink
from bench.training import training_step

_STEPS = 400
_WARM_UP = 20

Call = Callable[[int, float, float], None]
"""Takes the step, the loss and one more number; the other four are constants of the call."""

_WHAT = "step() with 6 scalars in a torch step"


def deques() -> dict[str, Call]:
    """The least anybody could do: a record with names, one without, a keyword call that keeps its dict."""
    kept: deque[object] = deque(maxlen=10_000)
    append, now = kept.append, time.time

    def named(step: int, loss: float, norm: float) -> None:
        append(
            (step, now(), {"loss": loss, "grad_norm": norm, "learning_rate": 1e-3, "tokens_per_second": 1e5,
                           "a": 0.5, "b": 0.25})
        )  # fmt: skip

    def bare(step: int, loss: float, norm: float) -> None:
        append((step, now(), (loss, norm, 1e-3, 1e5, 0.5, 0.25)))

    def keep(step: int, /, **values: float) -> None:
        append((step, now(), values))

    def keyword(step: int, loss: float, norm: float) -> None:
        keep(step, loss=loss, grad_norm=norm, learning_rate=1e-3, tokens_per_second=1e5, a=0.5, b=0.25)

    return {"named": named, "bare": bare, "keyword": keyword}


@contextmanager
def ours(url: str, **settings: object) -> Iterator[Call]:
    """The emitter with everything on that a trainer gets by default."""
    import emitter

    emitter.init(run="bench", endpoint=url, **settings)  # type: ignore[arg-type]

    def call(step: int, loss: float, norm: float) -> None:
        emitter.step(
            step, loss=loss, grad_norm=norm, learning_rate=1e-3, tokens_per_second=1e5, a=0.5, b=0.25
        )

    yield call
    emitter.shutdown()


@contextmanager
def otel(url: str) -> Iterator[Call]:
    """OpenTelemetry's SDK: a log record through its batch processor and OTLP/HTTP exporter."""
    from opentelemetry._logs import LogRecord
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{url}/v1/logs")))
    logger = provider.get_logger("bench")

    def call(step: int, loss: float, norm: float) -> None:
        logger.emit(
            LogRecord(
                timestamp=time.time_ns(), event_name="otel",
                attributes={"train.step": step, "loss": loss, "grad_norm": norm, "learning_rate": 1e-3,
                            "tokens_per_second": 1e5, "a": 0.5, "b": 0.25},
            )
        )  # fmt: skip

    yield call
    provider.shutdown()


@contextmanager
def tensorboard() -> Iterator[Call]:
    """tensorboardX: six scalars into an event file."""
    from tensorboardX import SummaryWriter

    with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
        add = writer.add_scalar

        def call(step: int, loss: float, norm: float) -> None:
            add("loss", loss, step)
            add("grad_norm", norm, step)
            add("learning_rate", 1e-3, step)
            add("tokens_per_second", 1e5, step)
            add("a", 0.5, step)
            add("b", 0.25, step)

        yield call


@contextmanager
def wandb() -> Iterator[Call | None]:
    """wandb offline; None where it is not installed."""
    try:
        import wandb as library  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        print("wandb is not installed and not compared; pip install wandb adds it", file=sys.stderr)
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        run = library.init(project="bench", mode="offline", dir=folder)

        def call(step: int, loss: float, norm: float) -> None:
            values = {"loss": loss, "grad_norm": norm, "learning_rate": 1e-3, "tokens_per_second": 1e5}
            run.log({**values, "a": 0.5, "b": 0.25}, step=step)

        yield call
        run.finish()


def _timed(calls: dict[str, Call]) -> dict[str, float]:
    """Median microseconds of each call, all in one training loop, one after the other in turn."""
    train, clock = training_step(), time.perf_counter_ns
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for step in range(_STEPS + _WARM_UP):
        for name, call in calls.items():
            loss = train()
            start = clock()
            call(step, loss, 1.0)
            elapsed = clock() - start
            if step >= _WARM_UP:
                spent[name].append(elapsed / 1e3)
    return {name: statistics.median(values) for name, values in spent.items()}


def measure() -> list[Row]:
    """Median cost of one call of ours and of each peer's; raises RuntimeError where a record is missing."""
    with sink() as place:
        with ExitStack() as stack:
            calls: dict[str, Call] = {"empty": lambda step, loss, norm: None, **deques()}
            calls["ours"] = stack.enter_context(ours(place.url, logs=False))
            calls["otel"] = stack.enter_context(otel(place.url))
            calls["tensorboard"] = stack.enter_context(tensorboard())
            if (call := stack.enter_context(wandb())) is not None:
                calls["wandb"] = call
            medians = _timed(calls)
        arrived = place.counts()
    expected = {"train.step": _STEPS + _WARM_UP, "otel": _STEPS + _WARM_UP}
    if any(arrived.get(name) != count for name, count in expected.items()):
        raise RuntimeError(f"expected {expected} records to arrive, got {arrived}")
    named = {
        "named": ("deque.append of a dict", "<= 3x, aim 1.5x"),
        "bare": ("deque.append of a tuple, no names", "-"),
        "keyword": ("floor: a keyword call that keeps its dict", "-"),
        "otel": ("OTel SDK emit", "<= 1/8"),
        "tensorboard": ("tensorboardX", "-"),
        "wandb": ("wandb offline", "-"),
        "empty": ("empty call", "-"),
    }
    return [
        Row(_WHAT, medians["ours"], medians[name], "us", *named[name]) for name in named if name in medians
    ]
