"""What a run sent that is explained from history, and the rules that look at it."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.cli.test_explain import PACK
from tests.stream.sink.build import RESOURCE, T0, logs, points, put, spans

SECOND = 10**9
FULL = Status(code=Status.STATUS_CODE_ERROR, message="full")
WHO = {**RESOURCE, "train.run.id": "run-7", "train.run.name": "gpt-small"}
_MORE = """\
  - id: save-failed
    category: checkpoint_error
    summary: "{checkpoint.path}: {body}"
    on: checkpoint.save
    when: status == "error"
  - id: save-slow
    category: checkpoint_slow
    summary: "{duration} s"
    on: checkpoint.save
    when: duration > 40 and step == 20 and epoch == 0.5
  - id: save-unverified
    category: checkpoint_error
    summary: "s"
    on: checkpoint.verify
    when: checkpoint.verified == 0
  - id: save-stuck
    category: checkpoint_stale
    summary: "s"
    absent: {of: checkpoint.save, after: checkpoint.started, for: 60s}
  - id: room
    category: disk_full
    summary: "{attribute.mount}"
    on: metric
    when: metric == "disk.free" and value < 5
    for: 2
  - id: latency
    category: network
    summary: "s"
    on: metric
    when: metric == "rpc" and field("max") > 2 and field("quantile.0.99") > 1
  - id: silent
    category: unreachable
    summary: "s"
    absent: {of: train.heartbeat, for: 30s}
  - id: hot
    category: gpu_throttle
    summary: "s"
    on: train.resource
    when: hw.gpu.temperature > 90
  - id: worse
    category: overfitting
    summary: "s"
    on: train.eval
    when: eval_loss > 5
"""
RULES = PACK + _MORE


def _record(
    event: str, second: int, values: dict[str, object], step: int | None = None, body: str | None = None
) -> dict[str, Any]:
    attributes = {"train.seq": second, **({"train.step": step} if step is not None else {}), **values}
    return {"event": event, "time": T0 + second * SECOND, "body": body, "attributes": attributes}


def of_logs() -> bytes:
    """A run of 30 steps with an explosion, one eval, a heartbeat, a hot GPU and an out-of-memory line."""
    norms = [1.0] * 20 + [30.0, 30.0] + [1.0] * 8
    sent = [
        *(
            _record("train.step", step, {"loss": 1.0, "grad_norm": norm, "train.epoch": 0.5}, step)
            for step, norm in enumerate(norms)
        ),
        _record("train.eval", 30, {"eval_loss": 9.0}, 29),
        _record("train.heartbeat", 31, {"train.phase": "train", "progress.age": 1.5}, 29),
        _record("train.resource", 32, {"hw.id": "gpu-0", "hw.gpu.temperature": 95.0}),
        _record("train.log", 33, {}, body="CUDA out of memory"),
        _record("checkpoint.started", 10, {"checkpoint.step": 20, "checkpoint.path": "007"}, 20),
        _record("train.log", 300, {}, body="still here, but silent"),
    ]
    return logs(*sent, resource=WHO)


def _span(name: str, number: int, begin: float, seconds: float, ok: bool, **more: object) -> Span:
    start = T0 + int(begin * SECOND)
    span = Span(
        trace_id=b"\x01" * 16, span_id=bytes([number]) * 8, name=name, start_time_unix_nano=start,
        end_time_unix_nano=start + int(seconds * SECOND),
        status=Status(code=Status.STATUS_CODE_OK) if ok else FULL,
    )  # fmt: skip
    attributes = {"train.step": 20, "train.epoch": 0.5, "checkpoint.step": 20, "checkpoint.path": "007"}
    put(span.attributes, {**attributes, **more})
    return span


def of_spans() -> bytes:
    """A save that fails after a short one began and ended in it, and the check of one."""
    return spans(
        _span("checkpoint.save", 1, 10, 50.0, False), _span("checkpoint.save", 2, 20, 1.0, True),
        _span("checkpoint.verify", 3, 62, 1.0, True, **{"checkpoint.verified": False}), resource=WHO,
    )  # fmt: skip


def of_metrics() -> bytes:
    """Room on two disks (one runs full), one point without a value, a histogram and a summary."""
    free, rpc, late = Metric(name="disk.free"), Metric(name="rpc"), Metric(name="rpc")
    for second, (mount, value) in enumerate([("/", 9.0), ("/data", 3.0), ("/", 9.0), ("/data", 2.0)]):
        point = free.gauge.data_points.add(time_unix_nano=T0 + second * SECOND, as_double=value)
        put(point.attributes, {"mount": mount})
    free.gauge.data_points.add(time_unix_nano=T0 + 9 * SECOND, flags=1)
    rpc.histogram.data_points.add(time_unix_nano=T0, count=3, sum=6.0, max=4.0)
    late.summary.data_points.add(time_unix_nano=T0 + SECOND, count=2, sum=2.0).quantile_values.add(
        quantile=0.99, value=1.5
    )
    return points(free, rpc, late, resource=WHO)
