"""All else that a history can hold, beside the story of one run: so that every panel has something to show.

Every number of the vocabulary on two ranks with a GPU each, checkpoints, incidents with decisions and words
of people, reports of emitters, and the workers' own metrics.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from emitter.vocabulary import events
from emitter.vocabulary.metrics import METRICS
from stream.telemetry import catalogue
from stream.telemetry.catalogue import Kind
from tests.dashboards.story import STEP_S, Row, Story, insert, moment

SAMPLES = 24
_EVALS = ("eval_loss", "eval_accuracy")
"""The story tells of these."""
_PER_GPU = ("hw.gpu.", "torch.")
_PARTS = {"loop": "trainwarden-loop", "history": "trainwarden-history", "gateway": "trainwarden-gateway",
          "clickhouse": "trainwarden-clickhouse"}  # fmt: skip


def tell_all(clickhouse: str, story: Story) -> None:
    """Insert what the story itself does not tell."""
    for table, rows in tables(story).items():
        insert(clickhouse, table, rows)


def tables(story: Story) -> dict[str, list[Row]]:
    """All rows, by table."""
    numbers = list(_numbers(story))
    spans = list(_spans(story))
    return {
        "train_steps": [row for kind, row in numbers if kind == events.STEP],
        "train_evals": [row for kind, row in numbers if kind == events.EVAL],
        "train_resources": [row for kind, row in numbers if kind == events.RESOURCE],
        "train_runs": [_rank(story, 1)],
        "otel_traces": spans,
        "otel_logs": list(_logs(story)),
        "train_diagnoses": _diagnoses(story),
        "train_incident_changes": _incidents(story),
        "train_decisions": _decisions(story),
        "train_control": _words(story),
        "train_metrics": list(_own_metrics(story)),
    }  # fmt: skip


def _numbers(story: Story) -> Iterator[tuple[str, Row]]:
    """Each name of the vocabulary on two ranks; the story itself tells some of rank 0."""
    noise = random.Random(story.seed + 1)
    for position in range(0, story.steps, max(1, story.steps // SAMPLES)):
        told = story.scalars(position, noise)
        for rank in (0, 1):
            for number, metric in enumerate(METRICS):
                if metric.name in _EVALS or (metric.name in told and rank == 0):
                    continue
                number_then = told.get(metric.name, _value(metric.unit, position, rank, number))
                value: float | str = number_then if math.isfinite(number_then) else "nan"
                row = _of(story, rank, position) | {"name": metric.name, "value": value}
                if metric.event == events.RESOURCE:
                    device = f"GPU-{rank}" if metric.name.startswith(_PER_GPU) else ""
                    yield metric.event, row | {"device": device}
                else:
                    yield metric.event, row | {"step": story.step_at(position)}


def _value(unit: str, position: int, rank: int, number: int) -> float:
    wave = 0.5 + 0.4 * math.sin(position / 40 + number)
    scale = {"By": 4e10, "By/s": 3e8, "Cel": 90, "W": 600, "MHz": 1500, "{token}": 800}.get(unit, 1.0)
    return round(scale * wave * (1 + 0.05 * rank), 6)


def _of(story: Story, rank: int, position: int) -> Row:
    offset = 100_000 + position * 2 + rank
    return {
        "run": story.run, "attempt": 0, "rank": rank, "node": f"host-{rank + 1}", "role": "trainer",
        "time": moment(story.at(position)), "emitter": f"{story.run}-e{rank}", "seq": offset,
        "src_topic": "otlp_logs", "src_partition": 1, "src_offset": offset,
    }  # fmt: skip


def _rank(story: Story, rank: int) -> Row:
    ended = moment(story.at(story.steps - 1))
    return {
        "run": story.run, "attempt": 0, "role": "trainer", "rank": rank, "run_name": story.name,
        "node": f"host-{rank + 1}", "world_size": 2, "started": moment(story.began), "last_time": ended,
        "last_step": story.step_at(story.steps - 1), "lifecycle": {"time": ended, "state": story.state},
    }  # fmt: skip


def _resource(story: Story, rank: int) -> dict[str, str]:
    return {
        "service.name": "trainer", "train.run.id": story.run, "train.attempt": "0", "train.rank": str(rank),
        "host.name": f"host-{rank + 1}", "train.role": "trainer", "train.emitter.id": f"{story.run}-e{rank}",
    }  # fmt: skip


def _spans(story: Story) -> Iterator[Row]:
    """A save every 50 steps on both ranks, the third one failed; a load at the rollback."""
    for number, position in enumerate(range(50, story.steps, 50)):
        for rank in (0, 1):
            yield from _save(story, rank, position, failed=number == 2)
    load = _attributes(story, 175, "regular", verified=True)
    yield _span(story, 0, "checkpoint.load", 220.0, 0.04, load, trace=900, span=900)


def _save(story: Story, rank: int, position: int, *, failed: bool) -> Iterator[Row]:
    trace = position * 10 + rank
    attributes = _attributes(story, story.step_at(position), "regular", verified=not failed)
    error = "OSError: No space left on device" if failed else ""
    yield _span(story, rank, "checkpoint.save", position, 0.06 + 0.01 * rank, attributes, trace, trace, error)
    for part, (name, start) in enumerate((("stage", 0.0), ("write", 0.4), ("verify", 1.2))):
        if not failed or name == "stage":
            span = trace * 10 + part
            yield _span(
                story, rank, f"checkpoint.{name}", position + start, 0.02, attributes, trace, span,
                parent=trace,
            )  # fmt: skip


def _attributes(story: Story, step: int, kind: str, *, verified: bool) -> dict[str, str]:
    return {
        "checkpoint.step": str(step), "checkpoint.kind": kind, "checkpoint.bytes": "1408204",
        "checkpoint.path": f"/checkpoints/{story.run}/step-{step}", "train.step": str(step),
        "checkpoint.verified": "true" if verified else "false",
    }  # fmt: skip


def _span(
    story: Story, rank: int, name: str, position: float, seconds: float, attributes: dict[str, str],
    trace: int, span: int, error: str = "", parent: int | None = None,
) -> Row:  # fmt: skip
    return {
        "Timestamp": moment(story.began + position * STEP_S), "TraceId": f"{trace:032x}",
        "SpanId": f"{span:016x}", "ParentSpanId": "" if parent is None else f"{parent:016x}",
        "SpanName": name, "SpanKind": "Internal", "ServiceName": "trainer",
        "ResourceAttributes": _resource(story, rank), "SpanAttributes": attributes,
        "Duration": int(seconds * 1e9), "StatusCode": "Error" if error else "Unset", "StatusMessage": error,
        "src_topic": "otlp_spans", "src_partition": 0, "src_offset": span,
    }  # fmt: skip


def _logs(story: Story) -> Iterator[Row]:
    for position in range(50, story.steps, 50):
        attributes = {"checkpoint.step": str(position), "checkpoint.kind": "regular"}
        yield _log(story, position, events.CHECKPOINT_STARTED, "", attributes)
    xid = "NVRM: Xid (PCI:0000:3b:00): 79, pid=4242, GPU has fallen off the bus."
    yield _log(story, 100, events.LOG, xid, {"hw.gpu.xid": "79"}, "ERROR")
    yield _log(story, 200, events.EMITTER_REPORT, "", {"lost.queue_full": "12", "probe.gpu": "no NVML"})


def _log(
    story: Story, position: int, event: str, body: str, attributes: dict[str, str], severity: str = ""
) -> Row:
    return {
        "Timestamp": moment(story.at(position)), "SeverityText": severity, "ServiceName": "trainer",
        "Body": body, "EventName": event, "ResourceAttributes": _resource(story, 1),
        "LogAttributes": attributes, "src_topic": "otlp_logs", "src_partition": 1,
        "src_offset": 500_000 + position,
    }  # fmt: skip


def _diagnoses(story: Story) -> list[Row]:
    found = (
        ("checkpoint-save-failed", "checkpoint_error", "critical", 151),
        ("kl-explosion", "kl_explosion", "warning", 180),
    )
    return [
        {
            "id": f"{story.run}-{rule}", "rule": rule, "category": category, "severity": severity,
            "state": "resolved" if ended else "firing", "run": story.run, "attempt": 0, "rank": 1,
            "node": "host-2", "role": "trainer", "time": moment(story.at(position + ended)),
            "step": position, "summary": f"{rule} at step {position}", "evidence": '{"value":9}',
            "suggestions": [], "then": [], "rule_version": "1", "src_topic": "train.diagnoses",
            "src_partition": 0, "src_offset": position + ended,
        }
        for rule, category, severity, position in found
        for ended in (0, 60)
    ]  # fmt: skip


def _incidents(story: Story) -> list[Row]:
    cause = {"id": f"{story.run}-loss-not-finite", "rule": "loss-not-finite"}
    return [
        _incident(story, "i-1", 1, "acting", 216, "loss-not-finite", "nan_loss", "critical", cause),
        _incident(story, "i-1", 2, "resolved", 216, "loss-not-finite", "nan_loss", "critical", cause),
        _incident(story, "i-2", 1, "waiting", 300, "gpu-lost", "gpu_lost", "critical", cause),
    ]


def _incident(
    story: Story, name: str, seq: int, state: str, position: int, rule: str, category: str, severity: str,
    cause: dict[str, str],
) -> Row:  # fmt: skip
    ended = moment(story.at(position + 40)) if state == "resolved" else None
    told = [(0, "diagnosis", f"{rule}: found"), (2, "acting", "rollback"), (9, state, "the rank went on")]
    line = [{"time": _iso(story.at(position + at)), "kind": kind, "text": text} for at, kind, text in told]
    return {
        "id": f"{story.run}-{name}", "seq": seq, "run": story.run, "run_name": story.name, "attempt": 0,
        "state": state, "time": moment(story.at(position + seq)), "began": moment(story.at(position)),
        "ended": ended, "outcome": "the run went on" if ended else "", "rule": rule, "category": category,
        "severity": severity, "summary": f"{rule} at step {position}", "lost_steps": 41, "lost_seconds": 1.2,
        "gpu_seconds": 2.4, "cause": json.dumps(cause), "symptoms": "[]", "timeline": json.dumps(line),
        "actions": json.dumps([{"action": "rollback"}]), "src_topic": "remediation.intents",
        "src_partition": 0, "src_offset": position * 10 + seq,
    }  # fmt: skip


def _iso(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z"


def _decisions(story: Story) -> list[Row]:
    made = (
        ("opened", "", 216, "i-1", ""), ("sent", "rollback", 218, "i-1", ""), ("closed", "", 256, "i-1", ""),
        ("opened", "", 300, "i-2", ""), ("held", "exclude_node", 301, "i-2", ""),
        ("approved", "exclude_node", 305, "i-2", "ada"), ("breaker_tripped", "", 310, "", ""),
        ("breaker_reset", "", 320, "", "ada"), ("refused", "", 330, "", "mallory"),
    )  # fmt: skip
    return [
        {
            "id": f"{story.run}-{number}/{decision}", "decision": decision, "run": story.run, "attempt": 0,
            "time": moment(story.at(position)), "incident": f"{story.run}-{incident}" if incident else "",
            "diagnosis": f"{story.run}-loss-not-finite", "rule": "loss-not-finite", "rule_version": "1",
            "action": action, "position": 0, "command": f"{story.run}-{action}" if action else "",
            "reason": f"because of {decision}", "run_name": story.name, "severity": "critical",
            "author": author, "key": "k1" if author else "", "detail": "{}",
            "src_topic": "remediation.intents", "src_partition": 0, "src_offset": 9_000 + number,
        }
        for number, (decision, action, position, incident, author) in enumerate(made)
    ]  # fmt: skip


def _words(story: Story) -> list[Row]:
    return [
        {
            "id": f"{story.run}-w{number}", "kind": kind, "author": "ada", "time": moment(story.at(position)),
            "command": f"{story.run}-exclude_node", "reason": "checked by hand", "silence": "",
            "run_mode": "", "src_topic": "remediation.control", "src_partition": 0, "src_offset": number,
        }
        for number, (kind, position) in enumerate((("approve", 305), ("reset_breaker", 320)))
    ]  # fmt: skip


def _own_metrics(story: Story) -> Iterator[Row]:
    """Every metric of ours from every part that has it, three times, 15 s apart."""
    for number, metric in enumerate(catalogue.METRICS):
        for part in metric.parts:
            for turn in (0, 1, 2):
                yield _point(story, metric, part, turn, number)


def _point(story: Story, metric: catalogue.Metric, part: str, turn: int, number: int) -> Row:
    at = story.at(story.steps) - 15.0 * (2 - turn)
    histogram, counts = metric.kind is Kind.histogram, metric.kind in (Kind.counter, Kind.histogram)
    grown = float(1 + number % 7) * (turn + 1)
    own: dict[str, Any] = {
        "kind": "histogram" if histogram else "gauge" if metric.kind is Kind.gauge else "sum",
        "temporality": "cumulative" if counts else "", "monotonic": metric.kind is Kind.counter,
        "value": None if histogram else 1.0 if metric is catalogue.READY else grown,
        "count": 10 * (turn + 1) if histogram else 0, "sum": grown / 100 if histogram else None,
    }  # fmt: skip
    return own | {
        "run": "", "attempt": 0, "rank": -1, "node": "", "role": "", "time": moment(at),
        "service": _PARTS[part], "scope": "trainwarden", "name": metric.name, "unit": metric.unit,
        "start": moment(story.began), "attributes": {name: f"a {name}" for name in metric.attributes},
        "resource": {"service.instance.id": "host-9:42", "service.version": "1"}, "seq": -1,
        "src_topic": "otlp_metrics", "src_partition": 0, "src_offset": number * 10 + turn,
    }  # fmt: skip
