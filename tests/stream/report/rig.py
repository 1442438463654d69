"""A history with runs and an incident, as the arbiter and the trainers would have written it."""

from __future__ import annotations

import json
from typing import Any, Final

from emitter.vocabulary import cloudevents
from tests.dashboards.story import NOT_A_NUMBER_AT, ROLLBACK_AT, ROLLBACK_TO, Row, Story, insert, moment

VERSION: Final = "0123456789abcdef"
LOST_STEPS: Final = 41

HOSTILE: Final = (
    "<script>alert(1)</script><img src=x onerror=alert(2)> \x1b[31mred\x1b]0;title\x07 \u202egnp.exe\u202c "
    "| cell | [link](http://evil.example/) `code` **bold** _it_ &amp; http://evil.example/ www.evil.example "
    "\u05d0\u05d1\u05d2 \x00\x08 {{ 7 * 7 }} {% raw %} </bdi></pre></style>"
)


class Told:
    """A story that broke, with the ledger of its incident; ``words`` are in every text that others write."""

    def __init__(self, story: Story, words: str = "", rule: str = "loss-not-finite") -> None:
        self.story, self.words, self.rule = story, words, rule
        self.id = f"{cloudevents_hash(story.run)}"

    def tell(self, clickhouse: str) -> None:
        """Insert all of it."""
        self.story.tell(clickhouse)
        insert(clickhouse, "train_incident_changes", [self.change()])
        insert(clickhouse, "train_decisions", self.decisions())
        insert(clickhouse, "otel_traces", self.saves())
        insert(clickhouse, "train_acks", self.ended())

    def ended(self) -> list[Row]:
        """The end of the rollback once more, with where it went back to: of two, the later one counts."""
        return [
            row | {"detail": json.dumps({"from_step": 216, "to_step": ROLLBACK_TO})}
            for row in self.story.tables()["train_acks"]
            if row["command"] == f"{self.story.run}-rollback" and row["state"] == "succeeded"
        ]

    def time(self, position: float) -> str:
        """RFC 3339 at a position of the story."""
        return cloudevents.rfc3339(int(self.story.began * 1e9 + position * 25_000_000))

    def member(self, rule: str, position: int, **more: Any) -> dict[str, Any]:
        return {
            "diagnosis": f"{self.story.run}-{rule}", "rule": rule, "rule_version": VERSION,
            "category": "nan_loss", "severity": "critical", "attempt": 0, "rank": 0,
            "node": f"host-1{self.words}", "step": self.story.step_at(position),
            "summary": f"{rule} at step {position}{self.words}",
            "evidence": {"since_step": position - 1, "ratio": 25.0, "line": f"seen{self.words}"},
            "began": self.time(position), "ended": self.time(ROLLBACK_AT + 2), **more,
        }  # fmt: skip

    def action(self, action: str, **more: Any) -> dict[str, Any]:
        return {
            "command": f"{self.story.run}-{action}", "action": action, "rule": self.rule,
            "diagnosis": f"{self.story.run}-{self.rule}", "attempt": 0, "state": "done",
            "outcome": "succeeded", "reason": None, "author": f"ada{self.words}" if self.words else None,
            "sendings": 1, "ranks": {"0": "succeeded"}, **more,
        }  # fmt: skip

    def change(self) -> Row:
        cause = self.member(self.rule, NOT_A_NUMBER_AT)
        symptom = self.member("gradient-explosion", NOT_A_NUMBER_AT + 1)
        return {
            "id": self.id, "seq": 3, "run": self.story.run, "run_name": self.story.name, "attempt": 0,
            "state": "resolved", "time": moment(self.story.at(ROLLBACK_AT + 60)),
            "began": moment(self.story.at(NOT_A_NUMBER_AT)),
            "ended": moment(self.story.at(ROLLBACK_AT + 60)), "outcome": "resolved", "rule": self.rule,
            "category": "nan_loss", "severity": "critical", "summary": cause["summary"],
            "lost_steps": LOST_STEPS, "lost_seconds": 1.125, "gpu_seconds": 72.0,
            "cause": json.dumps(cause), "symptoms": json.dumps([symptom]), "timeline": "[]",
            "actions": json.dumps([self.action("save"), self.action("rollback")]),
            "src_topic": "remediation.intents", "src_partition": 0, "src_offset": 1,
        }  # fmt: skip

    def decisions(self) -> list[Row]:
        said = [
            ("opened", "", 0), ("sent", "save", 1), ("held", "rollback", 1), ("approved", "rollback", 2),
            ("sent", "rollback", 2), ("succeeded", "rollback", 4), ("closed", "", 100),
        ]  # fmt: skip
        return [
            {
                "id": f"{self.story.run}-{place}", "decision": decision, "run": self.story.run,
                "run_name": self.story.name, "attempt": 0, "severity": "critical", "author": "", "key": "",
                "time": moment(self.story.at(NOT_A_NUMBER_AT + after)), "incident": self.id,
                "diagnosis": f"{self.story.run}-{self.rule}", "rule": self.rule, "rule_version": VERSION,
                "action": action, "command": f"{self.story.run}-{action}" if action else "",
                "reason": f"because{self.words}" if decision == "opened" else "", "detail": "{}",
                "src_topic": "remediation.intents", "src_partition": 0, "src_offset": place,
            }
            for place, (decision, action, after) in enumerate(said)
        ]  # fmt: skip

    def saves(self) -> list[Row]:
        resource = {
            "service.name": "trainer", "train.run.id": self.story.run, "train.attempt": "0",
            "train.rank": "0", "host.name": "host-1", "train.role": "trainer",
        }  # fmt: skip
        return [
            {
                "Timestamp": moment(self.story.at(step)), "SpanName": "checkpoint.save",
                "ServiceName": "trainer", "Duration": 4_000_000, "StatusCode": "Ok",
                "ResourceAttributes": resource, "SpanId": f"{self.story.run}-{step}",
                "SpanAttributes": {
                    "checkpoint.step": str(step), "checkpoint.kind": "regular", "checkpoint.verified": "true",
                },
                "src_topic": "otlp_spans", "src_partition": 0, "src_offset": step,
            }
            for step in (150, ROLLBACK_TO)
        ]  # fmt: skip


def cloudevents_hash(run: str) -> str:
    """An id of an incident that follows from its run."""
    return run.encode().hex().ljust(32, "0")[:32]


def empty_run(run: str, at: float) -> Row:
    """A run that only said that it began."""
    return {
        "run": run, "attempt": 0, "role": "trainer", "rank": 0, "run_name": run, "node": "host-1",
        "world_size": 1, "started": moment(at), "last_time": moment(at), "last_step": -1,
        "lifecycle": {"time": moment(at), "state": "started"},
    }  # fmt: skip


def log_line(story: Story, body: str, index: int, severity: int = 17) -> Row:
    """A line of a run's log."""
    return {
        "Timestamp": moment(story.at(NOT_A_NUMBER_AT) + index / 1e6), "SeverityText": "ERROR",
        "SeverityNumber": severity, "ServiceName": "trainer", "Body": body, "EventName": "train.log",
        "ResourceAttributes": {
            "service.name": "trainer", "train.run.id": story.run, "train.attempt": "0", "train.rank": "0",
            "host.name": "host-1", "train.role": "trainer",
        },
        "LogAttributes": {}, "src_topic": "otlp_logs", "src_partition": 0, "src_offset": 10_000 + index,
    }  # fmt: skip
