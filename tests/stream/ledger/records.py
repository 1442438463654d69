"""Records of remediation, as the arbiter, trainers and people write them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from emitter.vocabulary import cloudevents, topics
from emitter.vocabulary.commands import Ack, Command, Reason
from emitter.vocabulary.diagnoses import Diagnosis
from stream.records import Outgoing


def now(ahead_s: float = 0.0) -> str:
    """RFC 3339."""
    return cloudevents.rfc3339(time.time_ns() + int(ahead_s * 1e9))


class Case:
    """One incident of one run: a diagnosis, and a rollback that waits for approval."""

    def __init__(self, run: str | None = None, action: str = "rollback") -> None:
        self.run = run or f"run-{uuid.uuid4().hex[:8]}"
        self.diagnosis_id, self.incident, self.command_id = (uuid.uuid4().hex for _ in range(3))
        self.action = action
        self.command = Command(
            id=self.command_id, run=self.run, action=action, issued=now(), expires=now(600),
            args={"before_step": 90, "lr_scale": 0.5},
            reason=Reason(self.diagnosis_id, "nan-loss", "Loss is NaN"),
        )  # fmt: skip

    def diagnosis(self) -> Outgoing:
        found = Diagnosis(
            self.diagnosis_id, "nan-loss", "nan_loss", "critical", "firing", self.run, now(), "Loss is NaN",
            step=91, rule_version="v7", evidence={"loss": float("nan"), "since_step": 90},
        )  # fmt: skip
        return Outgoing(
            topics.TRAIN_DIAGNOSES, found.encode(), self.run.encode(), headers=cloudevents.HEADERS
        )

    def decision(self, decision: str, **more: Any) -> Outgoing:
        about = "" if decision in ("opened", "closed") else self.command_id
        data = {
            "id": f"{about or self.incident}/{decision}", "decision": decision, "run": self.run, "attempt": 0,
            "time": now(), "run_name": None, "reason": None, "severity": "critical",
            "incident": self.incident, "diagnosis": self.diagnosis_id, "rule": "nan-loss",
            "rule_version": "v7",
            "action": self.action if about else None, "position": 0 if about else None,
            "command": self.command.to_json() if about else None, "author": None, "key": None, "detail": {},
            **more,
        }  # fmt: skip
        value = cloudevents.encode(cloudevents.INTENT, data["id"], self.run, data["time"], data)
        return Outgoing(topics.REMEDIATION_INTENTS, value, headers=cloudevents.HEADERS)

    def changed(self, state: str = "waiting", seq: int = 1, **more: Any) -> Outgoing:
        """The incident as it stands."""
        cause = {
            "diagnosis": self.diagnosis_id, "rule": "nan-loss", "rule_version": "v7", "category": "nan_loss",
            "severity": "critical", "attempt": 0, "rank": None, "node": None, "step": 91,
            "summary": "Loss is NaN", "evidence": {"loss": "NaN"}, "began": now(), "ended": None,
        }  # fmt: skip
        action = {
            "command": self.command_id, "action": self.action, "rule": "nan-loss",
            "diagnosis": self.diagnosis_id, "attempt": 0, "state": "held", "outcome": "held", "reason": None,
            "author": None, "sendings": 0, "ranks": {},
        }  # fmt: skip
        data = {
            "id": self.incident, "run": self.run, "run_name": None, "attempt": 0, "state": state, "seq": seq,
            "began": now(), "ended": None, "cause": cause, "symptoms": [], "actions": [action],
            "outcome": None,
            "timeline": [{"time": now(), "kind": "diagnosis", "text": "nan-loss: Loss is NaN"}],
            "cost": {"lost_steps": 12, "lost_seconds": 3.5, "gpu_seconds": 28.0}, "left_out": 0,
            "time": now(), **more,
        }  # fmt: skip
        value = cloudevents.encode(cloudevents.INCIDENT, f"{self.incident}/{seq}", self.run, now(), data)
        return Outgoing(topics.REMEDIATION_INTENTS, value, headers=cloudevents.HEADERS)

    def sent(self) -> Outgoing:
        return Outgoing(topics.REMEDIATION_COMMANDS, self.command.encode(), self.run.encode())

    def ack(self, state: str, rank: int | None = 0, **more: Any) -> Outgoing:
        ack = Ack(self.command_id, self.run, state, now(), rank=rank, **more)
        return Outgoing(topics.REMEDIATION_ACKS, ack.encode(), self.run.encode())

    def held(self) -> list[Outgoing]:
        """Everything up to the decision to wait."""
        return [self.diagnosis(), self.decision("opened"), self.changed(), self.decision("held")]


def write(kafka: str, records: Sequence[Outgoing]) -> None:
    """Put them on the broker, in their order."""
    asyncio.run(awrite(kafka, records))


async def awrite(kafka: str, records: Sequence[Outgoing]) -> None:
    """As ``write``, where a loop runs already."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=False)
    await producer.start()
    try:
        for one in records:
            await producer.send_and_wait(
                one.topic, one.value, key=one.key, partition=one.partition, headers=one.headers
            )
    finally:
        await producer.stop()
