"""The agents of remediate: diagnoses, acks and the clock in, commands and intents out."""

from __future__ import annotations

import time
from typing import Any, Final

from emitter.vocabulary import topics
from stream.faustkit.app import on_assigned, raw_topic
from stream.faustkit.consume import Handle, Host
from stream.remediate.decisions import Sign
from stream.remediate.inbox import Inbox
from stream.remediate.policy import Policy
from stream.rulelang.model import RuleSet

STAGE: Final = "remediate"


def attach(app: Any, host: Host, rules: RuleSet, mode: str, sign: Sign | None) -> None:
    """Add the agents of this stage to a Faust app. They share state, partition by partition."""
    inbox = Inbox(Policy(rules, mode), time.time_ns, sign)
    _attach_agent(app, host, topics.TRAIN_DIAGNOSES, inbox.diagnosis)
    _attach_agent(app, host, topics.REMEDIATION_ACKS, inbox.ack)
    _attach_agent(app, host, topics.TRAIN_EVENTS, inbox.event)
    on_assigned(app, topics.TRAIN_DIAGNOSES, inbox.keep)


def _attach_agent(app: Any, host: Host, topic: str, handle: Handle) -> None:
    async def agent(stream: Any) -> None:
        await host.consume(stream, STAGE, handle)

    app.agent(raw_topic(app, topic), name=f"{STAGE}.{topic}")(agent)
