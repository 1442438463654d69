"""The agent of diagnose: ``train.events`` in, transitions of diagnoses out."""

from __future__ import annotations

from typing import Any, Final

from emitter.vocabulary import topics
from stream.diagnose.inbox import Inbox
from stream.faustkit.app import on_assigned, raw_topic
from stream.faustkit.consume import Host
from stream.rulelang.model import RuleSet

STAGE: Final = "diagnose"


def attach(app: Any, host: Host, rules: RuleSet) -> None:
    """Add the agent of this stage to a Faust app."""
    inbox = Inbox(rules)

    async def agent(stream: Any) -> None:
        await host.consume(stream, STAGE, inbox.event)

    app.agent(raw_topic(app, topics.TRAIN_EVENTS), name=f"{STAGE}.{topics.TRAIN_EVENTS}")(agent)
    on_assigned(app, topics.TRAIN_EVENTS, inbox.keep)
